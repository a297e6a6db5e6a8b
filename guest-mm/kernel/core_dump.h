// The file that a process leaves which a signal ends (core(5)).
#pragma once

#include "guest-mm/kernel/arch.h"
#include "pvops/base/types.h"

namespace nopte::guest {

// What wait4 reports of such a process: the signal, and 0x80 with it when its memory was written to a file,
// as the signal, RLIMIT_CORE, PR_SET_DUMPABLE and /proc/sys/kernel/core_pattern ask for. Of the running
// process.
i32 end_by_signal(i32 signal, const UserRegisters& registers);

}  // namespace nopte::guest
