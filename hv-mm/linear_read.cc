#include "hv-mm/linear_read.h"

#include <algorithm>
#include <cstring>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/descend.h"

namespace nopte::hv {

Result<u64> translate(const PhysicalMemory& memory, u64 root, Gva va) {
  using pt::Entry;
  constexpr unsigned kLargest = pt::FourLevel::kLargestLeaf;
  if (!pt::canonical(va)) return Fail(Status::kBadAddress);
  Result<u64> found = Fail(Status::kBadAddress);
  u64 at = root & Entry::kFrameMask;
  pt::descend<pt::FourLevel>(at, va, 0, [&](u64& table, unsigned level, unsigned index) {
    const auto word = memory.read<u64>(table + index * sizeof(u64));
    if (!word) return false;
    const Entry entry(*word);
    if (!entry.present()) return false;
    table = entry.word() & Entry::kFrameMask;
    if (level != 1 && (level > kLargest || !entry.large())) return true;
    const u64 below = pt::entry_bytes(level) - 1;
    found = (table & ~below) | (va.value() & below);
    return false;
  });
  return found;
}

Result<void> read_linear(const PhysicalMemory& memory, u64 root, Gva va, std::span<u8> bytes) {
  while (!bytes.empty()) {
    const auto physical = translate(memory, root, va);
    const u64 chunk = std::min<u64>(bytes.size(), kPageBytes - va.page_offset());
    if (!physical || !memory.contains(*physical, chunk)) {
      return Fail(Status::kBadAddress);
    }
    std::memcpy(bytes.data(), memory.base + *physical, chunk);
    va += chunk;
    bytes = bytes.subspan(chunk);
  }
  return {};
}

}  // namespace nopte::hv
