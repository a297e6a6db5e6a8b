#include "guest-mm/kernel/time/posix_timers.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/user_share.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"
#include "guest-mm/kernel/time/clocks.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

// Its signal is 0 when nothing is to be told (SIGEV_NONE).
struct PosixTimer : Timer, QueuedSignal {
  PosixTimer* next_timer = nullptr;
  Process* process = nullptr;
  i32 id = 0;
  u32 clock = 0;
  i32 of_tid = 0;  // whose processor time, if one thread's
  i32 to_tid = 0;  // 0: to the process
  bool absolute = false;
  u64 expires = 0;  // by the clock; 0: not armed
  u64 interval = 0;
  u64 overruns = 0;       // since the signal became pending
  u64 last_overruns = 0;  // what timer_getoverrun tells
};

namespace {

constexpr u64 kLeastIntervalNs = 50'000;
constexpr u64 kCpuLookNs = 1'000'000;
constexpr i32 kMostOverruns = INT32_MAX;
constexpr i32 kCpuLimit =
    -3;  // the number of the one for RLIMIT_CPU, whose overruns are what the limit rose by

u64 g_numbered = 0;

bool counts_cpu(const PosixTimer& timer) {
  return timer.clock == kProcessCpu || timer.clock == kThreadCpu || is_cpu_clock(timer.clock);
}

u64 clock_now(const PosixTimer& timer) {
  if (!counts_cpu(timer)) {
    return timer.clock == kRealtime ? wall_ns() : platform_ops().now_ns();
  }
  if (timer.of_tid != 0) {
    const Thread* const thread = find_thread(timer.of_tid);
    return thread != nullptr ? cpu_time_ns(*thread) : 0;
  }
  return timer.id == static_cast<i32>(CpuAlarm::kVirtual) ? spent_by(*timer.process).user_ns()
                                                          : cpu_time_ns(*timer.process);
}

void arm(PosixTimer& timer) {
  const u64 now = clock_now(timer);
  const u64 left = timer.expires > now ? timer.expires - now : 0;
  // However many there are, they leave time for programs.
  constexpr u64 kShareNs = 10'000, kCpuShareNs = 50'000;
  const u64 least =
      counts_cpu(timer) ? kCpuLookNs + g_numbered * kCpuShareNs : kLeastIntervalNs + g_numbered * kShareNs;
  timer_start(timer, deadline_in(std::max(left, least)));
}

void tell(PosixTimer& timer, u64 missed) {
  if (timer.signal == 0) {
    return;
  }
  Process& process = *timer.process;
  if (timer.id < 0) {
    send_signal(process, timer.signal, SignalInfo{.code = kSiKernel});
    return;
  }
  if (timer.where != nullptr) {
    timer.overruns += missed + 1;
    return;
  }
  timer.overruns = missed;
  Thread* const thread = timer.to_tid != 0 ? find_thread(timer.to_tid) : nullptr;
  // Its thread may be gone, and another process have the number.
  if (timer.to_tid == 0 ||
      (thread != nullptr && thread->process == &process && thread->state != ThreadState::kEnded)) {
    (void)send_signal(process, thread, timer);
  }
}

// kernel/time/posix-cpu-timers.c, check_process_timers.
void cpu_limit_reached(PosixTimer& timer, u64 now) {
  Process& process = *timer.process;
  const Limit& limit = process.limits->of(Resource::kProcessorSeconds);
  if (now / kNsPerSecond >= limit.most) {
    send_signal(process, kSIGKILL, SignalInfo{.code = kSiKernel});
    return;
  }
  send_signal(process, kSIGXCPU, SignalInfo{.code = kSiKernel});
  ++timer.overruns;
  timer.expires += kNsPerSecond;
  arm(timer);
}

void fires(Timer& base) {
  auto& timer = static_cast<PosixTimer&>(base);
  const u64 now = clock_now(timer);
  if (now < timer.expires) {
    arm(timer);
    return;
  }
  if (timer.id == kCpuLimit) return cpu_limit_reached(timer, now);
  u64 missed = 0;
  if (timer.interval != 0) {
    missed = (now - timer.expires) / timer.interval;
    timer.expires += (missed + 1) * timer.interval;
    arm(timer);
  } else {
    timer.expires = 0;
  }
  tell(timer, missed);
}

// The signal goes to its handler.
void overruns_told(QueuedSignal& queued, SignalInfo& info) {
  auto& timer = static_cast<PosixTimer&>(queued);
  timer.last_overruns = std::exchange(timer.overruns, 0);
  info.uid = static_cast<u32>(std::min<u64>(timer.last_overruns, kMostOverruns));
}

PosixTimer* find(const Process& process, i32 id) {
  PosixTimer* timer = process.timers;
  while (timer != nullptr && timer->id != id) {
    timer = timer->next_timer;
  }
  return timer;
}

void end(PosixTimer& timer) {
  timer_stop(timer);
  withdraw(timer);
  g_numbered -= timer.id >= 0 ? 1 : 0;
  delete &timer;
}

PosixTimer* add(Process& process, i32 id, u32 clock) {
  auto* const timer = make<PosixTimer>();
  if (timer != nullptr) {
    timer->fire = fires;
    timer->process = &process;
    timer->id = id;
    timer->clock = clock;
    timer->taken = overruns_told;
    timer->next_timer = std::exchange(process.timers, timer);
    g_numbered += id >= 0 ? 1 : 0;
  }
  return timer;
}

void drop_if(Process& process, bool all) {
  for (PosixTimer** link = &process.timers; *link != nullptr;) {
    PosixTimer& timer = **link;
    if (all || timer.id >= 0) {
      *link = timer.next_timer;
      end(timer);
    } else {
      link = &timer.next_timer;
    }
  }
}

TimerSetting setting_of(const PosixTimer& timer) {
  if (timer.expires == 0) {
    return {.interval_ns = timer.interval, .value_ns = 0};
  }
  const u64 now = clock_now(timer);
  return {.interval_ns = timer.interval, .value_ns = timer.expires > now ? timer.expires - now : 1};
}

void set(PosixTimer& timer, u64 expires, u64 interval) {
  timer_stop(timer);
  withdraw(timer);
  timer.overruns = timer.last_overruns = 0;
  timer.expires = expires;
  timer.interval = expires != 0 || timer.id < 0 ? interval : 0;  // setitimer's stays
  if (expires != 0) {
    arm(timer);
  }
}

constexpr u64 sum(u64 a, u64 b) { return a > kNoDeadline - b ? kNoDeadline : a + b; }

// struct sigevent.
struct SignalEvent {
  u64 value = 0;
  i32 signal = 0;
  i32 notify = 0;
  i32 tid = 0;
  i32 pad[11] = {};
};
static_assert(sizeof(SignalEvent) == 64);

// struct itimerspec.
struct IntervalSpec {
  Timespec interval;
  Timespec value;
};

IntervalSpec to_spec(const TimerSetting& setting) {
  return {to_timespec(setting.interval_ns), to_timespec(setting.value_ns)};
}

// 0, or -EINVAL.
i64 check_event(const SignalEvent& event) {
  constexpr i32 kSignal = 0, kNone = 1, kThread = 2, kThreadId = 4;
  if (event.notify == kNone) {
    return 0;
  }
  if (event.notify != kSignal && event.notify != kThread && event.notify != kThreadId) {
    return -kEINVAL;
  }
  if (event.notify == kThreadId) {
    const Thread* const thread = find_thread(event.tid);
    if (thread == nullptr || thread->process != &current_process()) {
      return -kEINVAL;
    }
  }
  return event.signal >= 1 && event.signal <= kSignals ? 0 : -kEINVAL;
}

}  // namespace

