// The native entry of both images (pvh_entry.S): PVH's 32-bit entry to long mode on static boot tables that
// map the low 1 GiB at 0 and at kImageOffset, and 8 GiB at 0. What the loader hands over is read by
// pvops/arch/x86_64/pvh_info.h.
#pragma once

#include "pvops/base/types.h"

namespace nopte::pt {

// Where both images are linked: physical address = virtual address - kImageOffset.
inline constexpr u64 kImageOffset = 0xffff'ffff'8000'0000;

// What the boot tables map at 0.
inline constexpr u64 kBootTableBytes = u64{8} << 30;

struct HvmStartInfo;  // PVH's start info, opaque here

}  // namespace nopte::pt

// The image's own main, in long mode on the boot stack, interrupts off, .bss zero, boot tables active, no
// constructor run. The argument is a physical address (identity-mapped). Each image defines its own.
extern "C" [[noreturn]] void boot_main(const nopte::pt::HvmStartInfo* start);
// Root of the boot tables; its physical address is &boot_root - kImageOffset.
extern "C" const nopte::u64 boot_root[512];
