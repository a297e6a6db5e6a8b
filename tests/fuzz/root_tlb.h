// What a processor that tags by root knows of a shadowed guest's pages: it forgets what an exit took away,
// and nothing else.
#pragma once

#include <map>

#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::fuzz {

template <class Cached>
class RootTlb {
 public:
  // By address of a page, under the root in use.
  std::map<u64, Cached>& here(const hv::ShadowMmu& mmu) { return roots_[mmu.host_root().value()]; }
  // An exit ends.
  void forget(hv::ShadowMmu& mmu) {
    mmu.end_exit();
    const hv::ShadowLosses losses = mmu.losses();
    mmu.forgive_losses();
    if (losses.everywhere()) roots_.clear();
    if (losses.root()) here(mmu).clear();
    for (const Gva va : losses.pages()) here(mmu).erase(va.value());
  }

 private:
  std::map<u64, std::map<u64, Cached>> roots_;
};

}  // namespace nopte::fuzz
