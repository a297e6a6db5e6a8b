// The x86-64 five-level format (LA57): 57-bit addresses; entries and tables are the four-level format's.
// Sources: Intel SDM vol. 3A, 4.5 "4-Level Paging and 5-Level Paging" (CR4.LA57), canonical form vol.
// 1, 3.3.7.1; AMD64 Architecture Programmer's Manual vol. 2 (24593), 5.3.
#pragma once

#include "native-fallback/format/x86_tables.h"

namespace nopte::pt {

struct FiveLevel : X86Tables<Entry, 5, 9> {
  static constexpr unsigned kLargestLeaf = 3;  // 1 GiB

  static constexpr bool canonical(Gva va) {
    return static_cast<u64>(static_cast<i64>(va.value() << 7) >> 7) == va.value();
  }
  // The half that all roots share. Precondition: canonical(va).
  static constexpr bool kernel_half(Gva va) { return static_cast<i64>(va.value()) < 0; }

  // The four-level layout stretched, each range in a top-level slot of its own; the image stays where 32-bit
  // displacements reach it.
  static constexpr VaRange kUserRange{Gva{0x1'0000}, Gva{0x00ff'ffff'ffff'0000}};
  static constexpr VaRange kDirectRange{Gva{0xff00'0000'0000'0000}, Gva{0xff01'0000'0000'0000}};
  static constexpr VaRange kWindowRange{Gva{0xff80'0000'0000'0000}, Gva{0xff81'0000'0000'0000}};
  static constexpr VaRange kKmemRange{Gva{0xffa0'0000'0000'0000}, Gva{0xffa1'0000'0000'0000}};
  static constexpr VaRange kImageRange{Gva{0xffff'ffff'8000'0000}, Gva{0xffff'ffff'c000'0000}};
};

static_assert(FiveLevel::table_index(Gva(0xff00'0000'0000'0000), 5) == 256 &&
              FiveLevel::table_index(Gva(0xffff'ffff'8000'0000), 3) == 510);
static_assert(FiveLevel::canonical(Gva(0x00ff'ffff'ffff'ffff)) &&
              FiveLevel::canonical(Gva(0xff00'0000'0000'0000)) &&
              !FiveLevel::canonical(Gva(0x0100'0000'0000'0000)));
static_assert(FiveLevel::entry_bytes(5) == u64{1} << 48);

}  // namespace nopte::pt
