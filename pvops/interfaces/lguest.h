// lguest's memory interface, transposed to 8-byte entries and 4 levels: the guest writes its page tables and
// says which entry of which root changed, at once or in a ring that the hypervisor empties later. See
// papers/interface-lguest.md. Numbers, what a call names (a root and an address, never a table), the ring's
// length and its status bytes are the interface's; the 4 levels, the ring's registration, and errors are
// ours.
#pragma once

#include "pvops/interfaces/tag.h"

namespace nopte::abi::lguest {

inline constexpr u32 kFlushAsync = 0;  // nothing of its own: the ring is emptied
inline constexpr u32 kInit = 1;        // a0: guest-physical address of the ring's page, once (ours)
inline constexpr u32 kNewPgtable = 4;  // a0: guest-physical root to run on
inline constexpr u32 kFlushTlb = 5;    // a0: 0: user addresses of the root in use, else: everything
inline constexpr u32 kSetPmd = 13;     // a0: root, a1: address | level of the entry, 2 or 3 (ours)
inline constexpr u32 kSetPte = 14;     // a0: root, a1: address, a2: entry
inline constexpr u32 kSetPgd = 15;     // a0: root, a1: index of the entry

inline constexpr u64 kSetPmdLevel = 0xfff;  // these bits of a1

// The ring, one page. The guest fills the slot behind the one that it filled last, if that is free, and then
// its status; the hypervisor performs the calls in that order and frees their slots. It takes SET_PMD,
// SET_PTE, SET_PGD and FLUSH_TLB.
inline constexpr u64 kRingSlots = 64;
inline constexpr u8 kSlotFree = 0xff;
inline constexpr u8 kSlotFilled = 0;
struct RingCall {
  u64 number;
  u64 arguments[3];
};
struct alignas(kPageBytes) Ring {
  u8 status[kRingSlots];
  RingCall calls[kRingSlots];
};
static_assert(sizeof(Ring) == kPageBytes);

// lguest kills a guest that calls nonsense. Here that is the end of one whose ring holds a call that would be
// refused, as nobody waits for its answer; a call at once has one of these values, and nothing has changed
// (ours).
inline constexpr u64 kErrorNoSuchCall = ~u64{38} + 1;
inline constexpr u64 kErrorFault = ~u64{14} + 1;    // a root or a frame outside the guest's memory
inline constexpr u64 kErrorInvalid = ~u64{22} + 1;  // alignment, addresses, levels, indices, reserved bits
inline constexpr u64 kErrorExists = ~u64{17} + 1;   // there is a ring already

}  // namespace nopte::abi::lguest
