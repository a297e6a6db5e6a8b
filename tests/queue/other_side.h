// The other side of a queue, in the middle of what this one does: something that happens behind the nth look
// at a word that both may write.
#pragma once

#include <functional>

#include "pvops/abi/region_queue.h"
#include "pvops/base/panic.h"

namespace nopte::test {

class OtherSide {
 public:
  OtherSide(unsigned nth, std::function<void()> does) : left_(nth), does_(std::move(does)) {
    NOPTE_ASSERT(current_ == nullptr);
    current_ = this;
    abi::g_other_side = looked;
  }
  ~OtherSide() {
    abi::g_other_side = nullptr;
    current_ = nullptr;
  }
  OtherSide(const OtherSide&) = delete;
  OtherSide& operator=(const OtherSide&) = delete;

  // False: there were fewer looks.
  [[nodiscard]] bool happened() const { return happened_; }

  // Nothing happens while it lives: the guest has asked, and stands still.
  class Held {
   public:
    Held() { abi::g_other_side = nullptr; }
    ~Held() { abi::g_other_side = current_ != nullptr && !current_->happened_ ? looked : nullptr; }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
  };

 private:
  static void looked() {
    OtherSide& side = *current_;
    if (side.left_-- != 0) return;
    side.happened_ = true;
    const Held held;
    side.does_();
  }
  inline static OtherSide* current_ = nullptr;

  unsigned left_;
  std::function<void()> does_;
  bool happened_ = false;
};

}  // namespace nopte::test