TimerSetting cpu_alarm(const Process& process, CpuAlarm which) {
  const PosixTimer* const timer = find(process, static_cast<i32>(which));
  return timer != nullptr ? setting_of(*timer) : TimerSetting{};
}

bool set_cpu_alarm(Process& process, CpuAlarm which, const TimerSetting& setting) {
  const auto id = static_cast<i32>(which);
  PosixTimer* timer = find(process, id);
  if (timer == nullptr) {
    const bool wanted = setting.value_ns != 0 || setting.interval_ns != 0;
    timer = wanted ? add(process, id, kProcessCpu) : nullptr;
    if (timer == nullptr) {
      return !wanted;
    }
    timer->signal = which == CpuAlarm::kVirtual ? kSIGVTALRM : kSIGPROF;
    if (which == CpuAlarm::kVirtual) split_processor_time();
  }
  set(*timer, setting.value_ns != 0 ? sum(clock_now(*timer), setting.value_ns) : 0, setting.interval_ns);
  return true;
}

u64 numbered_timers() { return g_numbered; }

u64 numbered_timers(const Process& process) {
  u64 timers = 0;
  for (const PosixTimer* timer = process.timers; timer != nullptr; timer = timer->next_timer) {
    timers += timer->id >= 0 ? 1 : 0;
  }
  return timers;
}

bool prepare_cpu_limit(Process& process, u64 seconds) {
  return seconds == kUnlimited || find(process, kCpuLimit) != nullptr ||
         add(process, kCpuLimit, kProcessCpu) != nullptr;
}

void follow_cpu_limit(Process& process) {
  PosixTimer* const timer = find(process, kCpuLimit);
  if (timer == nullptr) return;
  const Limit& limit = process.limits->of(Resource::kProcessorSeconds);
  const Timespec until{static_cast<i64>(std::min<u64>(limit.now, INT64_MAX)), 0};
  set(*timer, limit.now == kUnlimited ? 0 : std::max<u64>(until.ns(), 1), 0);
}

u64 risen_cpu_limit(const Process& process) {
  const PosixTimer* const timer = process.timers != nullptr ? find(process, kCpuLimit) : nullptr;
  return timer != nullptr ? timer->overruns : 0;
}

