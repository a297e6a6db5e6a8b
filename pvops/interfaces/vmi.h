// VMware's Virtual Machine Interface, version 3.0, transposed to 8-byte entries and 4 levels: the guest
// writes its page-table entries through the interface, which may gather the writes. See
// papers/interface-vmi.md. Numbers and flags are the interface's. In VMI its code is a ROM in the guest; how
// that ROM and its hypervisor speak with each other is nobody's business, so the queue, the errors, and the
// order of the arguments in registers are ours.
#pragma once

#include "pvops/interfaces/tag.h"

namespace nopte::abi::vmi {

inline constexpr u32 kSetCr3 = 17;         // a0: guest-physical root
inline constexpr u32 kGetCr3 = 21;         // answers it
inline constexpr u32 kSetPxELong = 39;     // a0: entry, a1: pointer, a2: update flags: writes the entry
inline constexpr u32 kUpdatePxELong = 41;  // a0: pointer, a1: update flags: the guest has written it
inline constexpr u32 kAllocatePage =
    44;  // a0: page number, a1: page flags, a2: clone from, a3: first, a4: count
inline constexpr u32 kReleasePage = 45;       // a0: page number, a1: page flags
inline constexpr u32 kInvalPage = 46;         // a0: address
inline constexpr u32 kFlushTlb = 47;          // a0: kFlush...
inline constexpr u32 kSetLinearMapping = 48;  // a0: slot, a1: address, a2: pages, a3: page number
inline constexpr u32 kSetLazyMode = 73;       // a0: mode
inline constexpr u32 kSetQueue = 0x1000;  // a0: guest-physical address of the queue, 0 takes it back (ours)

// Page types: exactly one in every call that has flags.
inline constexpr u64 kPagePt = 1;
inline constexpr u64 kPagePd = 2;
inline constexpr u64 kPagePdp = 4;
inline constexpr u64 kPagePml4 = 8;
inline constexpr u64 kPageTypes = kPagePt | kPagePd | kPagePdp | kPagePml4;
constexpr u64 page_type(unsigned level) { return u64{1} << (level - 1); }
constexpr bool one_page_type(u64 flags) {
  const u64 types = flags & kPageTypes;
  return types != 0 && (types & (types - 1)) == 0;
}

// AllocatePage and ReleasePage.
inline constexpr u64 kPagePae = 0x10;  // entries of 8 bytes; others are refused (ours)
inline constexpr u64 kPageClone =
    0x20;  // AllocatePage of a PML4: entries shown of another root are shown of this
inline constexpr u64 kPageZeroed = 0x40;

// SetPxELong and UpdatePxELong; bits 12 and up are the address that the entry maps, with kCurrentAs.
inline constexpr u64 kCurrentAs = 0x10;
inline constexpr u64 kDefer = 0x20;  // may be queued until an invalidation; only with kCurrentAs
inline constexpr u64 kUpdateFlagBits = 0xfff;
inline constexpr u64 kKnownUpdateFlags = kPageTypes | kCurrentAs | kDefer;

inline constexpr u64 kFlushTlbEntries = 1;
inline constexpr u64 kFlushGlobal = 2;

inline constexpr u64 kLinearSlots = 4;  // slot 0: the linear map of memory

inline constexpr u64 kLazyNone = 0;
inline constexpr u64 kLazyMmu = 1;

// --- ours --------------------------------------------------------------------------------------------------

// What the ROM's part in the guest has gathered, one page that the hypervisor reads before every call of the
// interface and before it looks at the guest's tables for a fault, INVLPG or CR3: then it is empty. Words are
// calls in the order in which they were made; the lowest three bits say which:
//   1 to 4   UpdatePxELong of a table of this level; the rest is the pointer
//   5        AllocatePage: page number << 12 | page flags << 3, and a second word, clone from << 24 | first
//   << 12 | count 6        ReleasePage: page number << 12 | page flags << 3
// A queue with a word that would be refused as a call is dropped whole, and so is the call that met it.
inline constexpr u64 kQueueWords = 511;
struct alignas(kPageBytes) Queue {
  u64 count;
  u64 words[kQueueWords];
};
static_assert(sizeof(Queue) == kPageBytes);

inline constexpr u64 kWordOp = 7;
inline constexpr u64 kWordAllocate = 5;
inline constexpr u64 kWordRelease = 6;
inline constexpr unsigned kWordFlagsShift = 3;
inline constexpr unsigned kWordPageShift = 12;
inline constexpr unsigned kWordFirstShift = 12;
inline constexpr unsigned kWordCloneShift = 24;

// VMI's calls have no answer. Here a refused one has this value; nothing has changed.
inline constexpr u64 kErrorNoSuchCall = 1;
inline constexpr u64 kErrorFlags =
    2;  // reserved bits, no or several page types, modes and slots that are none
inline constexpr u64 kErrorPointer = 3;  // outside the linear map, not aligned, not canonical
inline constexpr u64 kErrorPage = 4;     // outside the guest's memory
inline constexpr u64 kErrorQueue = 5;    // what was queued is refused

}  // namespace nopte::abi::vmi
