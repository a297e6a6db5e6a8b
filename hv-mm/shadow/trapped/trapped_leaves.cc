// TrappedTables: what leaf tables' entries show, and the lists of those that are writable.
#include <bit>

#include "hv-mm/shadow/trapped/trapped_tables.h"

namespace nopte::hv {

using pt::Entry;

// Of a frame's writers or a span's large mappings: an entry that is writable and in no list any more.
void TrappedTables::lose_write(EntryRef ref) {
  const Entry old = entry(ref.page, ref.index);
  put(ref.page, ref.index, old, old.without(Entry::kWritable | Entry::kDirty));
}

void TrappedTables::add_writer(RefList& list, u32 ref) {
  if (refs_.add(list, ref)) return;
  lose_write(EntryRef::of(refs_.pop(list)));
  NOPTE_ASSERT(refs_.add(list, ref));
}

// What a leaf entry for gfn with these rights looks like.
[[gnu::always_inline]] inline Entry TrappedTables::leaf_entry(u64 gfn, u64 rights) const {
  if (is_protected(gfn)) rights &= ~Entry::kWritable;
  return mapping(guest_.host_frame(gfn), rights);
}

// A leaf table's entry in a mirror becomes `value`, which is not present or shows gfn, and is not `old`.
// Whether that takes something away.
[[gnu::always_inline]] inline bool TrappedTables::update_leaf(PageIndex index, unsigned slot, Entry old,
                                                              Entry value, u64 gfn) {
  const u32 ref = EntryRef{index, slot}.packed();
  const bool same_writer = old.writable() && value.writable() && old.frame() == value.frame();
  if (old.writable() && !same_writer) refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, ref);
  const bool takes = replace(index, slot, old, value);
  if (value.writable() && !same_writer) add_writer(frames_[gfn].writers, ref);
  return takes;
}

void TrappedTables::set_leaf(PageIndex index, unsigned slot, u64 gfn, u64 rights) {
  const Entry value = leaf_entry(gfn, rights);
  const Entry old = entry(index, slot);
  if (old != value && update_leaf(index, slot, old, value, gfn)) lost(index, slot);
}

unsigned TrappedTables::refresh(PageIndex index, unsigned first, u64 which) {
  constexpr u64 kUsable = Entry::kPresent | Entry::kAccessed;
  const u8* const guest_table = guest_.table(pages_[index].gfn);
  unsigned changed = 0;
  u64 lost_slots = 0;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = entry(index, slot);
    const u64 gfn = guest.frame().number();  // reserved frame bits lie beyond every guest's memory
    Entry value;
    if ((guest.word() & kUsable) == kUsable && guest_.contains(gfn)) {
      value = leaf_entry(gfn, allowed_rights(guest));
    }
    if (old == value) continue;
    if (update_leaf(index, slot, old, value, gfn)) lost_slots |= which & -which;
    ++changed;
  }
  if (lost_slots != 0) note_losses(index, first, lost_slots);
  return changed;
}

// What goes entry by entry is the mirror's place in the frames' lists alone.
void TrappedTables::empty_leaves(PageIndex index) {
  ShadowPage& page = pages_[index];
  if (page.live == 0) return;
  counters_.entries_written += page.live;
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    for (u64 left = page.installed[word]; left != 0; left &= left - 1) {
      const unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(left));
      const Entry old = entry(index, slot);
      if (old.writable())
        refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, EntryRef{index, slot}.packed());
      pt::store_entry(table(index), slot, Entry());
    }
    page.installed[word] = 0;
  }
  page.live = 0;
}

void TrappedTables::orphaned(PageIndex index, Orphans wanted) {
  if (wanted == Orphans::kKeep || zaps_left_ == 0) return;
  --zaps_left_;
  zap(index, wanted);
}

bool TrappedTables::has_its_place(PageIndex index) const {
  const ShadowPage& page = pages_[index];
  return page.list != ShadowList::kOrphans && page.list != ShadowList::kRoots &&
         page.detached == (page.list == ShadowList::kReleased);
}

}  // namespace nopte::hv
