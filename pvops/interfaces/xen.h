// Xen's interface for guests with page tables of their own ("direct paging"): the guest's tables are the ones
// that the processor walks; the guest reads them, and every change is a call that is checked. See
// papers/interface-xen.md. Numbers, layouts, flags and errors are those of Xen's public headers (xen.h,
// errno.h, arch-x86/xen-x86_64.h of 4.17); what differs is marked ours.
//
// Pointers are kernel addresses of the caller, translated by its own tables; lists are aligned to 8 bytes,
// done_out to 4 (ours).
#pragma once

#include "pvops/interfaces/tag.h"

namespace nopte::abi::xen {

// Hypercalls.
inline constexpr u32 kMmuUpdate = 1;         // requests, count, done_out, domain
inline constexpr u32 kMulticall = 13;        // calls, count
inline constexpr u32 kUpdateVaMapping = 14;  // address, value, flags
inline constexpr u32 kMmuextOp = 26;         // operations, count, done_out, domain

// The caller's own domain; no other exists here.
inline constexpr u64 kDomainSelf = 0x7ff0;

struct MmuUpdate {
  u64 ptr;  // machine address of the entry; bits 0 and 1 are the command
  u64 val;
};
inline constexpr u64 kCommandMask = 3;
inline constexpr u64 kNormalUpdate = 0;
inline constexpr u64 kMachphysUpdate =
    1;                                  // -ENOSYS: the machine-to-physical table is the hypervisor's (ours)
inline constexpr u64 kPreserveAd = 2;   // the accessed and dirty bits of the entry are kept
inline constexpr u64 kNoTranslate = 3;  // as kNormalUpdate for a domain that is not translated

struct MmuextOp {
  u32 cmd;  // Mmuext
  u32 reserved;
  u64 arg1;  // machine frame, or linear address
  u64 arg2;  // source frame, or address of a mask of vCPUs
};
// The commands that transpose; the others are -ENOSYS.
enum class Mmuext : u32 {
  kPinL1 = 0,
  kPinL2 = 1,
  kPinL3 = 2,
  kPinL4 = 3,
  kUnpin = 4,
  kNewBaseptr = 5,
  kTlbFlushLocal = 6,
  kInvlpgLocal = 7,
  kTlbFlushMulti = 8,
  kInvlpgMulti = 9,
  kTlbFlushAll = 10,
  kInvlpgAll = 11,
  kNewUserBaseptr = 15,  // -ENOSYS here: the container has one root (ours)
  kClearPage = 16,
  kCopyPage = 17,
};

struct MulticallEntry {
  u64 op;
  u64 result;
  u64 args[6];
};

// Flags of kUpdateVaMapping. Bits 2 and up: 0 this vCPU, 1 all vCPUs, else the address of a mask of vCPUs.
inline constexpr u64 kFlushTypeMask = 3;
inline constexpr u64 kFlushNone = 0, kFlushTlb = 1, kFlushPage = 2;
inline constexpr u64 kFlushLocal = u64{0} << 2, kFlushAllVcpus = u64{1} << 2;

// Entries in one call, for each of the three calls that take a list; more is -EINVAL (ours; Xen goes on by
// itself). A call whose work is more than the hypervisor does at once answers -ERESTART after a prefix, told
// in *done_out, and is issued again for the rest (ours: Xen restarts the instruction).
inline constexpr u64 kMaxBatch = 1024;

// Errors are negative in the value; the status then is not kOk.
enum class Errno : u32 {
  kNone = 0,
  kPerm = 1,      // a frame, or a domain, that is not the caller's
  kFault = 14,    // a pointer that the caller's tables do not map, or not for writing
  kBusy = 16,     // the frame is of another type and in use
  kInval = 22,    // everything that is malformed
  kNosys = 38,    // a call or operation that does not transpose
  kRestart = 85,  // stopped; issue the rest again
};
constexpr u64 as_value(Errno error) { return ~u64{static_cast<u32>(error)} + 1; }

// The machine-to-physical table: entry m is the guest's frame number of machine frame m. Read-only. The
// top-level slots from there on are the hypervisor's; all but the first are empty (ours).
inline constexpr u64 kMachineToPhysical = 0xffff'8000'0000'0000;
inline constexpr unsigned kReservedSlot = 256;
inline constexpr unsigned kReservedSlots = 16;
static_assert((kMachineToPhysical >> 39 & 511) == kReservedSlot);
constexpr bool is_reserved_slot(u64 index) { return index - kReservedSlot < kReservedSlots; }

}  // namespace nopte::abi::xen
