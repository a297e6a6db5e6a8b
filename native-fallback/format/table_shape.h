// The shape of a tree of page tables: how many levels, and which bits of an address index each. Shared by
// the formats of this folder.
#pragma once

#include "native-fallback/frames/phys.h"

namespace nopte::pt {

// Level 1 holds the leaf entries, level `depth` is the root; its index may have fewer bits than the others'.
template <class EntryType, unsigned depth, unsigned bits, unsigned root_bits = bits>
struct TableShape {
  using Entry = EntryType;

  static constexpr unsigned kLevels = depth;
  static constexpr unsigned kIndexBits = bits;
  static constexpr unsigned kEntriesPerTable = 1u << kIndexBits;
  static_assert(sizeof(Entry) * kEntriesPerTable == kPageBytes);

  static constexpr unsigned index_bits(unsigned level) {
    if constexpr (root_bits == bits) return bits;
    return level == kLevels ? root_bits : bits;
  }
  static constexpr unsigned entries(unsigned level) { return 1u << index_bits(level); }
  static constexpr unsigned level_shift(unsigned level) {
    return static_cast<unsigned>(kPageShift) + (level - 1) * kIndexBits;
  }
  // Bytes that one entry of a table of this level maps.
  static constexpr u64 entry_bytes(unsigned level) { return u64{1} << level_shift(level); }
  static constexpr u64 table_bytes(unsigned level) { return entry_bytes(level) << index_bits(level); }
  static constexpr unsigned table_index(Gva va, unsigned level) {
    return (va.value() >> level_shift(level)) & (entries(level) - 1);
  }
};

}  // namespace nopte::pt
