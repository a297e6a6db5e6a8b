// Region nodes from the kernel heap.
#pragma once

#include "guest-mm/core/heap.h"
#include "pvops/regions/region_node.h"

namespace nopte::guest {

class HeapRegionNodes final : public RegionNodeSource {
 public:
  [[nodiscard]] RegionNode* allocate() override { return make<RegionNode>(); }
  void release(RegionNode* node) override { destroy(node); }
};

// The one instance.
RegionNodeSource& heap_region_nodes();

}  // namespace nopte::guest
