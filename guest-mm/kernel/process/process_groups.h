// Who is in which process group: chains of processes by the group's number, whose length is that of the
// groups.
//
// Concurrency: as the process table.
#pragma once

#include "pvops/base/function_ref.h"
#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;

// Makes it one of the group `pgid`, which may be new; it leaves its earlier one.
void join_group(Process& process, i32 pgid);
void leave_group(Process& process);
// Those that ended and were not waited for included, who joined last first. `visit` joins and leaves nobody.
void for_each_of_group(i32 pgid, FunctionRef<void(Process&)> visit);
// Whether one of them is wanted; asks no more behind the first that is.
bool any_of_group(i32 pgid, FunctionRef<bool(const Process&)> wanted);

}  // namespace nopte::guest
