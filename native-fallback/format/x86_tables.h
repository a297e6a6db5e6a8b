// What the x86 formats share beside their entries: the shape of the tree of tables, and what most of them
// answer alike (a format that differs answers for itself).
#pragma once

#include "native-fallback/format/x86_entry.h"

namespace nopte::pt {

// Level 1 holds the 4 KiB leaves, level `depth` is the root; its index may have fewer bits than the others'.
template <class EntryType, unsigned depth, unsigned bits, unsigned root_bits = bits>
struct X86Tables {
  using Entry = EntryType;

  // --- the tree ---
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

  // Frames from here on have no entry in some table, or cannot be roots.
  static constexpr Frame kPoolLimit{(u64{Entry::kFrameMask} >> kPageShift) + 1};

  // --- the root ---
  // The processor reads the root when it is loaded and at no other time.
  static constexpr bool kFixedRoot = false;

  // --- entries ---
  // What lies at `level` and refers to a table of the level below; its rights, if it has any, are full.
  static constexpr Entry table_entry(Frame table, Privilege privilege, unsigned) {
    return Entry::table(table, privilege);
  }
  // Entries of this level take rights away from those below.
  static constexpr bool has_rights(unsigned) { return true; }
  // The first frame of a leaf of this level, and the same bits as a leaf of this level around another.
  static constexpr Frame leaf_frame(Entry leaf, unsigned level) {
    return level == 1 ? leaf.frame() : leaf.large_frame();
  }
  static constexpr Entry leaf_at(Entry leaf, Frame first, unsigned level) {
    return level == 1 ? leaf.as_small(first) : leaf.as_large(first);
  }
  // What a leaf made with these rights lets through: no entry can be written or executed and not read, and
  // without a no-execute bit each that can be read can be executed. This, not `perm`, is what installed
  // rights are measured against.
  static constexpr Perm granted(Perm perm) {
    if (perm.none()) return perm;
    return perm | (Entry::kNoExecute != 0 ? kPermR : kPermRX);
  }
};

}  // namespace nopte::pt
