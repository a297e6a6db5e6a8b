// Clocks, sleeping and ITIMER_REAL.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/clock_setting.h"
#include "guest-mm/kernel/time/clocks.h"
#include "guest-mm/kernel/time/posix_timers.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

// A timer that fires more often than this would leave the program no time to run.
constexpr u64 kLeastIntervalNs = 50'000;

// The processor time of a process or thread as a clock (Linux's posix-timers.h): its number inverted, above
// three bits.
struct CpuClock {
  explicit CpuClock(u64 clock) {
    constexpr u32 kOfThread = 4, kKind = 3, kScheduled = 2;
    const auto bits = static_cast<u32>(clock);
    const i32 id = ~(static_cast<i32>(bits) >> 3);
    const bool of_thread = (bits & kOfThread) != 0;
    thread = id == 0 ? &current() : find_thread(id);
    known = (bits & kKind) <= kScheduled && thread != nullptr &&
            (of_thread ? thread->process == &current_process() : id == 0 || thread->process->pid == id);
    whole = !of_thread;
  }
  [[nodiscard]] u64 ns() const { return whole ? cpu_time_ns(*thread->process) : cpu_time_ns(*thread); }

  const Thread* thread = nullptr;
  bool known = false;
  bool whole = false;
};
u64 tai_ns() { return static_cast<u64>(i64{g_tai_seconds}) * kNsPerSecond; }

u64 read_clock(u64 clock) {
  if (is_cpu_clock(clock)) {
    return CpuClock(clock).ns();
  }
  switch (clock) {
    case kRealtime:
    case kRealtimeCoarse:
      return wall_ns();
    case kTai:
      return wall_ns() + tai_ns();
    case kProcessCpu:
      return cpu_time_ns(current_process());
    case kThreadCpu:
      return cpu_time_ns(current());
    default:
      return platform_ops().now_ns();
  }
}

i64 put_timespec(u64 address, u64 ns) {
  const Timespec time = to_timespec(ns);
  return arch::copy_to_user(Gva{address}, &time, sizeof(time)) ? 0 : -kEFAULT;
}

i64 go_on_sleeping(const Restart& restart);

// Sleeps on nothing until the deadline. 0, or -kERESTART_RESTARTBLOCK with the rest of the time written.
i64 sleep_and_report(u64 deadline_ns, u64 remaining_address) {
  for (;;) {
    switch (sleep_until(deadline_ns)) {
      case WakeReason::kTimeout:
        return 0;
      case WakeReason::kWoken:
        break;
      case WakeReason::kSignal: {
        const u64 now_ns = platform_ops().now_ns();
        if (deadline_ns <= now_ns) {
          return 0;
        }
        if (remaining_address != 0 && put_timespec(remaining_address, deadline_ns - now_ns) != 0) {
          return -kEFAULT;
        }
        current().restart = {
            .go_on = go_on_sleeping, .deadline_ns = deadline_ns, .address = remaining_address};
        return -kERESTART_RESTARTBLOCK;
      }
    }
  }
}

// A signal makes it begin anew, to the same time.
i64 sleep_until_time_of_day(u64 wall_deadline_ns) {
  Waiter waiter;
  g_clock_was_set.add(waiter);
  for (;;) {
    switch (sleep_until(deadline_of_wall(wall_deadline_ns))) {
      case WakeReason::kTimeout:
        return 0;
      case WakeReason::kWoken:
        break;
      case WakeReason::kSignal:
        return -kERESTARTNOHAND;
    }
  }
}

// Until the clock of processor time says `until_ns`: it runs no faster than real time on one CPU.
i64 sleep_on_cpu_clock(u64 clock, u64 until_ns, bool absolute, u64 remaining_address);
i64 go_on_by_cpu_clock(const Restart& restart) {
  return sleep_on_cpu_clock(restart.value, restart.deadline_ns, false, restart.address);
}
i64 sleep_on_cpu_clock(u64 clock, u64 until_ns, bool absolute, u64 remaining_address) {
  constexpr u64 kLookNs = 1'000'000;
  while (valid_clock(clock)) {
    const u64 now_ns = read_clock(clock);
    if (until_ns <= now_ns) return 0;
    const u64 left_ns = until_ns - now_ns;
    if (sleep_until(deadline_in(left_ns < kLookNs ? kLookNs : left_ns)) != WakeReason::kSignal) continue;
    if (absolute) return -kERESTARTNOHAND;
    if (remaining_address != 0 && put_timespec(remaining_address, left_ns) != 0) return -kEFAULT;
    current().restart = {.go_on = go_on_by_cpu_clock,
                         .deadline_ns = until_ns,
                         .address = remaining_address,
                         .value = static_cast<u32>(clock)};
    return -kERESTART_RESTARTBLOCK;
  }
  return 0;  // whose clock it is ended
}

