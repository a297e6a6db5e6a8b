// Strong address types. A guest-virtual address never becomes another kind of address by accident;
// the difference of two addresses is a count of bytes. Physical kinds live in
// native-fallback/frames/phys.h, because nothing above the paging engine may name one.
#pragma once

#include <compare>

#include "pvops/base/types.h"

namespace nopte {

template <class Tag>
class Address {
 public:
  constexpr Address() = default;
  constexpr explicit Address(u64 value) : value_(value) {}

  [[nodiscard]] constexpr u64 value() const { return value_; }
  [[nodiscard]] constexpr u64 page() const { return value_ >> kPageShift; }
  [[nodiscard]] constexpr u64 page_offset() const { return value_ & kPageMask; }
  [[nodiscard]] constexpr bool page_aligned() const { return page_offset() == 0; }
  [[nodiscard]] constexpr Address page_base() const { return Address(value_ & ~kPageMask); }

  friend constexpr auto operator<=>(Address, Address) = default;
  friend constexpr Address operator+(Address a, u64 bytes) { return Address(a.value_ + bytes); }
  friend constexpr Address operator-(Address a, u64 bytes) { return Address(a.value_ - bytes); }
  friend constexpr u64 operator-(Address a, Address b) { return a.value_ - b.value_; }
  constexpr Address& operator+=(u64 bytes) {
    value_ += bytes;
    return *this;
  }

 private:
  u64 value_ = 0;
};

// Guest-virtual address.
using Gva = Address<struct GvaTag>;

// Half-open range of guest-virtual addresses.
struct VaRange {
  Gva begin;
  Gva end;

  [[nodiscard]] constexpr u64 bytes() const { return end - begin; }
  [[nodiscard]] constexpr u64 pages() const { return bytes() >> kPageShift; }
  [[nodiscard]] constexpr bool empty() const { return begin >= end; }
  [[nodiscard]] constexpr bool page_aligned() const { return begin.page_aligned() && end.page_aligned(); }
  [[nodiscard]] constexpr bool contains(Gva va) const { return begin <= va && va < end; }
  [[nodiscard]] constexpr bool contains(VaRange other) const {
    return begin <= other.begin && other.end <= end;
  }
  [[nodiscard]] constexpr bool overlaps(VaRange other) const {
    return begin < other.end && other.begin < end;
  }
  [[nodiscard]] constexpr VaRange intersect(VaRange other) const {
    return {begin > other.begin ? begin : other.begin, end < other.end ? end : other.end};
  }
  friend constexpr auto operator<=>(VaRange, VaRange) = default;

  static constexpr VaRange of_pages(Gva begin, u64 pages) { return {begin, begin + pages_to_bytes(pages)}; }
};

}  // namespace nopte
