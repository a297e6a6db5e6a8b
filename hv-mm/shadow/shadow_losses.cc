// ShadowTables: whose translations go when an entry loses rights.
#include <utility>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

// Climbs to the root that leads there. Where several do, it may be known under any; where none does, nobody
// knows it: losing the last link was a loss there.
void ShadowTables::note_loss(PageIndex index, unsigned slot) {
  if (losses_.everywhere) return;
  const unsigned level = pages_[index].level;
  PageIndex top = index;
  u64 va = u64{slot} << kPageShift;
  for (unsigned at = level; at != pt::kLevels; ++at) {
    const RefList parents = pages_[top].parents;
    if (parents.empty()) return;
    if (!RefPool::single(parents)) {
      losses_.everywhere = true;
      return;
    }
    const EntryRef link = EntryRef::of(parents.head);
    top = link.page;
    va |= u64{link.index} << (kPageShift + at * pt::kIndexBits);
  }
  if (top == running_ && level == 1 && !losses_.root && losses_.count != ShadowLosses::kMostPages) {
    losses_.addresses[losses_.count++] = Gva(static_cast<u64>(static_cast<i64>(va << 16) >> 16));
    return;
  }
  (top == running_ ? losses_.root : pages_[top].stale) = true;
  noted_ = index;
}

void ShadowTables::run_on(PageIndex root) {
  if (losses_.root || losses_.count != 0) pages_[running_].stale = true;
  losses_.count = 0;
  losses_.root = std::exchange(pages_[root].stale, false);
  running_ = root;
  noted_ = 0;
}

}  // namespace nopte::hv