i64 go_on_sleeping(const Restart& restart) { return sleep_and_report(restart.deadline_ns, restart.address); }

// struct itimerval.
struct IntervalTimer {
  Timeval interval;
  Timeval value;
};

constexpr bool valid(const Timeval& time) {
  return time.seconds >= 0 && time.microseconds >= 0 && time.microseconds < 1'000'000;
}
constexpr u64 to_ns(const Timeval& time) { return Timespec{time.seconds, time.microseconds * 1000}.ns(); }

void alarm_fires(Timer& timer) {
  Process& process = *static_cast<Process::Alarm&>(timer).process;
  send_signal(process, kSIGALRM, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
  if (process.alarm.interval_ns != 0) {
    const u64 interval_ns =
        process.alarm.interval_ns < kLeastIntervalNs ? kLeastIntervalNs : process.alarm.interval_ns;
    const u64 next_ns = deadline_in(interval_ns);
    // On the beat, unless that is past already.
    const u64 beat_ns = timer.deadline_ns + interval_ns;
    const bool ahead = beat_ns > timer.deadline_ns && beat_ns < next_ns && beat_ns > platform_ops().now_ns();
    timer_start(timer, ahead ? beat_ns : next_ns);
  }
}

u64 remaining_alarm_ns(const Process& process) {
  if (!process.alarm.armed()) {
    return 0;
  }
  const u64 now_ns = platform_ops().now_ns();
  return process.alarm.deadline_ns > now_ns ? process.alarm.deadline_ns - now_ns : 1;
}

void set_alarm(Process& process, u64 value_ns, u64 interval_ns) {
  timer_stop(process.alarm);
  process.alarm.interval_ns = value_ns != 0 ? interval_ns : 0;
  if (value_ns != 0) {
    process.alarm.fire = alarm_fires;
    process.alarm.process = &process;
    timer_start(process.alarm, deadline_in(value_ns));
  }
}

CpuAlarm cpu_alarm_of(u64 which) { return which == 1 ? CpuAlarm::kVirtual : CpuAlarm::kProfiling; }

// What the program's one is now: 0 to 2, as setitimer counts them.
IntervalTimer interval_timer(u64 which) {
  const Process& self = current_process();
  if (which == 0) {
    return {to_timeval(self.alarm.interval_ns), to_timeval(remaining_alarm_ns(self))};
  }
  const TimerSetting now = cpu_alarm(self, cpu_alarm_of(which));
  return {to_timeval(now.interval_ns), to_timeval(now.value_ns)};
}

}  // namespace

bool valid_clock(u64 clock) {
  return is_cpu_clock(clock) ? CpuClock(clock).known : clock <= kBoottime || clock == kTai;
}

i32 thread_of_cpu_clock(u64 clock) {
  const CpuClock cpu(clock);
  return cpu.whole || !cpu.known ? 0 : cpu.thread->tid;
}

i64 sys_clock_gettime(const SyscallArgs& args) {
  const u64 clock = args.a0 & 0xffff'ffff;
  return valid_clock(clock) ? put_timespec(args.a1, read_clock(clock)) : -kEINVAL;
}

i64 sys_clock_getres(const SyscallArgs& args) {
  const u64 clock = args.a0 & 0xffff'ffff;
  if (!valid_clock(clock)) {
    return -kEINVAL;
  }
  return args.a1 == 0 ? 0 : put_timespec(args.a1, 1);
}

i64 sys_gettimeofday(const SyscallArgs& args) {
  if (args.a0 != 0) {
    const Timeval time = to_timeval(wall_ns());
    if (!arch::copy_to_user(Gva{args.a0}, &time, sizeof(time))) {
      return -kEFAULT;
    }
  }
  if (args.a1 != 0) {
    if (!arch::copy_to_user(Gva{args.a1}, g_time_zone, sizeof(g_time_zone))) {
      return -kEFAULT;
    }
  }
  return 0;
}

i64 sys_time(const SyscallArgs& args) {
  const auto seconds = static_cast<i64>(wall_ns() / kNsPerSecond);
  if (args.a0 != 0 && !arch::copy_to_user(Gva{args.a0}, &seconds, sizeof(seconds))) {
    return -kEFAULT;
  }
  return seconds;
}

i64 sys_nanosleep(const SyscallArgs& args) {
  Timespec time;
  if (!arch::copy_from_user(&time, Gva{args.a0}, sizeof(time))) {
    return -kEFAULT;
  }
  if (!time.valid()) {
    return -kEINVAL;
  }
  return sleep_and_report(deadline_in(time.ns()), args.a1);
}

