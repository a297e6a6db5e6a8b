// Region nodes from the kernel heap.
#pragma once

#include "guest-mm/core/heap.h"
#include "pvops/regions/region_node.h"

namespace nopte::guest {

class HeapRegionNodes final : public RegionNodeSource {
 public:
  [[nodiscard]] void* allocate() override { return heap_alloc(sizeof(RegionNode)); }
  void release(void* memory) override { heap_free(memory, sizeof(RegionNode)); }
  [[nodiscard]] BlockChain take(u64 most) override { return heap_take(sizeof(RegionNode), most); }
  void give(BlockChain memory) override { heap_give(memory, sizeof(RegionNode)); }
};

// The one instance.
RegionNodeSource& heap_region_nodes();

}  // namespace nopte::guest
