// In place of the instruction: the guest's stubs (pvops/guest/hypercall_mm.cc) are compiled over this in the
// hosted tests.
#pragma once

#include "pvops/abi/hypercalls.h"

namespace nopte::pv {

struct HypercallResult {
  Status status;
  u64 value;
};

// The hypervisor of this process (tests/conformance/hosted/vma_home.cc).
HypercallResult hosted_vmmcall(abi::Call call, const abi::Registers& arguments);

inline HypercallResult vmmcall(abi::Call call, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) {
  return hosted_vmmcall(call, {a0, a1, a2, a3, a4, a5});
}
inline HypercallResult vmmcall(abi::Call call, u64 a0, u64 a1, u64 a2) {
  return hosted_vmmcall(call, {a0, a1, a2, 0, 0, 0});
}

}  // namespace nopte::pv

namespace nopte {

// Nobody interrupts this process's kernel.
inline void take_interrupts() {}

}  // namespace nopte
