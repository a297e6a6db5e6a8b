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
    u32 then = 0;    // which one was loaded after it, the last time
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
  // The same, for a switch: processes take turns, so that it mostly is at the first look.
  [[nodiscard]] Root* next_for(Frame root) {
    if (loaded_ != nullptr && roots_[loaded_->then].follows == root) return &roots_[loaded_->then];
    return follower_of(root);
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
    if (loaded_ == &root) return false;
    if (loaded_ != nullptr) loaded_->then = static_cast<u32>(&root - roots_);
    loaded_ = &root;
    return true;
  }

 private:
  static_assert(abi::kUserRoots > 1);
  Frame first_;
  Root roots_[abi::kUserRoots];
  Root* loaded_ = nullptr;
  u64 next_ = 0;
};

}  // namespace nopte::pt
