// Calls of other hypervisors' page-table interfaces share VMMCALL with our own ABI. So that their numbers do
// not collide, rax = tag << 32 | the interface's own number (ours). Arguments are in rdi, rsi, rdx, r10, r8,
// r9 and the answer is rax = status, rdx = value, as in our ABI: rbx, which KVM's convention uses, stays in
// the processor at this exit (ours). A refused call answers a status that is not kOk with the interface's own
// error as value. One bit of CPUID's feature word offers each interface (pvops/abi/hypercalls.h).
#pragma once

#include "pvops/base/types.h"

namespace nopte::abi {

inline constexpr u64 kInterfaceTags = 0x4e50;  // bits 48 to 63 of every tagged number

enum class Interface : u32 {
  kXen = 0x4e50'0001,
  kVmi = 0x4e50'0002,
  kLguest = 0x4e50'0003,
  kKvmPv = 0x4e50'0004
};

constexpr u64 tagged(Interface interface, u32 number) {
  return u64{static_cast<u32>(interface)} << 32 | number;
}
constexpr bool is_tagged(u64 number) { return number >> 48 == kInterfaceTags; }
constexpr bool is_of(u64 number, Interface interface) { return number >> 32 == static_cast<u32>(interface); }

}  // namespace nopte::abi
