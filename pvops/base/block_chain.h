// Blocks of memory with nothing in them, chained by their first words: what allocators give and take at once.
#pragma once

#include <new>

#include "pvops/base/types.h"

namespace nopte {

class BlockChain {
 public:
  struct Block {
    Block* next;
  };

  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] u64 count() const { return count_; }
  // Precondition: the memory has room for a Block, aligned.
  void push(void* memory) {
    first_ = new (memory) Block{first_};
    if (count_++ == 0) last_ = first_;
  }
  // Precondition of both: !empty().
  [[nodiscard]] void* front() const { return first_; }
  [[nodiscard]] void* pop() {
    Block* const block = first_;
    first_ = block->next;
    --count_;
    return block;
  }

  // The first blocks of a list, up to `most`: taken off.
  [[nodiscard]] static BlockChain take(Block*& list, u64 most) {
    BlockChain taken;
    Block* next = list;
    for (; next != nullptr && taken.count_ != most; next = next->next) {
      taken.last_ = next;
      ++taken.count_;
    }
    if (taken.count_ == 0) return taken;
    taken.first_ = list;
    taken.last_->next = nullptr;
    list = next;
    return taken;
  }
  // All of it before a list's first.
  void put_before(Block*& list) {
    if (empty()) return;
    last_->next = list;
    list = first_;
    *this = {};
  }

 private:
  Block* first_ = nullptr;
  Block* last_ = nullptr;
  u64 count_ = 0;
};

}  // namespace nopte
