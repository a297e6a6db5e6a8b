// The x86-64 four-level format: 48-bit addresses, nine bits of index a level.
// Source: AMD64 Architecture Programmer's Manual vol. 2 (24593), 5.3 "Long-Mode Page Translation"; canonical
// form 5.3.1.
#pragma once

#include "native-fallback/format/x86_tables.h"
#include "pvops/mm_ops.h"

namespace nopte::pt {

struct FourLevel : X86Tables<Entry, 4, 9> {
  static constexpr unsigned kLargestLeaf = 3;  // 1 GiB

  static constexpr bool canonical(Gva va) {
    return static_cast<u64>(static_cast<i64>(va.value() << 16) >> 16) == va.value();
  }
  // The half that all roots share. Precondition: canonical(va).
  static constexpr bool kernel_half(Gva va) { return static_cast<i64>(va.value()) < 0; }

  // The layout that the kernel agrees to, and where it sees all of its physical memory (native only).
  static constexpr VaRange kUserRange = nopte::kUserRange;
  static constexpr VaRange kWindowRange = nopte::kWindowRange;
  static constexpr VaRange kKmemRange = nopte::kKmemRange;
  static constexpr VaRange kImageRange = nopte::kImageRange;
  // (The slots below it are Xen's.)
  static constexpr VaRange kDirectRange{Gva{0xffff'8800'0000'0000}, Gva{0xffff'8880'0000'0000}};
};

static_assert(FourLevel::table_index(Gva(0xffff'8000'0000'0000), 4) == 256 &&
              FourLevel::table_index(Gva(0xffff'ffff'8000'0000), 3) == 510);
static_assert(FourLevel::canonical(Gva(0xffff'8000'0000'0000)) &&
              !FourLevel::canonical(Gva(0x8000'0000'0000)));

// The hypervisor's guests and its own tables have this format and no other: there it needs no name.
inline constexpr unsigned kLevels = FourLevel::kLevels;
inline constexpr unsigned kIndexBits = FourLevel::kIndexBits;
inline constexpr unsigned kEntriesPerTable = FourLevel::kEntriesPerTable;
constexpr unsigned level_shift(unsigned level) { return FourLevel::level_shift(level); }
constexpr u64 entry_bytes(unsigned level) { return FourLevel::entry_bytes(level); }
constexpr unsigned table_index(Gva va, unsigned level) { return FourLevel::table_index(va, level); }
constexpr bool canonical(Gva va) { return FourLevel::canonical(va); }

}  // namespace nopte::pt
