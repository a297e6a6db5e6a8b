// The i386 PAE format: 32-bit addresses, 64-bit entries, and a root of four entries (32 bytes of a frame).
//
// The root's entries have P, PWT, PCD and the frame only; R/W, U/S, A, PS and NX are reserved there and must
// be zero. A processor loads all four when it loads CR3 and not again: the root must be complete before, and
// a slot that changes later is not seen. CR3 has 32 bits, so the root lies below 4 GiB. Sources: Intel SDM
// vol. 3A, 4.4 "PAE Paging", 4.4.1 "PDPTE Registers", tables 4-8 to 4-11; AMD64 Architecture Programmer's
// Manual vol. 2 (24593), 5.2.3.
#pragma once

#include "native-fallback/format/i386_layout.h"
#include "native-fallback/format/x86_tables.h"

namespace nopte::pt {

struct Pae : X86Tables<Entry, 3, 9, 2>, I386Layout {
  static constexpr unsigned kLargestLeaf = 2;  // 2 MiB
  static constexpr bool kFixedRoot = true;
  static constexpr Frame kPoolLimit{u64{1} << 20};  // any frame may become a root

  static constexpr bool has_rights(unsigned level) { return level < kLevels; }
  static constexpr Entry table_entry(Frame table, Privilege privilege, unsigned level) {
    const Entry entry = Entry::table(table, privilege);
    return level < kLevels ? entry : entry.without(Entry::kWritable | Entry::kUser | Entry::kAccessed);
  }
};

static_assert(Pae::entries(3) == 4 && Pae::table_bytes(3) == u64{1} << 32);
static_assert(Pae::table_index(Gva(0xffff'ffff), 3) == 3 && Pae::table_index(Gva(0xbfff'ffff), 3) == 2);
static_assert(Pae::table_entry(Frame(5), Privilege::kUser, 3).word() == 0x5001 &&
              Pae::table_entry(Frame(5), Privilege::kUser, 2).word() == 0x5027);

}  // namespace nopte::pt
