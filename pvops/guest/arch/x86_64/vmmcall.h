// VMMCALL with the register convention of pvops/abi/hypercalls.def: number in rax, arguments in rdi, rsi,
// rdx, r10, r8, r9; status in rax, value in rdx, every other register preserved.
#pragma once

#include "pvops/abi/hypercalls.h"
#include "pvops/arch/x86_64/interrupt_window.h"

namespace nopte::pv {

struct HypercallResult {
  Status status;
  u64 value;
};

inline HypercallResult vmmcall(abi::Call call, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5) {
  u64 status = static_cast<u64>(call);
  u64 value = a2;
  register u64 r10 asm("r10") = a3;
  register u64 r8 asm("r8") = a4;
  register u64 r9 asm("r9") = a5;
  asm volatile("vmmcall"
               : "+a"(status), "+d"(value)
               : "D"(a0), "S"(a1), "r"(r10), "r"(r8), "r"(r9)
               : "memory");
  return {static_cast<Status>(status), value};
}

// Calls of at most three arguments leave the other registers as they are.
inline HypercallResult vmmcall(abi::Call call, u64 a0, u64 a1, u64 a2) {
  u64 status = static_cast<u64>(call);
  u64 value = a2;
  asm volatile("vmmcall" : "+a"(status), "+d"(value) : "D"(a0), "S"(a1) : "memory");
  return {static_cast<Status>(status), value};
}

}  // namespace nopte::pv