i64 sys_clock_nanosleep(const SyscallArgs& args) {
  constexpr u64 kAbsolute = 1;
  const u64 clock = args.a0 & 0xffff'ffff;
  if (!valid_clock(clock)) {
    return -kEINVAL;
  }
  const bool cpu = clock == kProcessCpu || is_cpu_clock(clock);
  if (!cpu && clock != kRealtime && clock != kMonotonic && clock != kBoottime && clock != kTai) {
    return -kEOPNOTSUPP;
  }
  Timespec time;
  if (!arch::copy_from_user(&time, Gva{args.a2}, sizeof(time))) {
    return -kEFAULT;
  }
  if (!time.valid()) {
    return -kEINVAL;
  }
  const bool absolute = (args.a1 & kAbsolute) != 0;
  if (cpu) {
    // Nobody waits for time that only passes while he runs.
    if (thread_of_cpu_clock(clock) == current().tid) return -kEINVAL;
    const u64 now_ns = absolute ? 0 : read_clock(clock);
    return sleep_on_cpu_clock(clock, time.ns() > kNoDeadline - now_ns ? kNoDeadline : now_ns + time.ns(),
                              absolute, args.a3);
  }
  if (!absolute) {
    return sleep_and_report(deadline_in(time.ns()), args.a3);
  }
  if (clock == kMonotonic || clock == kBoottime) return sleep_and_report(time.ns(), 0);
  const u64 ahead_ns = clock == kTai ? tai_ns() : 0;
  return sleep_until_time_of_day(time.ns() > ahead_ns ? time.ns() - ahead_ns : 0);
}

// Goes on with the call that a signal without a handler interrupted. Called by a program out of the blue it
// only continues a call of its own that is over.
i64 sys_restart_syscall(const SyscallArgs&) {
  const Restart restart = current().restart;
  return restart.go_on != nullptr ? restart.go_on(restart) : -kEINTR;
}

i64 sys_alarm(const SyscallArgs& args) {
  Process& self = current_process();
  const u64 left_ns = remaining_alarm_ns(self);
  set_alarm(self, (args.a0 & 0xffff'ffff) * kNsPerSecond, 0);
  // As Linux: rounded, but never to 0 while something was left.
  const u64 seconds = (left_ns + kNsPerSecond / 2) / kNsPerSecond;
  return left_ns != 0 && seconds == 0 ? 1 : static_cast<i64>(seconds);
}

i64 sys_getitimer(const SyscallArgs& args) {
  const u64 which = args.a0 & 0xffff'ffff;
  if (which > 2) {
    return -kEINVAL;
  }
  const IntervalTimer timer = interval_timer(which);
  return arch::copy_to_user(Gva{args.a1}, &timer, sizeof(timer)) ? 0 : -kEFAULT;
}

i64 sys_setitimer(const SyscallArgs& args) {
  const u64 which = args.a0 & 0xffff'ffff;
  IntervalTimer timer;
  if (args.a1 != 0 && !arch::copy_from_user(&timer, Gva{args.a1}, sizeof(timer))) {
    return -kEFAULT;
  }
  if (which > 2 || !valid(timer.interval) || !valid(timer.value)) {
    return -kEINVAL;
  }
  const IntervalTimer before = interval_timer(which);
  if (which == 0) {
    set_alarm(current_process(), to_ns(timer.value), to_ns(timer.interval));
  } else if (!set_cpu_alarm(current_process(), cpu_alarm_of(which),
                            {.interval_ns = to_ns(timer.interval), .value_ns = to_ns(timer.value)})) {
    return -kENOMEM;
  }
  // The new one holds whether or not the old one has a place.
  return args.a2 == 0 || arch::copy_to_user(Gva{args.a2}, &before, sizeof before) ? 0 : -kEFAULT;
}

// struct tms, in clock ticks of 10 ms.
i64 sys_times(const SyscallArgs& args) {
  constexpr u64 kNsPerTick = 10'000'000;
  const Process& self = current_process();
  if (args.a0 != 0) {
    split_processor_time();
    const Spent own = spent_by(self);
    const Spent& children = self.of_children;
    const u64 times[4] = {own.user_ns() / kNsPerTick, own.system_ns / kNsPerTick,
                          children.user_ns() / kNsPerTick, children.system_ns / kNsPerTick};
    if (!arch::copy_to_user(Gva{args.a0}, times, sizeof(times))) {
      return -kEFAULT;
    }
  }
  return static_cast<i64>(platform_ops().now_ns() / kNsPerTick);
}

}  // namespace nopte::guest
