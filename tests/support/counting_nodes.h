// Region nodes from the host's heap, counted, with allocations that fail when told to.
#pragma once

#include <new>

#include "pvops/regions/region_node.h"

namespace nopte::test {

class CountingNodes final : public RegionNodeSource {
 public:
  void* allocate() override {
    if (allowed_ == 0) return nullptr;
    if (allowed_ != kAll) --allowed_;
    ++live_;
    return ::operator new(sizeof(RegionNode));
  }
  void release(void* memory) override {
    --live_;
    ::operator delete(memory);
  }

  // The next `count` allocations succeed, later ones fail.
  void allow(u64 count) { allowed_ = count; }
  void allow_all() { allowed_ = kAll; }
  [[nodiscard]] u64 live() const { return live_; }

 private:
  static constexpr u64 kAll = ~u64{0};
  u64 allowed_ = kAll;
  u64 live_ = 0;
};

}  // namespace nopte::test
