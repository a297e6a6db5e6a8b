// Scheduling as Linux's calls describe it (sched(7)): policies are kept and told (scheduling.h). There is one
// processor, so that affinity and memory barriers between processors have one answer.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/schedule/scheduling.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/system_settings.h"
#include "guest-mm/kernel/time/real_time_limit.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

constexpr i32 kResetOnFork = 0x4000'0000;

bool known(i32 policy) {
  return policy == kPolicyOther || real_time(static_cast<u32>(policy)) || policy == kPolicyBatch ||
         policy == kPolicyIdle;
}

// `policy` -1: as it is.
i64 set_scheduler(u64 tid, i32 policy, u64 address) {
  i32 priority = 0;
  if (address == 0 || static_cast<i32>(tid) < 0) {
    return -kEINVAL;
  }
  if (!arch::copy_from_user(&priority, Gva{address}, sizeof(priority))) {
    return -kEFAULT;
  }
  Thread* const thread = thread_or_self(tid);
  if (thread == nullptr) {
    return -kESRCH;
  }
  Thread::Scheduling wanted = thread->scheduling;
  const i32 number = policy < 0 ? wanted.policy : policy & ~kResetOnFork;
  if (!known(number) || !valid_priority(static_cast<u32>(number), static_cast<u32>(priority))) {
    return -kEINVAL;
  }
  wanted.policy = static_cast<u8>(number);
  wanted.priority = static_cast<u8>(priority);
  wanted.reset_on_fork = policy < 0 ? wanted.reset_on_fork : (policy & kResetOnFork) != 0;
  const i64 error = check_scheduling_change(*thread, wanted);
  if (error != 0) return error;
  thread->scheduling = wanted;
  follow_policy(*thread);
  return 0;
}

}  // namespace

i64 sys_sched_yield(const SyscallArgs&) {
  yield();
  return 0;
}

i64 sys_sched_setscheduler(const SyscallArgs& args) {
  const auto policy = static_cast<i32>(args.a1);
  return policy < 0 ? -kEINVAL : set_scheduler(args.a0, policy, args.a2);
}

i64 sys_sched_setparam(const SyscallArgs& args) { return set_scheduler(args.a0, -1, args.a1); }

i64 sys_sched_getscheduler(const SyscallArgs& args) {
  if (static_cast<i32>(args.a0) < 0) {
    return -kEINVAL;
  }
  const Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) {
    return -kESRCH;
  }
  return thread->scheduling.policy | (thread->scheduling.reset_on_fork ? kResetOnFork : 0);
}

i64 sys_sched_getparam(const SyscallArgs& args) {
  if (args.a1 == 0 || static_cast<i32>(args.a0) < 0) {
    return -kEINVAL;
  }
  const Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) {
    return -kESRCH;
  }
  const i32 priority = thread->scheduling.priority;
  return arch::copy_to_user(Gva{args.a1}, &priority, sizeof(priority)) ? 0 : -kEFAULT;
}

i64 sys_sched_get_priority_max(const SyscallArgs& args) {
  const auto policy = static_cast<i32>(args.a0);
  return known(policy) || policy == kPolicyDeadline ? (real_time(static_cast<u32>(policy)) ? 99 : 0)
                                                    : -kEINVAL;
}

i64 sys_sched_get_priority_min(const SyscallArgs& args) {
  const auto policy = static_cast<i32>(args.a0);
  return known(policy) || policy == kPolicyDeadline ? (real_time(static_cast<u32>(policy)) ? 1 : 0)
                                                    : -kEINVAL;
}

i64 sys_sched_rr_get_interval(const SyscallArgs& args) {
  if (static_cast<i32>(args.a0) < 0) {
    return -kEINVAL;
  }
  const Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) {
    return -kESRCH;
  }
  constexpr u64 kNsPerMs = 1'000'000;
  const u32 policy = thread->scheduling.policy;
  const u64 slice_ns = policy == kPolicyFifo         ? 0
                       : policy == kPolicyRoundRobin ? SystemSettings::sched_rr_timeslice_ms * kNsPerMs
                                                     : kSliceNs;
  const Timespec slice = to_timespec(slice_ns);
  return arch::copy_to_user(Gva{args.a1}, &slice, sizeof(slice)) ? 0 : -kEFAULT;
}

i64 sys_sched_getaffinity(const SyscallArgs& args) {
  const u64 one_cpu = 1;
  const auto bytes = static_cast<u32>(args.a1);
  if (bytes < sizeof(one_cpu) || bytes % sizeof(one_cpu) != 0) {
    return -kEINVAL;
  }
  if (thread_or_self(args.a0) == nullptr) {
    return -kESRCH;
  }
  return arch::copy_to_user(Gva{args.a2}, &one_cpu, sizeof(one_cpu)) ? static_cast<i64>(sizeof(one_cpu))
                                                                     : -kEFAULT;
}

i64 sys_sched_setaffinity(const SyscallArgs& args) {
  u64 cpus = 0;
  const u64 bytes = static_cast<u32>(args.a1) < sizeof(cpus) ? static_cast<u32>(args.a1) : sizeof(cpus);
  if (!arch::copy_from_user(&cpus, Gva{args.a2}, bytes)) {
    return -kEFAULT;
  }
  const Thread* const thread = thread_or_self(args.a0);
  if (thread == nullptr) {
    return -kESRCH;
  }
  if (!owns_thread(*thread) && !capable(Capability::kSysNice)) {
    return -kEPERM;
  }
  return (cpus & 1) != 0 ? 0 : -kEINVAL;
}

i64 sys_getcpu(const SyscallArgs& args) {
  const u32 zero = 0;
  for (const u64 address : {args.a0, args.a1}) {
    if (address != 0 && !arch::copy_to_user(Gva{address}, &zero, sizeof(zero))) {
      return -kEFAULT;
    }
  }
  return 0;
}

// membarrier(2). On one processor the call itself is the barrier; what must be registered must be all the
// same.
i64 sys_membarrier(const SyscallArgs& args) {
  constexpr u32 kQuery = 0, kGlobal = 1, kGlobalExpedited = 2, kRegisterGlobal = 4, kPrivate = 8,
                kRegisterPrivate = 16, kSyncCore = 32, kRegisterSyncCore = 64, kSequences = 128,
                kRegisterSequences = 256, kRegistrations = 512;
  constexpr u32 kOneProcessor = 1;  // flag of kSequences
  const auto command = static_cast<u32>(args.a0);
  const auto flags = static_cast<u32>(args.a1);
  if (flags != 0 && (command != kSequences || flags != kOneProcessor)) {
    return -kEINVAL;
  }
  u32& registered = current_process().barriers;
  switch (command) {
    case kQuery:
      return kGlobal | kGlobalExpedited | kRegisterGlobal | kPrivate | kRegisterPrivate | kSyncCore |
             kRegisterSyncCore | kSequences | kRegisterSequences | kRegistrations;
    case kGlobal:
    case kGlobalExpedited:
      return 0;
    case kRegisterGlobal:
    case kRegisterPrivate:
    case kRegisterSyncCore:
    case kRegisterSequences:
      registered |= command;
      return 0;
    case kPrivate:
      return (registered & kRegisterPrivate) != 0 ? 0 : -kEPERM;
    case kSyncCore:
      return (registered & kRegisterSyncCore) != 0 ? 0 : -kEPERM;
    case kSequences:  // who is not running was taken out of its section when it lost the processor
      return (registered & kRegisterSequences) != 0 ? 0 : -kEPERM;
    case kRegistrations:
      return registered;
    default:
      return -kEINVAL;
  }
}

}  // namespace nopte::guest
