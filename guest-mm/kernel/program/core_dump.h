// Core files (core(5)): what a process leaves that a signal ends, as far as RLIMIT_CORE and
// /proc/sys/kernel/core_pattern allow.
#pragma once

#include "guest-mm/kernel/arch.h"

namespace nopte::guest {

// In a wait status: there is a core file.
inline constexpr i32 kCoreDumped = 0x80;

// The running process is about to end by the signal: kCoreDumped, or 0 if it leaves no file. A file that is
// too long for the limit, or for which memory is short, is cut.
i32 leave_core(i32 signal, const UserRegisters& registers);

}  // namespace nopte::guest
