// What a RegionTree remembers of its free places from one search to the next. It says nothing that the tree
// does not: forgetting all of it changes no answer. Only searching for a place and changing the tree write
// it.
#pragma once

#include "pvops/regions/region_node.h"

namespace nopte {

struct SearchedGaps {
  // A free place that find_gap gave out or an unmap left, and the region above it; as long as the tree's
  // version is this.
  VaRange gap{};
  RegionNode* above_gap = nullptr;
  u64 gap_version = ~u64{0};

  // No gap that ends in (from, end] has so many pages or more: a search for as many may begin at `from`.
  // Empty when they are equal.
  RegionNode* owner = nullptr;  // begins at `from`, if there is such a region
  Gva from{};
  Gva end{};
  u64 pages = 0;

  void note_gap(VaRange place, RegionNode* above, u64 version) {
    gap = place;
    above_gap = above;
    gap_version = version;
  }
};

}  // namespace nopte
