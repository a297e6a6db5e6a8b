// ShadowTables: what the entries show, and the reverse lists that know of them.
#include <bit>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

// The store into a shadow table. Bookkeeping of `old` is done already. Whether it takes something away.
inline bool ShadowTables::replace(PageIndex index, unsigned slot, Entry old, Entry value) {
  ++counters_.entries_written;
  ShadowPage& page = pages_[index];
  const u64 bit = u64{1} << (slot % 64);
  if (old.present()) {
    pt::exchange_entry(table(index), slot, old, value);
    if (!value.present()) {
      page.installed[slot / 64] &= ~bit;
      --page.live;
    }
    return takes_away(old, value);
  }
  pt::store_entry(table(index), slot, value);
  page.installed[slot / 64] |= bit;
  ++page.live;
  return false;
}

void ShadowTables::put(PageIndex index, unsigned slot, Entry old, Entry value) {
  if (replace(index, slot, old, value)) lost(index, slot);
}

// Takes a present entry out of the reverse lists.
void ShadowTables::forget(PageIndex index, unsigned slot, Entry old) {
  const ShadowPage& page = pages_[index];
  const u32 ref = EntryRef{index, slot}.packed();
  if (told_ && (page.level == 1 || old.large())) return;
  if (page.level == 1) {
    if (old.writable() && page.kind == ShadowKind::kMirror) {
      refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, ref);
    }
  } else if (old.large()) {
    if (old.writable()) refs_.remove(spans_[span_of(guest_.gfn_of(old.frame()))].large, ref);
  } else {
    refs_.remove(pages_[child_of(old)].parents, ref);
  }
}

PageIndex ShadowTables::drop(PageIndex index, unsigned slot) {
  const Entry old = entry(index, slot);
  if (!old.present()) return 0;
  forget(index, slot, old);
  put(index, slot, old, Entry());
  return pages_[index].level == 1 || old.large() ? 0 : child_of(old);
}

void ShadowTables::drop_whole(PageIndex index, unsigned slot) {
  const PageIndex child = drop(index, slot);
  if (child == 0 || pages_[child].kind != ShadowKind::kMirror || !pages_[child].parents.empty()) return;
  if (told_) {
    detach(child);
  } else {
    zap(child, Orphans::kZap);
  }
}

// Makes room for another mapping or link.
void ShadowTables::drop_for(PageIndex index, unsigned slot) {
  if (told_) {
    drop_whole(index, slot);
  } else {
    drop(index, slot);
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

// Of a frame's writers or a span's large mappings: an entry that is writable and in no list any more.
void ShadowTables::lose_write(EntryRef ref) {
  const Entry old = entry(ref.page, ref.index);
  put(ref.page, ref.index, old, old.without(Entry::kWritable | Entry::kDirty));
}

void ShadowTables::add_writer(RefList& list, u32 ref) {
  if (refs_.add(list, ref)) return;
  lose_write(EntryRef::of(refs_.pop(list)));
  NOPTE_ASSERT(refs_.add(list, ref));
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
    drop_for(index, slot);
    old = Entry();
  }
  put(index, slot, old, value);
  add_parent(child, EntryRef{index, slot}.packed());
}

// A leaf table's entry in a mirror becomes `value`, which is not present or shows gfn, and is not `old`.
// Whether that takes something away.
inline bool ShadowTables::update_leaf(PageIndex index, unsigned slot, Entry old, Entry value, u64 gfn) {
  if (told_) return replace(index, slot, old, value);
  const u32 ref = EntryRef{index, slot}.packed();
  const bool same_writer = old.writable() && value.writable() && old.frame() == value.frame();
  if (old.writable() && !same_writer) refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, ref);
  const bool takes = replace(index, slot, old, value);
  if (value.writable() && !same_writer) add_writer(frames_[gfn].writers, ref);
  return takes;
}

void ShadowTables::set_leaf(PageIndex index, unsigned slot, u64 gfn, u64 rights) {
  const Entry value = leaf_entry(gfn, rights);
  const Entry old = entry(index, slot);
  if (old != value && update_leaf(index, slot, old, value, gfn)) lost(index, slot);
}

// What a leaf table's entry in a mirror shows of this guest entry.
inline Entry ShadowTables::allowed(Entry guest) const {
  constexpr u64 kUsable = Entry::kPresent | Entry::kAccessed;
  const u64 gfn = guest.frame().number();  // reserved frame bits lie beyond every guest's memory
  if ((guest.word() & kUsable) != kUsable || !guest_.contains(gfn)) return {};
  return leaf_entry(gfn, allowed_rights(guest));
}

void ShadowTables::show_leaf(PageIndex index, unsigned slot, Entry guest) {
  const Entry old = entry(index, slot);
  const Entry value = allowed(guest);
  if (old != value && update_leaf(index, slot, old, value, guest.frame().number())) lost(index, slot);
}

unsigned ShadowTables::refresh(PageIndex index, unsigned first, u64 which) {
  const u8* const guest_table = guest_.table(pages_[index].gfn);
  if (told_) return refresh_told(index, guest_table, table(index), first, which);
  unsigned changed = 0;
  u64 lost_slots = 0;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = entry(index, slot);
    const Entry value = allowed(guest);
    if (old == value) continue;
    if (update_leaf(index, slot, old, value, guest.frame().number())) lost_slots |= which & -which;
    ++changed;
  }
  if (lost_slots != 0) note_losses(index, first, lost_slots);
  return changed;
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
  drop_for(index, slot);
  put(index, slot, Entry(), value);
  if (writable && !told_) add_writer(state.large, EntryRef{index, slot}.packed());
}

}  // namespace nopte::hv