constinit WaitQueue g_clock_was_set;

void step_wall_clock(u64 step_ns) {
  g_wall_step_ns += step_ns;
  for_each_process([&](Process& process) {
    for (PosixTimer* timer = process.timers; timer != nullptr; timer = timer->next_timer) {
      if (timer->clock != kRealtime || timer->expires == 0) continue;
      if (!timer->absolute) timer->expires += step_ns;
      arm(*timer);
    }
  });
  wake(g_clock_was_set);
}

void drop_numbered_timers(Process& process) { drop_if(process, false); }
void drop_timers(Process& process) { drop_if(process, true); }

i64 sys_timer_create(const SyscallArgs& args) {
  constexpr u64 kRealtimeAlarm = 8, kBoottimeAlarm = 9;
  const u64 clock = args.a0 & 0xffff'ffff;
  if (clock == kRealtimeAlarm || clock == kBoottimeAlarm) {
    return not_built(args, "clocks that wake the machine", -kEOPNOTSUPP);
  }
  if (clock == kMonotonicRaw || clock == kRealtimeCoarse || clock == kMonotonicCoarse) {
    return -kEOPNOTSUPP;
  }
  if (!valid_clock(clock)) {
    return -kEINVAL;
  }
  SignalEvent event{.signal = kSIGALRM};
  if (args.a1 != 0) {
    if (!arch::copy_from_user(&event, Gva{args.a1}, sizeof(event))) {
      return -kEFAULT;
    }
    if (const i64 error = check_event(event); error != 0) {
      return error;
    }
  }
  Process& self = current_process();
  if (!has_room_for_signal(self)) {
    return -kEAGAIN;
  }
  i32 id = 0;
  while (find(self, id) != nullptr) {
    ++id;
  }
  if (!arch::copy_to_user(Gva{args.a2}, &id, sizeof(id))) {
    return -kEFAULT;
  }
  PosixTimer* const timer = add(self, id, static_cast<u32>(clock == kTai ? u64{kRealtime} : clock));
  if (timer == nullptr) {
    return -kEAGAIN;
  }
  constexpr i32 kNone = 1, kThreadId = 4;
  timer->of_tid = clock == kThreadCpu ? current().tid : is_cpu_clock(clock) ? thread_of_cpu_clock(clock) : 0;
  timer->signal = event.notify == kNone ? 0 : event.signal;
  timer->to_tid = event.notify == kThreadId ? event.tid : 0;
  timer->info = {.code = kSiTimer, .pid = id, .value = args.a1 != 0 ? event.value : static_cast<u64>(id)};
  return 0;
}

i64 sys_timer_settime(const SyscallArgs& args) {
  constexpr u64 kAbsolute = 1;
  IntervalSpec spec;
  if (args.a2 == 0) {
    return -kEINVAL;
  }
  if (!arch::copy_from_user(&spec, Gva{args.a2}, sizeof(spec))) {
    return -kEFAULT;
  }
  if (!spec.interval.valid() || !spec.value.valid()) {
    return -kEINVAL;
  }
  const auto id = static_cast<i32>(args.a0);
  PosixTimer* const timer = id >= 0 ? find(current_process(), id) : nullptr;
  if (timer == nullptr) {
    return -kEINVAL;
  }
  const IntervalSpec old = to_spec(setting_of(*timer));
  const u64 value = spec.value.ns();
  const bool absolute = (args.a1 & kAbsolute) != 0;
  timer->absolute = absolute;
  set(*timer, value == 0 || absolute ? value : sum(clock_now(*timer), value), spec.interval.ns());
  return args.a3 == 0 || arch::copy_to_user(Gva{args.a3}, &old, sizeof(old)) ? 0 : -kEFAULT;
}

i64 sys_timer_gettime(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const PosixTimer* const timer = id >= 0 ? find(current_process(), id) : nullptr;
  if (timer == nullptr) {
    return -kEINVAL;
  }
  const IntervalSpec now = to_spec(setting_of(*timer));
  return arch::copy_to_user(Gva{args.a1}, &now, sizeof(now)) ? 0 : -kEFAULT;
}

i64 sys_timer_getoverrun(const SyscallArgs& args) {
  const auto id = static_cast<i32>(args.a0);
  const PosixTimer* const timer = id >= 0 ? find(current_process(), id) : nullptr;
  return timer != nullptr ? static_cast<i64>(std::min<u64>(timer->last_overruns, kMostOverruns)) : -kEINVAL;
}

i64 sys_timer_delete(const SyscallArgs& args) {
  Process& self = current_process();
  const auto id = static_cast<i32>(args.a0);
  PosixTimer** link = &self.timers;
  while (*link != nullptr && (id < 0 || (*link)->id != id)) {
    link = &(*link)->next_timer;
  }
  if (*link == nullptr) {
    return -kEINVAL;
  }
  PosixTimer& timer = **link;
  *link = timer.next_timer;
  end(timer);
  return 0;
}

}  // namespace nopte::guest
