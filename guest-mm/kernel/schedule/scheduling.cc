#include "guest-mm/kernel/schedule/scheduling.h"

#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

namespace {

u64 limit_of(const Thread& thread, Resource resource) { return thread.process->limits->of(resource).now; }

// RLIMIT_NICE counts from 1, for nice 19, to 40.
bool allowed_by_limit(const Thread& thread, i32 nice) {
  return static_cast<u64>(20 - nice) <= limit_of(thread, Resource::kNice);
}

// Without the capability nobody who has more than oneself is changed (security/commoncap.c, cap_safe_nice).
bool has_no_more(const Thread& thread) {
  return (identity_of(thread).permitted & ~identity().permitted) == 0;
}

bool needs_capability(const Thread& thread, const Thread::Scheduling& wanted) {
  const Thread::Scheduling& now = thread.scheduling;
  if (real_time(wanted.policy)) {
    const u64 limit = limit_of(thread, Resource::kRealTimePriority);
    const bool another = wanted.policy != now.policy, higher = wanted.priority > now.priority;
    if ((another && limit == 0) || (higher && wanted.priority > limit)) return true;
  }
  const bool deadline = wanted.policy == kPolicyDeadline;
  const bool lower = !real_time(wanted.policy) && !deadline && wanted.nice < now.nice;
  if (deadline || (lower && !allowed_by_limit(thread, wanted.nice))) return true;
  const bool leaves_idle = now.policy == kPolicyIdle && wanted.policy != kPolicyIdle;
  return (leaves_idle && !allowed_by_limit(thread, now.nice)) || !owns_thread(thread) ||
         (now.reset_on_fork && !wanted.reset_on_fork) || !has_no_more(thread);
}

}  // namespace

Thread* thread_or_self(u64 tid) {
  return static_cast<i32>(tid) == 0 ? &current() : find_thread(static_cast<i32>(tid));
}

void set_nice(Thread::Scheduling& scheduling, i32 nice) {
  constexpr u64 kLeastNs = 1'000'000, kMostNs = 100'000'000;
  u64 slice_ns = kSliceNs;
  for (i32 step = 0; step < nice; ++step) slice_ns = slice_ns * 4 / 5;
  for (i32 step = 0; step > nice; --step) slice_ns = slice_ns * 5 / 4;
  scheduling.nice = static_cast<i16>(nice);
  scheduling.slice_ns = static_cast<u32>(std::clamp(slice_ns, kLeastNs, kMostNs));
}

void reset_scheduling(Thread& thread) {
  Thread::Scheduling& now = thread.scheduling;
  now.reset_on_fork = false;
  if (real_time(now.policy) || now.policy == kPolicyDeadline) {
    now.policy = kPolicyOther;
    now.priority = 0;
    set_nice(now, 0);
  } else if (now.nice < 0) {
    set_nice(now, 0);
  }
}

i64 check_scheduling_change(const Thread& thread, const Thread::Scheduling& wanted) {
  return !capable(Capability::kSysNice) && needs_capability(thread, wanted) ? -kEPERM : 0;
}

i64 check_nice_change(const Thread& thread, i32 nice) {
  if (capable(Capability::kSysNice)) return 0;
  if (!owns_thread(thread)) return -kEPERM;
  if (nice < thread.scheduling.nice && !allowed_by_limit(thread, nice)) return -kEACCES;
  return has_no_more(thread) ? 0 : -kEPERM;
}

}  // namespace nopte::guest
