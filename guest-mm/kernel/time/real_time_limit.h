// RLIMIT_RTTIME: for how long a thread of a real-time policy may run without a sleep. SIGXCPU at the limit
// and each second past it, SIGKILL at the hard one (kernel/time/posix-cpu-timers.c, check_thread_timers).
// Nobody is counted as he runs: a timer of the process looks at those threads, the more often the nearer one
// is to the limit, and takes one that has slept since for one that begins then.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;
struct Thread;

// To be called before the limit is set, or inherited. Makes what it needs if there is a limit; false: no
// memory.
bool prepare_real_time_limit(Process& process, u64 microseconds);
// To be called when the limit has changed, or the process begins with one.
void follow_real_time_limit(Process& process);
// The thread's policy has changed.
void follow_policy(Thread& thread);
// By how many microseconds the limit has risen since, a second with each SIGXCPU.
u64 risen_real_time_limit(const Process& process);
// The process ends.
void drop_real_time_limit(Process& process);

}  // namespace nopte::guest
