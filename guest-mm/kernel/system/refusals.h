// What programs asked for in vain, for the report at power-off: calls that are not there, and operations of
// calls that are refused because they are not built. What Linux refuses, too, is not among them.
#pragma once

#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

// Counts an operation that is not built; the answer is `error`. `what` lives for ever.
[[gnu::cold]] i64 not_built(const SyscallArgs& args, const char* what, i64 error);
// Counts a call that is not there: -kENOSYS.
[[gnu::cold]] i64 no_such_call(const SyscallArgs& args);
// Writes a line for each: how often, who asked first, and with what.
void report_refusals();

}  // namespace nopte::guest
