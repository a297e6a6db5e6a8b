// The invariants of shadow_tables.h, checked by looking at everything. For tests.
#include <bit>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

void ShadowTables::check_invariants() {
  const auto contains = [this](RefList list, u32 ref) {
    RefList copy = list;
    while (!copy.empty()) {
      if (refs_.first(copy) == ref) return true;
      copy = refs_.rest(copy);
    }
    return false;
  };
  const auto members = [this](RefList list) {
    u64 count = 0;
    for (; !list.empty(); list = refs_.rest(list)) ++count;
    return count;
  };
  u32 used = 0;
  u64 links = 0, parents = 0;  // each link is a parent of what it links, and no other is
  for (PageIndex index = oldest_; index != 0; index = pages_[index].newer) {
    ++used;
    const ShadowPage& page = pages_[index];
    NOPTE_ASSERT(page.kind != ShadowKind::kFree);
    parents += members(page.parents);
    // A told guest reports no table that it frees: only the link to it.
    if (told_ && page.kind == ShadowKind::kMirror && page.level < pt::kLevels) {
      NOPTE_ASSERT(page.detached == page.parents.empty());
    }
    unsigned live = 0;
    for (unsigned slot = 0; slot < pt::kEntriesPerTable; ++slot) {
      const Entry at = entry(index, slot);
      NOPTE_ASSERT(at.present() == ((page.installed[slot / 64] >> slot % 64 & 1) != 0));
      if (!at.present()) continue;
      ++live;
      const u32 ref = EntryRef{index, slot}.packed();
      if (page.level > 1 && !at.large()) {
        const PageIndex child = child_of(at);
        NOPTE_ASSERT(child >= 1 && child <= pool_.tables && pages_[child].level == page.level - 1);
        NOPTE_ASSERT(pages_[child].kind != ShadowKind::kFree && contains(pages_[child].parents, ref));
        ++links;
        continue;
      }
      const u64 gfn = guest_.gfn_of(at.frame());
      NOPTE_ASSERT(guest_.contains(gfn));
      if (page.level > 1) {
        NOPTE_ASSERT(whole_span(span_of(gfn)));
        if (at.writable() && !told_) {
          NOPTE_ASSERT(spans_[span_of(gfn)].protected_frames == 0);
          NOPTE_ASSERT(contains(spans_[span_of(gfn)].large, ref));
        }
      } else if (at.writable()) {
        NOPTE_ASSERT(!is_protected(gfn));
        if (page.kind == ShadowKind::kMirror && !told_) NOPTE_ASSERT(contains(frames_[gfn].writers, ref));
      }
    }
    NOPTE_ASSERT(live == page.live);
  }
  NOPTE_ASSERT(links == parents);
  u32 free = 0;
  for (PageIndex index = free_page_; index != 0; index = pages_[index].newer) {
    ++free;
    for (unsigned slot = 0; slot < pt::kEntriesPerTable; ++slot) NOPTE_ASSERT(entry(index, slot).empty());
  }
  free += pool_.tables + 1 - fresh_page_;
  NOPTE_ASSERT(free == free_tables_ && used + free == pool_.tables);

  for (u64 span = 0; span << pt::kIndexBits < guest_.frames; ++span) {
    u32 protected_frames = 0;
    for (u64 gfn = span << pt::kIndexBits; gfn < (span + 1) << pt::kIndexBits && gfn < guest_.frames; ++gfn) {
      NOPTE_ASSERT(is_protected(gfn) == (!told_ && needs_protection(gfn)));
      protected_frames += is_protected(gfn) ? 1 : 0;
      if (is_protected(gfn)) NOPTE_ASSERT(frames_[gfn].writers.empty());
    }
    NOPTE_ASSERT(protected_frames == spans_[span].protected_frames);
  }
}

}  // namespace nopte::hv
