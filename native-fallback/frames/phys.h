// Physical kinds of address: frame numbers and physical addresses of this home (the bare machine's or the
// guest-physical ones natively, the host's in the hypervisor). Nothing above the paging engine names one.
#pragma once

#include <compare>

#include "pvops/base/addr.h"

namespace nopte::pt {

using PhysAddr = Address<struct PhysTag>;

// The number of a 4 KiB frame.
class Frame {
 public:
  constexpr Frame() = default;
  constexpr explicit Frame(u64 number) : number_(number) {}
  // Precondition: page-aligned.
  static constexpr Frame at(PhysAddr address) { return Frame(address.page()); }

  [[nodiscard]] constexpr u64 number() const { return number_; }
  [[nodiscard]] constexpr PhysAddr address() const { return PhysAddr(number_ << kPageShift); }

  friend constexpr auto operator<=>(Frame, Frame) = default;
  friend constexpr Frame operator+(Frame a, u64 frames) { return Frame(a.number_ + frames); }
  friend constexpr u64 operator-(Frame a, Frame b) { return a.number_ - b.number_; }

 private:
  u64 number_ = 0;
};

// Half-open range of frames.
struct FrameRange {
  Frame begin;
  Frame end;

  [[nodiscard]] constexpr u64 frames() const { return end.number() > begin.number() ? end - begin : 0; }
  [[nodiscard]] constexpr bool empty() const { return begin >= end; }
  [[nodiscard]] constexpr bool contains(Frame frame) const { return begin <= frame && frame < end; }
  friend constexpr auto operator<=>(FrameRange, FrameRange) = default;

  // The whole frames inside [begin, end) bytes.
  static constexpr FrameRange inside(PhysAddr begin, PhysAddr end) {
    return {Frame((begin.value() + kPageMask) >> kPageShift), Frame(end.value() >> kPageShift)};
  }
  static constexpr FrameRange of(Frame begin, u64 frames) { return {begin, begin + frames}; }
};

}  // namespace nopte::pt
