#include "hv-mm/linear_read.h"

#include <algorithm>
#include <cstring>

namespace nopte::hv {
namespace {
constexpr u64 kPresent = 1;
constexpr u64 kLarge = u64{1} << 7;
constexpr u64 kFrameMask = 0x000f'ffff'ffff'f000;
}  // namespace

Result<u64> translate(const PhysicalWindow& window, u64 root, Gva va) {
  const i64 canonical = static_cast<i64>(va.value() << 16) >> 16;
  if (static_cast<u64>(canonical) != va.value()) {
    return Fail(Status::kBadAddress);
  }
  u64 table = root & kFrameMask;
  for (unsigned shift = 39;; shift -= 9) {
    const auto entry = window.read<u64>(table + (va.value() >> shift & 511) * 8);
    if (!entry || !(*entry & kPresent)) {
      return Fail(Status::kBadAddress);
    }
    if (shift == 12 || ((*entry & kLarge) && shift <= 30)) {
      const u64 page_mask = (u64{1} << shift) - 1;
      return (*entry & kFrameMask & ~page_mask) | (va.value() & page_mask);
    }
    table = *entry & kFrameMask;
  }
}

Result<void> read_linear(const PhysicalWindow& window, u64 root, Gva va, std::span<u8> bytes) {
  while (!bytes.empty()) {
    const auto physical = translate(window, root, va);
    const u64 chunk = std::min<u64>(bytes.size(), kPageBytes - va.page_offset());
    if (!physical || !window.contains(*physical, chunk)) {
      return Fail(Status::kBadAddress);
    }
    std::memcpy(bytes.data(), window.window + *physical, chunk);
    va += chunk;
    bytes = bytes.subspan(chunk);
  }
  return {};
}

}  // namespace nopte::hv
