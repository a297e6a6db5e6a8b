// sched_setattr(2) and sched_getattr(2): as the older calls (sched_calls.cc), kept and told.
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/schedule/scheduling.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/real_time_limit.h"

namespace nopte::guest {

namespace {

// struct sched_attr; version 0 ends before the clamps.
struct SchedAttributes {
  u32 bytes = 0;
  u32 policy = 0;
  u64 flags = 0;
  i32 nice = 0;
  u32 priority = 0;
  u64 times[3] = {};  // runtime, deadline, period
  u32 clamps[2] = {};
};
constexpr u32 kLeastBytes = 48;
static_assert(sizeof(SchedAttributes) == 56);

constexpr u64 kResetOnFork = 1, kKeepPolicy = 8, kKeepParameters = 0x10, kKnownFlags = 0x7f,
              kClampFlags = 0x60;

i64 load(u64 address, SchedAttributes& attributes) {
  u32 bytes = 0;
  if (const i64 error = files::get_user(bytes, address); error != 0) return error;
  if (bytes == 0) bytes = kLeastBytes;
  const auto too_big = [&] {
    const auto known = static_cast<u32>(sizeof(SchedAttributes));
    return files::put_user(address, known) != 0 ? -kEFAULT : -kE2BIG;
  };
  if (bytes < kLeastBytes || bytes > kPageBytes) return too_big();
  // What a later version has behind must be zero.
  for (u64 at = sizeof(SchedAttributes); at < bytes; ++at) {
    u8 byte = 0;
    if (const i64 error = files::get_user(byte, address + at); error != 0) return error;
    if (byte != 0) return too_big();
  }
  if (!arch::copy_from_user(&attributes, Gva{address}, std::min<u64>(bytes, sizeof(SchedAttributes))))
    return -kEFAULT;
  if ((attributes.flags & kClampFlags) != 0 && bytes < sizeof(SchedAttributes)) return -kEINVAL;
  attributes.nice = std::clamp(attributes.nice, -20, 19);
  return 0;
}

// kernel/sched/deadline.c, __checkparam_dl.
bool valid_times(const u64 (&times)[3]) {
  constexpr u64 kLeast = 1024, kMost = u64{1} << 63, kLeastPeriod = 100'000,
                kMostPeriod = (u64{1} << 22) * 1000;
  const auto [runtime, deadline, given] = times;
  const u64 period = given != 0 ? given : deadline;
  return deadline != 0 && runtime >= kLeast && deadline < kMost && period < kMost && period >= deadline &&
         deadline >= runtime && period >= kLeastPeriod && period <= kMostPeriod;
}

i64 check(const SchedAttributes& wanted) {
  if (wanted.policy > kPolicyDeadline || wanted.policy == 4 || (wanted.flags & ~kKnownFlags) != 0)
    return -kEINVAL;
  if (wanted.policy == kPolicyDeadline)
    return valid_times(wanted.times) && wanted.priority == 0 ? 0 : -kEINVAL;
  return valid_priority(wanted.policy, wanted.priority) ? 0 : -kEINVAL;
}

}  // namespace

i64 sys_sched_setattr(const SyscallArgs& args) {
  if (args.a1 == 0 || static_cast<i32>(args.a0) < 0 || static_cast<u32>(args.a2) != 0) return -kEINVAL;
  SchedAttributes wanted;
  if (const i64 error = load(args.a1, wanted); error != 0) return error;
  if (static_cast<i32>(wanted.policy) < 0) return -kEINVAL;
  Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) return -kESRCH;
  Thread::Scheduling& now = thread->scheduling;
  if ((wanted.flags & kKeepPolicy) != 0) wanted.policy = now.policy;
  if ((wanted.flags & kKeepParameters) != 0) {
    wanted.priority = now.priority;
    wanted.nice = now.nice;
    std::ranges::copy(thread->deadline_times, wanted.times);
  }
  if (const i64 error = check(wanted); error != 0) return error;
  Thread::Scheduling next = now;
  next.policy = static_cast<u8>(wanted.policy);
  next.priority = static_cast<u8>(wanted.priority);
  next.reset_on_fork = (wanted.flags & kResetOnFork) != 0;
  const bool by_nice = !real_time(wanted.policy) && wanted.policy != kPolicyDeadline;
  if (by_nice) set_nice(next, wanted.nice);
  if (const i64 error = check_scheduling_change(*thread, next); error != 0) return error;
  now = next;
  follow_policy(*thread);
  if (wanted.policy == kPolicyDeadline) {
    std::ranges::copy(wanted.times, thread->deadline_times);
    if (wanted.times[2] == 0) thread->deadline_times[2] = wanted.times[1];
  }
  return 0;
}

i64 sys_sched_getattr(const SyscallArgs& args) {
  const auto bytes = static_cast<u32>(args.a2);
  if (args.a1 == 0 || static_cast<i32>(args.a0) < 0 || bytes > kPageBytes || bytes < kLeastBytes ||
      static_cast<u32>(args.a3) != 0) {
    return -kEINVAL;
  }
  const Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) return -kESRCH;
  const Thread::Scheduling& now = thread->scheduling;
  SchedAttributes told{.bytes = std::min<u32>(bytes, sizeof(SchedAttributes)),
                       .policy = now.policy,
                       .flags = now.reset_on_fork ? kResetOnFork : 0};
  if (now.policy == kPolicyDeadline) {
    std::ranges::copy(thread->deadline_times, told.times);
  } else if (real_time(now.policy)) {
    told.priority = now.priority;
  } else {
    told.nice = now.nice;
  }
  return arch::copy_to_user(Gva{args.a1}, &told, told.bytes) ? 0 : -kEFAULT;
}

}  // namespace nopte::guest
