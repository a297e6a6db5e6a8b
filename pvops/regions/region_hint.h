// What a RegionTree remembers of what it was asked for, since that is asked for again. It says nothing that
// the tree does not: forgetting all of it changes no answer. One per tree as long as there is one processor;
// with more, each has its own, and a tree that changes forgets what it unlinks in all of them.
#pragma once

#include "pvops/regions/region_node.h"

namespace nopte {

struct RegionHint {
  // The region that contained an address.
  RegionNode* hit = nullptr;

  // A free place that find_gap gave out or an unmap left, and the region above it; as long as the tree's
  // version is this.
  VaRange gap{};
  RegionNode* above_gap = nullptr;
  u64 gap_version = ~u64{0};

  // No gap that ends in (searched_from, searched_end] has searched_pages or more: a search for as many may
  // begin at searched_from. Empty when they are equal.
  RegionNode* searched_owner = nullptr;  // begins at searched_from, if there is such a region
  Gva searched_from{};
  Gva searched_end{};
  u64 searched_pages = 0;

  void note_gap(VaRange place, RegionNode* above, u64 version) {
    gap = place;
    above_gap = above;
    gap_version = version;
  }
  // The node leaves the tree.
  void forget(const RegionNode& node) {
    if (hit == &node) hit = nullptr;
    if (searched_owner == &node) searched_owner = nullptr;
  }
  void forget_all() {
    hit = nullptr;
    searched_owner = nullptr;
    searched_from = searched_end;
  }
};

}  // namespace nopte
