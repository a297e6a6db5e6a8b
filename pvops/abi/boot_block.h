// The entry contract: what a guest finds when it starts.
//
// An image announces its entries by ELF notes:
//   name "Xen",   type 18: the 32-bit PVH entry, physical (bare machine; QEMU -kernel)
//   name "nopte", type 1:  EntryNote, the 64-bit entry under the hypervisor
//
// At the 64-bit entry: long mode, CPL 0, interrupts off, rdi = address of the boot block, rsp undefined,
// other registers zero. CR0, CR4 and EFER have the entry constants below.
//   kind kRegions   (mode vma): the image's segments are committed kernel regions at their virtual addresses
//       with their ELF rights; the segments flagged kSegmentTranslation are left out; rdi is a kernel virtual
//       address. There is nothing else: no physical address is named.
//   kind kPhysical  (modes nested, shadow, ...): the image lies at its ELF physical addresses in
//       guest-physical memory that begins at 0; CR3 = EntryNote::boot_root (tables inside the image that map
//       the low 1 GiB at 0 and at the image's base); rdi is a guest-physical address below 1 GiB.
//   kind kMachine   (mode xen): as kPhysical, but guest frames are machine frames in another order, and CR3
//   is
//       a pinned root of the hypervisor's making: every guest frame is seen at kMachineDirectBase, tables
//       read-only, and the image where it is linked; rdi is an address in that direct map. The fields below
//       name what was made. All of this is ours; Xen's start_info says the like.
// The native entry makes the same block from PVH's start info, kind kPhysical.
#pragma once

#include <string_view>

#include "pvops/base/types.h"

namespace nopte::abi {

struct EntryNote {
  u64 entry_va;   // 64-bit entry point
  u64 boot_root;  // physical address of the boot page table (kPhysical only)
};
inline constexpr u32 kEntryNoteType = 1;

// p_flags bit (in PF_MASKOS) of a segment that holds the translation layer: not loaded in mode vma.
inline constexpr u32 kSegmentTranslation = 0x0010'0000;

inline constexpr u32 kBootMagic = 0x626f6f74;
inline constexpr u64 kCommandLineBytes = 2048;

enum class BootKind : u32 { kRegions = 1, kPhysical = 2, kMachine = 3 };

// kMachine: where guest frame 0 is seen.
inline constexpr u64 kMachineDirectBase = 0xffff'8800'0000'0000;

// CR0: PG|WP|NE|MP|PE (TS and EM clear), CR4: PAE|PGE|OSFXSR|OSXMMEXCPT|OSXSAVE|FSGSBASE|SMEP,
// EFER: SCE|LME|LMA|NXE.
inline constexpr u64 kEntryCr0 = 0x8001'0033;
inline constexpr u64 kEntryCr4 = 0x0015'06a0;
inline constexpr u64 kEntryEfer = 0x0000'0d01;

// BootBlock::under_hypervisor. Xen does not make a block: the guest's own entry for it does.
inline constexpr u32 kOurHypervisor = 1, kXenHypervisor = 2;

inline constexpr u64 kUserRoots = 16;

struct BootBlock {
  u32 magic = kBootMagic;
  u32 version = 1;
  BootKind kind{};
  u32 under_hypervisor = 0;  // kOurHypervisor: platform hypercalls are there
  u64 memory_bytes = 0;      // what the guest has
  u64 tsc_hz = 0;            // TSC ticks per second; now_ns counts from TSC zero
  u64 boot_wall_ns = 0;      // Unix time at TSC zero
  u32 initramfs_object = 0;  // kRegions: an object id, 0 for none
  u32 reserved = 0;
  u64 initramfs_physical = 0;  // kPhysical: where it lies, page-aligned
  u64 initramfs_bytes = 0;
  u64 violation_block = 0;     // kRegions: kernel address of the ViolationBlock, committed
  u64 command_line_bytes = 0;  // without a terminator
  char command_line[kCommandLineBytes] = {};
  // kMachine; all but the first are guest frame numbers.
  u64 machine_list = 0;  // kernel address: the machine frame of each guest frame, 8 bytes each
  u64 built_begin = 0;   // the hypervisor built the list and the tables in [built_begin, built_end)
  u64 built_end = 0;
  u64 boot_root = 0;      // the root that CR3 holds
  u64 direct_table = 0;   // the direct map's table of level 3
  u64 direct_leaves = 0;  // its leaf tables are contiguous: the nth maps guest frames 512 n to 512 n + 511
  u64 user_roots =
      0;  // kXenHypervisor: kUserRoots pinned roots of nothing in a row; user mode runs on the first
};

// The command line of a block that somebody else made: a length that cannot be is no line.
constexpr std::string_view command_line_of(const BootBlock& block) {
  return {block.command_line, block.command_line_bytes <= kCommandLineBytes ? block.command_line_bytes : 0};
}

// Written by the hypervisor before it raises vector 14 for an access that no region allows. CR2 and the error
// code are as the processor gives them; the reason is what they cannot say.
struct ViolationBlock {
  u32 reason = 0;  // ViolationReason
  u32 space = 0;
  u64 address = 0;
};

}  // namespace nopte::abi
