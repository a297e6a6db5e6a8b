// The i386 two-level format: 32-bit addresses, 32-bit entries, ten bits of index a level, 4 MiB leaves
// (CR4.PSE) in the root itself. It has no no-execute bit: whatever can be read can be executed (granted()); a
// region's promise not to be executed is kept at the first fault of a page and no later. Sources: Intel SDM
// vol. 3A, 4.3 "32-Bit Paging", tables 4-4 to 4-6; AMD64 Architecture Programmer's Manual vol. 2
// (24593), 5.2.2.
#pragma once

#include "native-fallback/format/i386_layout.h"
#include "native-fallback/format/x86_tables.h"

namespace nopte::pt {

struct TwoLevel : X86Tables<Entry32, 2, 10>, I386Layout {
  static constexpr unsigned kLargestLeaf = 2;  // 4 MiB
};

static_assert(TwoLevel::entry_bytes(2) == u64{4} << 20 && TwoLevel::table_bytes(2) == u64{1} << 32);
static_assert(TwoLevel::table_index(Gva(0xffff'ffff), 2) == 1023);
static_assert(TwoLevel::granted(kPermRW) == kPermRWX && TwoLevel::granted(kPermNone) == kPermNone);

}  // namespace nopte::pt
