// The hypervisor's own interrupt table. Interrupts and NMIs are only taken in the interrupt windows that
// machine.cc opens; an exception is our own bug and ends in a report. NMI, #DF and #MC have stacks of their
// own: the first come when they like, and a double fault where the stack has ended. Source: APM vol.
// 2, 8.9.4.
#pragma once

#include "pvops/base/types.h"

namespace nopte::hv {

inline constexpr u8 kHostTimerVector = 0x40;
inline constexpr u8 kHostConsoleVector = 0x41;

// The order is traps.S's.
struct TrapFrame {
  u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
  u64 vector, error_code;
  u64 rip, cs, rflags, rsp, ss;
};

// Loads the interrupt table, and the task state with the stacks. From then on TR is the hypervisor's,
// whenever the guest does not run.
void install_traps();

}  // namespace nopte::hv
