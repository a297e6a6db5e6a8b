// ShadowTables: what the entries of higher tables show, and the reverse lists of links.
#include <bit>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

[[gnu::always_inline]] inline void ShadowTables::drop(PageIndex index, unsigned slot, Orphans wanted) {
  const Entry old = entry(index, slot);
  if (!old.present()) return;
  if (old.large()) {
    if (old.writable()) large_removed(span_of(guest_.gfn_of(old.frame())), {index, slot});
    put(index, slot, old, Entry());
    return;
  }
  const PageIndex child = child_of(old);
  refs_.remove(pages_[child].parents, EntryRef{index, slot}.packed());
  put(index, slot, old, Entry());
  if (pages_[child].kind == ShadowKind::kMirror && pages_[child].parents.empty()) orphaned(child, wanted);
}

void ShadowTables::drop_whole(PageIndex index, unsigned slot, Orphans wanted) { drop(index, slot, wanted); }

void ShadowTables::drop_all(PageIndex index, Orphans wanted, unsigned first, unsigned end) {
  const ShadowPage& page = pages_[index];
  for (unsigned word = first / 64; word < end / 64; ++word) {
    while (page.installed[word] != 0) {
      drop(index, word * 64 + static_cast<unsigned>(std::countr_zero(page.installed[word])), wanted);
    }
  }
}

void ShadowTables::add_parent(PageIndex child, u32 ref) {
  RefList& parents = pages_[child].parents;
  link_added();
  if (refs_.add(parents, ref)) return;
  // No node left: an older parent gives way and faults again.
  const EntryRef victim = EntryRef::of(refs_.pop(parents));
  put(victim.page, victim.index, entry(victim.page, victim.index), Entry());
  NOPTE_ASSERT(refs_.add(parents, ref));
}

void ShadowTables::link(PageIndex index, unsigned slot, PageIndex child, u64 rights) {
  const Entry value =
      Entry(host_address(child).value() | Entry::kPresent | Entry::kAccessed | (rights & kRights));
  Entry old = entry(index, slot);
  if (old == value) return;
  if (old.present()) {
    if (!old.large() && child_of(old) == child) {
      put(index, slot, old, value);
      return;
    }
    drop_whole(index, slot, Orphans::kKeep);
    old = Entry();
  }
  put(index, slot, old, value);
  add_parent(child, EntryRef{index, slot}.packed());
}

void ShadowTables::set_span(PageIndex index, unsigned slot, u64 span, u64 rights) {
  SpanState& state = spans_[span];
  const bool writable = rights & Entry::kWritable;
  if (!whole_span(span) || (writable && state.protected_frames != 0)) {
    link(index, slot, split_of_span(span, From::kBudget), rights);
    return;
  }
  const Entry value = mapping(guest_.host_frame(span * kFramesPerSpan), rights & kRights).with(Entry::kLarge);
  if (entry(index, slot) == value) return;
  drop_whole(index, slot, Orphans::kKeep);
  put(index, slot, Entry(), value);
  if (writable) large_added(span, {index, slot});
}

}  // namespace nopte::hv
