// Policies, priorities and nice values (sched(7)): kept, inherited and told. All threads take turns; how long
// one's turn is says its nice value alone. Who may change them is asked as Linux asks
// (kernel/sched/syscalls.c of 6.12).
#pragma once

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

// uapi/linux/sched.h
inline constexpr u8 kPolicyOther = 0, kPolicyFifo = 1, kPolicyRoundRobin = 2, kPolicyBatch = 3,
                    kPolicyIdle = 5, kPolicyDeadline = 6;
inline constexpr bool real_time(u32 policy) { return policy == kPolicyFifo || policy == kPolicyRoundRobin; }
inline constexpr bool valid_priority(u32 policy, u32 priority) {
  return real_time(policy) ? priority >= 1 && priority <= 99 : priority == 0;
}

// The calling thread, or the one of that number. Null: there is none.
Thread* thread_or_self(u64 tid);

// A step is a quarter more or less of a slice, as of Linux's weights, between 1 and 100 ms.
void set_nice(Thread::Scheduling& scheduling, i32 nice);
// SCHED_RESET_ON_FORK: what a thread has whose maker has that.
void reset_scheduling(Thread& thread);

// Whether the running thread may change the thread's scheduling to that: 0 or -EPERM.
i64 check_scheduling_change(const Thread& thread, const Thread::Scheduling& wanted);
// The same for its nice value alone: 0, -EPERM, or -EACCES where it would be lowered.
i64 check_nice_change(const Thread& thread, i32 nice);

}  // namespace nopte::guest
