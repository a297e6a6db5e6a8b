// Children that ended or stopped, and the parents that ask.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;

// Stops the running process until SIGCONT or SIGKILL, telling its parent.
void stop_process(i32 signal);
// SIGCONT went to a stopped process.
void note_continued(Process& process);
// Ends all that waits for the process when it leaves its parent's address space (exec, exit).
void finish_vfork(Process& process);

}  // namespace nopte::guest
