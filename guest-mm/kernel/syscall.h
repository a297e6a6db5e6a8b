// System calls: one handler per Linux x86-64 number, gathered in syscall_table.def.
#pragma once

#include "guest-mm/kernel/arch.h"

namespace nopte::guest {

// The six arguments as Linux passes them, and the whole register file for the few calls that need it.
struct SyscallArgs {
  u64 a0, a1, a2, a3, a4, a5;
  UserRegisters& registers;
};

// Numbers from here on are known to nobody.
inline constexpr u64 kMostCalls = 512;

// A handler returns a non-negative value or a negative errno (errno.h).
using SyscallHandler = i64 (*)(const SyscallArgs&);

// Handlers: i64 sys_<name>(const SyscallArgs&), one per row of syscall_table.def.
#define NOPTE_SYSCALL(number, name) i64 sys_##name(const SyscallArgs& args);
#include "guest-mm/kernel/syscall_table.def"
#undef NOPTE_SYSCALL

// From now on, or no more, traced threads' calls go through call_of_traced() (process/ptrace.h).
void watch_calls(bool watched);
// What is left of a traced thread's call once its tracer has seen it: filters, and the handler.
i64 make_traced_call(const SyscallArgs& args);

}  // namespace nopte::guest
