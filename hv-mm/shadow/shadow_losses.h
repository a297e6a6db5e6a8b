// What the shadow has taken away in an exit, and the processor may know still: a TLB that is tagged by root
// holds what each root showed when it ran (container/guest_tlb.h).
#pragma once

#include <array>
#include <span>

#include "pvops/base/addr.h"

namespace nopte::hv {

class ShadowLosses {
 public:
  static constexpr u32 kMostPages = 8;

  [[nodiscard]] bool any() const { return what_ != 0; }
  // Any root may know it.
  [[nodiscard]] bool everywhere() const { return what_ & kEverywhere; }
  // All that is known of the root in use.
  [[nodiscard]] bool root() const { return what_ & kRoot; }
  // The root in use: these pages, when it is not the whole.
  [[nodiscard]] std::span<const Gva> pages() const { return {pages_.data(), what_ & kCount}; }

  void clear() { what_ = 0; }
  void lose_everywhere() { what_ = kEverywhere; }
  // The root in use is another from now on, of which nothing is lost yet.
  void switch_root() { what_ &= kEverywhere; }
  void lose_root() { what_ |= kRoot; }
  // False: there are too many.
  [[nodiscard]] bool lose_page(Gva va) {
    if (root() || (what_ & kCount) == kMostPages) return false;
    pages_[what_++] = va;
    return true;
  }

 private:
  static constexpr u32 kCount = 0xff, kRoot = 0x100, kEverywhere = 0x200;
  u32 what_ = 0;  // how many pages, or more
  std::array<Gva, kMostPages> pages_;
};

}  // namespace nopte::hv
