// KVM's paravirtual MMU in its second form (PVM): the guest writes its own page-table entries and reports
// them in batches through a shared page; a table that stops being one is reported too. See
// papers/interface-kvmpv.md. Numbers, flags, and the register are the interface's; the layout of the shared
// page and of the register's value are ours.
#pragma once

#include "pvops/interfaces/tag.h"

namespace nopte::abi::kvmpv {

// Registers the shared page: its guest-physical address, page-aligned, with bit 0 set; 0 takes it back
// (ours).
inline constexpr u32 kBufferMsr = 0x4b56'4d09;
inline constexpr u64 kBufferEnable = 1;

inline constexpr u32 kReleasePt = 9;  // a0: guest-physical address of the table
inline constexpr u32 kSetPtes = 10;   // a0: first index in the buffer, a1: count, a2: flags and address

// Flags of SET_PTES; bits 12 and up are the address that kInvlpg is about (ours); bits 3 to 11 are reserved.
inline constexpr u64 kTlbFlush = u64{1} << 0;
inline constexpr u64 kTlbFlushCurrent = u64{1} << 1;
inline constexpr u64 kInvlpg = u64{1} << 2;
inline constexpr u64 kFlagBits = 0xfff;
inline constexpr u64 kKnownFlags = kTlbFlush | kTlbFlushCurrent | kInvlpg;

// The shared page: guest-physical addresses of entries that the guest has written (ours). What they say now
// is read from the guest's table, so that a report never shows more than the table does.
inline constexpr u64 kSlots = 512;

// Errors, as KVM has them: negative in the value.
inline constexpr u64 kErrorNoSuchCall = ~u64{1000} + 1;
inline constexpr u64 kErrorFault = ~u64{14} + 1;    // an address outside the guest's memory
inline constexpr u64 kErrorInvalid = ~u64{22} + 1;  // reserved flags, indices, alignment, no buffer

}  // namespace nopte::abi::kvmpv
