// ShadowTables of a guest that tells what it writes (Tracking::kTold): no frame is protected, and no list
// knows a leaf.
#include <bit>
#include <cstring>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

// No list knows a told guest's leaves, no frame is protected, and the processor writes none of the entries: A
// and D are preset. What runs for every entry is kept short.
unsigned ShadowTables::refresh_told(PageIndex index, const u8* guest_table, u8* own_table, unsigned first,
                                    u64 which) {
  ShadowPage& page = pages_[index];
  const GuestMemory memory = guest_;
  u64 installed = page.installed[first / 64];
  unsigned changed = 0, live = page.live;
  u64 lost_slots = 0;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = pt::load_entry(own_table, slot);
    Entry value;
    if (guest.present() && guest.accessed() && memory.contains(guest.frame().number())) {
      value = mapping(memory.host_frame(guest.frame().number()), allowed_rights(guest));
    }
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

// A told leaf table that is linked no more: no list knows its entries, and losing the last link was the loss.
void ShadowTables::empty_leaves(PageIndex index) {
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

void ShadowTables::reap() {
  for (unsigned left = kMostReaped; left != 0 && detached_.newest != 0; --left) {
    zap(detached_.newest, Orphans::kZap);
  }
}

}  // namespace nopte::hv
