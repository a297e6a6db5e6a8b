// ShadowTables: whose translations go when an entry loses rights.
#include <bit>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

// By the one way that was there before, mostly.
void ShadowTables::note_loss(PageIndex index, unsigned slot) {
  const ShadowPage& page = pages_[index];
  if (page.ways == links_added_ && page.top == running_ &&
      losses_.lose_page(Gva(page.way + pages_to_bytes(slot)))) [[likely]] {
    return;
  }
  find_losers(index, slot);
}

// Climbs to the root that leads there. Where several do, it may be known under any; where none does, nobody
// knows it: losing the last link was a loss there.
void ShadowTables::find_losers(PageIndex index, unsigned slot) {
  if (losses_.everywhere()) return;
  ShadowPage& page = pages_[index];
  PageIndex top = index;
  u64 va = 0;
  for (unsigned level = page.level; level != pt::kLevels; ++level) {
    const RefList parents = pages_[top].parents;
    if (parents.empty()) return;
    if (!RefPool::single(parents)) return losses_.lose_everywhere();
    const EntryRef link = EntryRef::of(parents.head);
    top = link.page;
    va |= u64{link.index} << (kPageShift + u64{level} * pt::kIndexBits);
  }
  if (top != running_) {
    pages_[top].stale = true;
    noted_ = index;
    return;
  }
  if (page.level == 1) {
    page.top = top;
    page.way = static_cast<u64>(static_cast<i64>(va << 16) >> 16);
    page.ways = links_added_;
    if (losses_.lose_page(Gva(page.way + pages_to_bytes(slot)))) return;
  }
  losses_.lose_root();
  noted_ = index;
}

void ShadowTables::note_losses(PageIndex index, unsigned first, u64 which) {
  for (; which != 0 && index != noted_ && !losses_.everywhere(); which &= which - 1) {
    note_loss(index, first + static_cast<unsigned>(std::countr_zero(which)));
  }
}

}  // namespace nopte::hv
