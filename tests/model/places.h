// Where the tests' programs have memory, by format.
#pragma once

#include "native-fallback/format/format.h"

namespace nopte::model {

template <pt::PageTableFormat Format>
struct Places {
  // An address in the upper part of the user's, and areas of `kAreaPages`: the second lies across two leaf
  // tables, the others in tables of their own up to the root (as far as the format has roots that large).
  static constexpr u64 kAreaPages = 64;
  static constexpr Gva kAcrossTables{0x4000'0000 + Format::table_bytes(1) - pages_to_bytes(kAreaPages / 2)};
  static constexpr unsigned kAddressBits = Format::kLevels == 5 ? 57 : Format::kLevels == 4 ? 48 : 32;
  static constexpr Gva kBase{u64{7} << (kAddressBits - 4)};
  static constexpr Gva kAreas[] = {
      Gva{0x40'0000}, kAcrossTables,
      kAddressBits == 57   ? Gva{u64{1} << 49}
      : kAddressBits == 48 ? Gva{u64{1} << 38}
                           : Gva{0x8000'0000},
      kAddressBits == 32 ? Gva{0xbf00'0000} : Format::kUserRange.end - 0xffff'0000};
  static constexpr Gva kWindowArea =
      Format::kWindowRange.begin + Format::table_bytes(1) - pages_to_bytes(kAreaPages / 2);
};

}  // namespace nopte::model
