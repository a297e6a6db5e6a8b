// A hypercall of Xen's from a kernel at ring 3: SYSCALL with the number in rax, arguments in rdi, rsi, rdx,
// r10; the answer in rax, negative for an error. A call that Xen interrupts goes on by itself, with arguments
// that it has changed in the registers. Source: Xen's arch-x86/xen-x86_64.h.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

inline i64 xen_call(u64 number, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0) {
  register u64 r10 asm("r10") = a3;
  asm volatile("syscall" : "+a"(number), "+D"(a0), "+S"(a1), "+d"(a2), "+r"(r10)::"rcx", "r11", "memory");
  return static_cast<i64>(number);
}
template <class T>
u64 xen_argument(const T& argument) {
  return reinterpret_cast<u64>(&argument);
}

}  // namespace nopte
