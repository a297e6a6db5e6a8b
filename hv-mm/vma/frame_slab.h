// Blocks of one size carved from a guest's own frames: what the hypervisor keeps about a guest's promises is
// paid from that guest's memory, so a guest cannot use up anybody else's.
//
//   frame: [block][block]...[block]   FrameMeta::live counts the blocks in use; an empty frame goes back
//
// Concurrency: none of its own. Allocation failure is a normal answer.
#pragma once

#include <new>

#include "native-fallback/frames/frame_table.h"
#include "pvops/base/block_chain.h"

namespace nopte::hv {

template <class T>
class FrameSlab {
 public:
  explicit FrameSlab(pt::FrameTable& frames) : frames_(frames) {}
  FrameSlab(const FrameSlab&) = delete;
  FrameSlab& operator=(const FrameSlab&) = delete;

  // Uninitialised memory for one T, or null.
  [[nodiscard]] void* allocate() {
    if (free_ == nullptr && !refill()) return nullptr;
    Block* const block = free_;
    free_ = block->next;
    if (free_ != nullptr) free_->previous = nullptr;
    ++frames_.meta(frames_.frame_of(block)).live;
    return block;
  }

  // The same for many: up to `most`, or fewer when there is no more memory.
  [[nodiscard]] BlockChain take(u64 most) {
    BlockChain taken;
    while (taken.count() != most) {
      if (free_ == nullptr && most - taken.count() >= kBlocks) {
        const Result<pt::Frame> frame = frames_.alloc(pt::FrameKind::kMeta);
        if (!frame) break;
        frames_.meta(*frame).live = kBlocks;
        for (u64 i = kBlocks; i-- > 0;) taken.push(block_at(*frame, i));
      } else {
        void* const memory = allocate();
        if (memory == nullptr) break;
        taken.push(memory);
      }
    }
    return taken;
  }
  // Back, whole frames at once where neighbours in the chain are one.
  void give(BlockChain memory) {
    while (memory.count() >= kBlocks) {
      const pt::Frame frame = frames_.frame_of(memory.front());
      BlockChain together;
      do {
        together.push(memory.pop());
      } while (!memory.empty() && frames_.frame_of(memory.front()) == frame);
      if (together.count() == kBlocks) {
        free(frame);
      } else {
        while (!together.empty()) release(together.pop());
      }
    }
    while (!memory.empty()) release(memory.pop());
  }

  // Precondition: from allocate() or take(), and the T in it is destroyed.
  void release(void* memory) {
    push(new (memory) Block{});
    const pt::Frame frame = frames_.frame_of(memory);
    if (--frames_.meta(frame).live != 0) return;
    for (u64 i = 0; i < kBlocks; ++i) remove(block_at(frame, i));
    free(frame);
  }

 private:
  struct Block {
    Block* next = nullptr;
    Block* previous = nullptr;
  };
  static constexpr u64 kBlockBytes = sizeof(T) > sizeof(Block) ? sizeof(T) : sizeof(Block);
  static constexpr u64 kBlocks = kPageBytes / kBlockBytes;
  static_assert(kBlocks >= 1 && alignof(T) <= 16 && kBlockBytes % alignof(T) == 0);

  Block* block_at(pt::Frame frame, u64 i) const {
    return reinterpret_cast<Block*>(frames_.window(frame) + i * kBlockBytes);
  }
  void push(Block* block) {
    block->previous = nullptr;
    block->next = free_;
    if (free_ != nullptr) free_->previous = block;
    free_ = block;
  }
  void remove(Block* block) {
    if (block->next != nullptr) block->next->previous = block->previous;
    (block->previous != nullptr ? block->previous->next : free_) = block->next;
  }
  void free(pt::Frame frame) {
    frames_.meta(frame).refs = 0;
    frames_.free(frame);
  }
  bool refill() {
    const Result<pt::Frame> frame = frames_.alloc(pt::FrameKind::kMeta);
    if (!frame) return false;
    for (u64 i = kBlocks; i-- > 0;) push(new (block_at(*frame, i)) Block{});
    return true;
  }

  pt::FrameTable& frames_;
  Block* free_ = nullptr;
};

}  // namespace nopte::hv
