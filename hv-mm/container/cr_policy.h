// CR0 and CR4: the entry constants of the ABI, of which a guest may change only what does not concern paging
// (and what its own paging may choose in mode nested). A write that changes anything else is #GP(0).
#pragma once

#include "pvops/abi/boot_block.h"
#include "pvops/base/types.h"

namespace nopte::hv {

// Who owns the paging bits of CR0, CR4 and EFER. kShadowed: the hypervisor, but the guest flushes its TLB by
// CR4.PGE.
enum class PagingControl : u8 { kHypervisor, kShadowed, kGuest };

inline constexpr u64 kCr0Mp = 1 << 1, kCr0Em = 1 << 2, kCr0Ts = 1 << 3, kCr0Wp = 1 << 16, kCr0Am = 1 << 18;
inline constexpr u64 kCr4Tsd = 1 << 2, kCr4De = 1 << 3, kCr4Pse = 1 << 4, kCr4Pge = 1 << 7,
                     kCr4Osfxsr = 1 << 9, kCr4Osxmmexcpt = 1 << 10, kCr4Fsgsbase = 1 << 16,
                     kCr4Osxsave = 1 << 18, kCr4Smep = 1 << 20;

constexpr u64 free_cr0_bits(PagingControl control) {
  return kCr0Mp | kCr0Em | kCr0Ts | kCr0Am | (control == PagingControl::kGuest ? kCr0Wp : 0);
}
constexpr u64 free_cr4_bits(PagingControl control) {
  return kCr4Tsd | kCr4De | kCr4Osfxsr | kCr4Osxmmexcpt | kCr4Fsgsbase | kCr4Osxsave |
         (control != PagingControl::kHypervisor ? kCr4Pge : 0) |
         (control == PagingControl::kGuest ? kCr4Pse | kCr4Smep : 0);
}
constexpr bool cr0_allowed(u64 value, PagingControl control) {
  return ((value ^ abi::kEntryCr0) & ~free_cr0_bits(control)) == 0;
}
constexpr bool cr4_allowed(u64 value, PagingControl control) {
  return ((value ^ abi::kEntryCr4) & ~free_cr4_bits(control)) == 0;
}

// XCR0: x87 always, AVX needs SSE, nothing else is offered.
constexpr bool xcr0_allowed(u64 value, u64 offered) {
  return (value & 1) && (value & ~(offered & 7)) == 0 && !((value & 4) && !(value & 2));
}

}  // namespace nopte::hv
