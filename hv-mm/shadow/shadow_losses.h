// What the shadow has taken away in an exit, and the processor may know still: a TLB that is tagged by root
// holds what each root showed when it ran (container/guest_tlb.h).
#pragma once

#include <array>
#include <span>

#include "pvops/base/addr.h"

namespace nopte::hv {

struct ShadowLosses {
  static constexpr u32 kMostPages = 8;

  bool everywhere = false;  // any root may know it
  bool root = false;        // the root in use: all that is known of it
  u32 count = 0;
  std::array<Gva, kMostPages> addresses{};  // of the root in use, one page each

  [[nodiscard]] bool any() const { return everywhere || root || count != 0; }
  [[nodiscard]] std::span<const Gva> pages() const { return {addresses.data(), count}; }
};

}  // namespace nopte::hv
