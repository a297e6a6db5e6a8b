// The invariants of shadow_tables.h, checked by looking at everything. For tests.
#include <bit>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

void ShadowTables::check_entry(const ShadowPage& page, EntryRef at, Entry entry) {
  if (page.level > 1 && !entry.large()) {
    const PageIndex child = child_of(entry);
    NOPTE_ASSERT(child >= 1 && child <= pool_.tables && pages_[child].level == page.level - 1);
    NOPTE_ASSERT(pages_[child].kind != ShadowKind::kFree);
    NOPTE_ASSERT(refs_.contains(pages_[child].parents, at.packed()));
    return;
  }
  const u64 gfn = guest_.gfn_of(entry.frame());
  const u64 span = span_of(gfn);
  NOPTE_ASSERT(guest_.contains(gfn));
  if (page.level > 1) NOPTE_ASSERT(whole_span(span));
  if (!entry.writable()) return;
  if (page.level > 1) {
    NOPTE_ASSERT(spans_[span].protected_frames == 0 && lists_large(span, at));
  } else {
    NOPTE_ASSERT(!is_protected(gfn));
    if (page.kind == ShadowKind::kMirror) NOPTE_ASSERT(lists_writer(gfn, at));
  }
}

void ShadowTables::check_invariants() {
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
    NOPTE_ASSERT(has_its_place(index));
    unsigned live = 0;
    for (unsigned slot = 0; slot < pt::kEntriesPerTable; ++slot) {
      const Entry at = entry(index, slot);
      NOPTE_ASSERT(at.present() == ((page.installed[slot / 64] >> slot % 64 & 1) != 0));
      if (!at.present()) continue;
      ++live;
      check_entry(page, {index, slot}, at);
      links += page.level > 1 && !at.large() ? 1 : 0;
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
      NOPTE_ASSERT(is_protected(gfn) == must_protect(gfn));
      protected_frames += is_protected(gfn) ? 1 : 0;
      if (is_protected(gfn)) NOPTE_ASSERT(frames_[gfn].writers.empty());
    }
    NOPTE_ASSERT(protected_frames == spans_[span].protected_frames);
  }
}

}  // namespace nopte::hv
