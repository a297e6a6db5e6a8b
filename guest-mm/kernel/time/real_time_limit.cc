#include "guest-mm/kernel/time/real_time_limit.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/schedule/scheduling.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

struct RealTimeLimit : Timer {
  Process* process = nullptr;
  u64 risen_us = 0;
};

namespace {

constexpr u64 kNsPerUs = 1000, kRiseUs = 1'000'000, kLeastUs = 1000;

// Where the thread was not off the CPU of its own will since the last look, nothing changes.
void look_at(Thread& thread) {
  const u64 sleeps = thread.switches - thread.preempted;
  if (thread.real_time_run.sleeps != sleeps) {
    thread.real_time_run = {.sleeps = sleeps, .began_ns = cpu_time_ns(thread)};
  }
}

void begins(Thread& thread) {
  thread.real_time_run = {.sleeps = thread.switches - thread.preempted, .began_ns = cpu_time_ns(thread)};
}

bool counts(const Thread& thread) {
  return thread.state != ThreadState::kEnded && real_time(thread.scheduling.policy);
}

// Of those that count the one that runs for the longest. False: there is none.
bool longest_run(Process& process, u64& longest_us) {
  bool any = false;
  process.for_each_thread([&](Thread& thread) {
    if (!counts(thread)) return;
    any = true;
    look_at(thread);
    longest_us = std::max(longest_us, (cpu_time_ns(thread) - thread.real_time_run.began_ns) / kNsPerUs);
  });
  return any;
}

void look(Timer& timer) {
  auto& limit = static_cast<RealTimeLimit&>(timer);
  Process& process = *limit.process;
  const Limit& allowed = process.limits->of(Resource::kRealTimeMicroseconds);
  u64 run_us = 0;
  if (allowed.now == kUnlimited || !longest_run(process, run_us)) return;
  if (run_us != 0 && run_us >= allowed.most) {
    send_signal(process, kSIGKILL, SignalInfo{.code = kSiKernel});
    return;
  }
  if (run_us != 0 && run_us >= allowed.now + limit.risen_us) {
    limit.risen_us += kRiseUs;
    send_signal(process, kSIGXCPU, SignalInfo{.code = kSiKernel});
  }
  // Who slept between two looks is told so much too late.
  constexpr u64 kShare = 8, kMostUs = 1'000'000;
  const u64 next_us = std::min(allowed.now + limit.risen_us, allowed.most);
  const u64 left_us = next_us - std::min(run_us, next_us);
  timer_start(limit, deadline_in(std::clamp(left_us / kShare, kLeastUs, kMostUs) * kNsPerUs));
}

}  // namespace

bool prepare_real_time_limit(Process& process, u64 microseconds) {
  if (microseconds == kUnlimited || process.real_time_limit != nullptr) return true;
  process.real_time_limit = make<RealTimeLimit>();
  if (process.real_time_limit == nullptr) return false;
  process.real_time_limit->fire = look;
  process.real_time_limit->process = &process;
  return true;
}

void follow_real_time_limit(Process& process) {
  RealTimeLimit* const limit = process.real_time_limit;
  if (limit == nullptr) return;
  limit->risen_us = 0;
  if (!limit->armed()) process.for_each_thread(begins);
  timer_start(*limit, deadline_in(kLeastUs * kNsPerUs));
}

void follow_policy(Thread& thread) {
  RealTimeLimit* const limit = thread.process->real_time_limit;
  if (limit == nullptr || thread.state == ThreadState::kEnded) return;
  begins(thread);
  timer_start(*limit, deadline_in(kLeastUs * kNsPerUs));
}

u64 risen_real_time_limit(const Process& process) {
  return process.real_time_limit != nullptr ? process.real_time_limit->risen_us : 0;
}

void drop_real_time_limit(Process& process) {
  RealTimeLimit* const limit = std::exchange(process.real_time_limit, nullptr);
  if (limit == nullptr) return;
  timer_stop(*limit);
  destroy(limit);
}

}  // namespace nopte::guest
