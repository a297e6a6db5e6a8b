// The roots that user mode runs on, on Xen itself (xen_tables.h): which of them follows which root.
#pragma once

#include "native-fallback/frames/frame_table.h"
#include "pvops/abi/boot_block.h"

namespace nopte::pt {

class XenUserRoots {
 public:
  struct Root {
    Frame follows;   // 0: nothing, and none of its slots is in use
    u64 groups = 0;  // of its slots that may be in use, as FrameMeta::back
    u32 waits = 0;   // the queue's number while changes of its slots wait
  };

  // Before anything else: `first` is what the processor runs user mode on. 0: there are none.
  void start(Frame first) { first_ = first; }
  [[nodiscard]] bool any() const { return first_ != Frame(); }
  [[nodiscard]] Frame frame(const Root& root) const { return first_ + static_cast<u64>(&root - roots_); }

  // Null: none follows it.
  [[nodiscard]] Root* follower_of(Frame root) {
    for (Root& one : roots_) {
      if (one.follows == root) return &one;
    }
    return nullptr;
  }
  // For a root that none follows: one without any, else the next in turn; not the one that is loaded.
  [[nodiscard]] Root& choose() {
    if (Root* const idle = follower_of(Frame())) return *idle;
    do next_ = (next_ + 1) % abi::kUserRoots;
    while (&roots_[next_] == loaded_);
    return roots_[next_];
  }
  // False: it is loaded.
  [[nodiscard]] bool load(Root& root) {
    const bool other = loaded_ != &root;
    loaded_ = &root;
    return other;
  }

 private:
  static_assert(abi::kUserRoots > 1);
  Frame first_;
  Root roots_[abi::kUserRoots];
  Root* loaded_ = nullptr;
  u64 next_ = 0;
};

}  // namespace nopte::pt
