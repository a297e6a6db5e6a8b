// What one guest of mode vma has promised: a region tree for each space, a region list for each object. The
// paging engine asks these at faults; it keeps no region itself, and finds a space's tree again for us.
#pragma once

#include <array>

#include "hv-mm/vma/frame_slab.h"
#include "hv-mm/vma/region_queue.h"
#include "pvops/mm_ops.h"
#include "pvops/regions/region_tree.h"

namespace nopte::hv {

// A bound on the work of one call and on what a guest can make us keep: what Linux's mmap comes to with a
// max_map_count of 65,536, a little above the default.
inline constexpr u64 kMaxRegionsPerSpace = 65537;

// The regions' memory, and a reserve of it: a call that stops has changed a prefix, and what the rest of it
// needs must be had. It takes from the reserve what it cannot have otherwise, and gives back as much.
class RegionNodeSlab final : public RegionNodeSource {
 public:
  // Where a call begins and where its prefix ends, each inside a region.
  static constexpr unsigned kReserved = 2;

  explicit RegionNodeSlab(pt::FrameTable& frames) : slab_(frames) {}
  void* allocate() override {
    void* const memory = slab_.allocate();
    if (memory != nullptr) [[likely]]
      return memory;
    if (paid_ != nullptr) return paid_->take();
    return lent_ && held_ != 0 ? reserve_[--held_] : nullptr;
  }
  void release(void* memory) override { slab_.release(memory); }
  // Of the reserve, and what is paid, nothing.
  [[nodiscard]] BlockChain take(u64 most) override { return slab_.take(most); }
  void give(BlockChain memory) override { slab_.give(memory); }

  // False: no memory; the reserve is less than full.
  [[nodiscard]] bool refill() {
    for (; held_ != kReserved; ++held_) {
      void* const memory = slab_.allocate();
      if (memory == nullptr) return false;
      reserve_[held_] = memory;
    }
    return true;
  }

  // While it lives, allocate() may take from the reserve.
  class Lent {
   public:
    Lent(RegionNodeSlab& slab, bool lent) : slab_(slab) { slab_.lent_ = lent; }
    ~Lent() { slab_.lent_ = false; }
    Lent(const Lent&) = delete;
    Lent& operator=(const Lent&) = delete;
    void everything() { slab_.lent_ = true; }

   private:
    RegionNodeSlab& slab_;
  };
  [[nodiscard]] Lent lend(bool lent) { return {*this, lent}; }

  // What a space pays ahead, up to `count`, or as many as there is memory for; and what it gets back.
  void pay(PaidNodes& paid, u32 count) {
    while (paid.count() < count) {
      void* const memory = slab_.allocate();
      if (memory == nullptr) return;
      paid.put(memory);
    }
  }
  void pay_back(PaidNodes& paid) {
    while (void* const memory = paid.take()) slab_.release(memory);
  }
  // While it lives, allocate() may take from what is paid.
  class Spent {
   public:
    Spent(RegionNodeSlab& slab, PaidNodes& paid) : slab_(slab) { slab_.paid_ = &paid; }
    ~Spent() { slab_.paid_ = nullptr; }
    Spent(const Spent&) = delete;
    Spent& operator=(const Spent&) = delete;

   private:
    RegionNodeSlab& slab_;
  };
  [[nodiscard]] Spent spend(PaidNodes& paid) { return {*this, paid}; }

 private:
  FrameSlab<RegionNode> slab_;
  PaidNodes* paid_ = nullptr;
  std::array<void*, kReserved> reserve_{};
  unsigned held_ = 0;
  bool lent_ = false;
};

struct DeclaredSpace final : RegionTree {
  using RegionTree::RegionTree;
  RegionQueue queue;
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
