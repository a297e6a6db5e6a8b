// Timers with a number (timer_create), and the interval timers of processor time (setitimer): owned by the
// process, on its list. A clock of processor time runs no faster than real time on one CPU, so that its
// timers look again when it could have come so far at the earliest.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Process;

struct TimerSetting {
  u64 interval_ns = 0;
  u64 value_ns = 0;  // from now; 0: not armed
};

// ITIMER_VIRTUAL, which counts user time, and ITIMER_PROF.
enum class CpuAlarm : i32 { kVirtual = -1, kProfiling = -2 };
TimerSetting cpu_alarm(const Process& process, CpuAlarm which);
// False: no memory.
bool set_cpu_alarm(Process& process, CpuAlarm which, const TimerSetting& setting);

// Those with a number: of all, and of one.
u64 numbered_timers();
u64 numbered_timers(const Process& process);

// RLIMIT_CPU: a timer of the process that sends SIGXCPU each second past the limit, and SIGKILL at the hard
// one. Made if there is a limit; false: no memory.
bool prepare_cpu_limit(Process& process, u64 seconds);
// To be called when the limit has changed, or the process begins with one.
void follow_cpu_limit(Process& process);
// By how many seconds the limit has risen since, one for each SIGXCPU.
u64 risen_cpu_limit(const Process& process);

// As exec does: those with a number end.
void drop_numbered_timers(Process& process);
// All of them, as the process ends.
void drop_timers(Process& process);

}  // namespace nopte::guest
