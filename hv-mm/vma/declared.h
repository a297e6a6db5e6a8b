// What one guest of mode vma has promised: a region tree for each space, a region list for each object. The
// paging engine asks these at faults; it keeps no region itself, and finds a space's tree again for us.
#pragma once

#include "hv-mm/vma/frame_slab.h"
#include "pvops/mm_ops.h"
#include "pvops/regions/region_tree.h"

namespace nopte::hv {

// A bound on the work of one call and on what a guest can make us keep: Linux's default max_map_count.
inline constexpr u64 kMaxRegionsPerSpace = 65530;

class RegionNodeSlab final : public RegionNodeSource {
 public:
  explicit RegionNodeSlab(pt::FrameTable& frames) : slab_(frames) {}
  void* allocate() override { return slab_.allocate(); }
  void release(void* memory) override { slab_.release(memory); }

 private:
  FrameSlab<RegionNode> slab_;
};

struct DeclaredObject final : RegionList {};

// Makes and unmakes T in a slab.
template <class T>
class SlabOf {
 public:
  explicit SlabOf(pt::FrameTable& frames) : slab_(frames) {}
  template <class... Args>
  [[nodiscard]] T* make(Args&&... args) {
    void* const memory = slab_.allocate();
    return memory == nullptr ? nullptr : new (memory) T(static_cast<Args&&>(args)...);
  }
  void destroy(T* object) {
    object->~T();
    slab_.release(object);
  }

 private:
  FrameSlab<T> slab_;
};

}  // namespace nopte::hv
