// Fixed-width integers and the page size. Everything above this header names its units.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nopte {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline constexpr u64 kPageShift = 12;
inline constexpr u64 kPageBytes = u64{1} << kPageShift;
inline constexpr u64 kPageMask = kPageBytes - 1;

constexpr u64 pages_to_bytes(u64 pages) { return pages << kPageShift; }
// Rounds up. Precondition: bytes <= 2^64 - kPageBytes.
constexpr u64 bytes_to_pages(u64 bytes) { return (bytes + kPageMask) >> kPageShift; }

}  // namespace nopte
