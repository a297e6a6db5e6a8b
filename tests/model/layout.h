// A format's addresses as values: where its halves lie, and where the tests' programs have memory.
#pragma once

#include <array>

#include "native-fallback/format/format.h"

namespace nopte::model {

struct Layout {
  unsigned levels;
  u64 entries_per_table;
  u64 leaf_table_bytes;  // what one leaf table maps
  VaRange user, windows, kmem, image, direct;
  // What may be done where this was promised: up to what the format has no way to refuse.
  Perm (*granted)(Perm promised);

  // An address in the upper part of the user's, and areas of `kAreaPages`: the second lies across two leaf
  // tables, the others in tables of their own up to the root (as far as the format has roots that large).
  static constexpr u64 kAreaPages = 64;
  Gva base;
  std::array<Gva, 4> areas;
  Gva window_area;

  // A page that can be read can be executed, whatever was promised.
  [[nodiscard]] bool all_executable() const { return granted(kPermR).exec(); }
};

template <pt::PageTableFormat Format>
constexpr Layout layout_of() {
  constexpr u64 kLeaf = Format::table_bytes(1);
  constexpr u64 kHalfArea = pages_to_bytes(Layout::kAreaPages / 2);
  constexpr unsigned kAddressBits = Format::kLevels == 5 ? 57 : Format::kLevels == 4 ? 48 : 32;
  return {.levels = Format::kLevels,
          .entries_per_table = Format::kEntriesPerTable,
          .leaf_table_bytes = kLeaf,
          .user = Format::kUserRange,
          .windows = Format::kWindowRange,
          .kmem = Format::kKmemRange,
          .image = Format::kImageRange,
          .direct = Format::kDirectRange,
          .granted = [](Perm promised) { return Format::granted(promised); },
          .base = Gva{u64{7} << (kAddressBits - 4)},
          .areas = {Gva{0x40'0000}, Gva{0x4000'0000 + kLeaf - kHalfArea},
                    kAddressBits == 57   ? Gva{u64{1} << 49}
                    : kAddressBits == 48 ? Gva{u64{1} << 38}
                                         : Gva{0x8000'0000},
                    kAddressBits == 32 ? Gva{0xbf00'0000} : Format::kUserRange.end - 0xffff'0000},
          .window_area = Format::kWindowRange.begin + kLeaf - kHalfArea};
}

}  // namespace nopte::model
