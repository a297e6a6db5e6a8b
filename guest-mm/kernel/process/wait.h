// Children that ended or stopped, and the parents that ask.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;
struct Thread;

// Stops the running process until SIGCONT or SIGKILL; its parent is told once all threads have stopped.
void stop_process(i32 signal);
// The same without stopping the running thread yet. False: it is not to stop.
bool begin_stop(i32 signal);
// The running thread, which is traced, stops with its process now, as far as others count.
void count_as_parked(Process& process);
// The parent is told of the end of a process that its tracer has seen end.
void tell_parent_of_end(Process& process);
// Stops the running thread, whose process is to stop.
void park_thread();
// SIGCONT or SIGKILL went to a stopped process: it runs again.
void note_continued(Process& process);
// Whether nobody outside of the group, but in its session, is the parent of one of it: nobody could make it
// go on. `without` does not count.
bool orphaned_group(i32 pgid, const Process* without = nullptr);
// Waits look for what traced threads have to report, or no more.
void look_for_tracees(bool look);
// Ends the wait for the thread when it leaves the address space of who made it (exec, exit).
void finish_vfork(Thread& thread);

}  // namespace nopte::guest
