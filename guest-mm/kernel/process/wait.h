// Children that ended or stopped, and the parents that ask.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;
struct Thread;

// Stops the running process until SIGCONT or SIGKILL; its parent is told once all threads have stopped.
void stop_process(i32 signal);
// Stops the running thread, whose process is to stop.
void park_thread();
// SIGCONT or SIGKILL went to a stopped process: it runs again.
void note_continued(Process& process);
// Whether nobody outside of the group, but in its session, is the parent of one of it: nobody could make it
// go on. `without` does not count.
bool orphaned_group(i32 pgid, const Process* without = nullptr);
// Ends the wait for the thread when it leaves the address space of who made it (exec, exit).
void finish_vfork(Thread& thread);

}  // namespace nopte::guest
