#include "hv-mm/shadow/told/told_tables.h"

#include <bit>
#include <cstring>

namespace nopte::hv {

using pt::Entry;

void ToldTables::mirror_added(PageIndex index) {
  if (pages_[index].level == pt::kLevels) list_add(ShadowList::kRoots, index);
}

// What a leaf table's entry in a mirror shows of this guest entry.
inline Entry ToldTables::allowed(const GuestMemory& memory, Entry guest) {
  const u64 gfn = guest.frame().number();  // reserved frame bits lie beyond every guest's memory
  if (!guest.present() || !guest.accessed() || !memory.contains(gfn)) return {};
  return mapping(memory.host_frame(gfn), allowed_rights(guest));
}

void ToldTables::set_leaf(PageIndex index, unsigned slot, u64 gfn, u64 rights) {
  const Entry value = mapping(guest_.host_frame(gfn), rights);
  const Entry old = entry(index, slot);
  if (old != value) put(index, slot, old, value);
}

void ToldTables::show_leaf(PageIndex index, unsigned slot, Entry guest) {
  const Entry old = entry(index, slot);
  const Entry value = allowed(guest_, guest);
  if (old != value) put(index, slot, old, value);
}

// The processor writes none of the entries: A and D are preset. What runs for every entry is kept short.
unsigned ToldTables::refresh(PageIndex index, unsigned first, u64 which) {
  ShadowPage& page = pages_[index];
  const GuestMemory memory = guest_;
  const u8* const guest_table = memory.table(page.gfn);
  u8* const own_table = table(index);
  u64 installed = page.installed[first / 64];
  unsigned changed = 0, live = page.live;
  u64 lost_slots = 0;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = pt::load_entry(own_table, slot);
    const Entry value = allowed(memory, guest);
    if (old == value) continue;
    pt::store_entry(own_table, slot, value);
    const u64 bit = which & -which;
    if (old.present()) {
      if (takes_away(old, value)) lost_slots |= bit;
      if (!value.present()) {
        installed &= ~bit;
        --live;
      }
    } else {
      installed |= bit;
      ++live;
    }
    ++changed;
  }
  page.installed[first / 64] = installed;
  page.live = static_cast<u16>(live);
  if (lost_slots != 0) note_losses(index, first, lost_slots);
  counters_.entries_written += changed;
  return changed;
}

void ToldTables::empty_leaves(PageIndex index) {
  constexpr unsigned kFew = 64;  // entries; more, and the whole page is cleared at once
  ShadowPage& page = pages_[index];
  if (page.live == 0) return;
  counters_.entries_written += page.live;
  if (page.live > kFew) std::memset(table(index), 0, kPageBytes);
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    for (u64 left = page.live > kFew ? 0 : page.installed[word]; left != 0; left &= left - 1) {
      pt::store_entry(table(index), word * 64 + static_cast<unsigned>(std::countr_zero(left)), Entry());
    }
    page.installed[word] = 0;
  }
  page.live = 0;
}

bool ToldTables::has_its_place(PageIndex index) const {
  const ShadowPage& page = pages_[index];
  if (page.kind != ShadowKind::kMirror) return page.list == ShadowList::kNone;
  if (page.level == pt::kLevels) return page.list == ShadowList::kRoots;
  const bool orphan = page.list == ShadowList::kOrphans;
  return orphan == page.detached && orphan == page.parents.empty();
}

}  // namespace nopte::hv
