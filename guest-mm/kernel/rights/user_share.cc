#include "guest-mm/kernel/rights/user_share.h"

#include "guest-mm/kernel/process/tracee.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/time/posix_timers.h"

namespace nopte::guest {

namespace {

u32 user_of(const Thread& thread) { return identity_of(thread).user.real; }

}  // namespace

u64 threads_of(u32 user) {
  u64 threads = 0;
  for_each_thread([&](const Thread& thread) { threads += user_of(thread) == user ? 1 : 0; });
  for_each_tracee([&](const Tracee& tracee) { threads += tracee.ended && tracee.uid == user ? 1 : 0; });
  return threads;
}

u64 queued_signals_of(u32 user) {
  u64 signals = 0;
  for_each_thread([&](const Thread& thread) {
    if (thread.process == nullptr || user_of(thread) != user) return;
    signals += queued_in(thread.signals.pending);
    if (&thread == &thread.process->leader()) {
      signals += queued_in(thread.process->signals.pending) + numbered_timers(*thread.process);
    }
  });
  return signals;
}

// As Linux, who has CAP_SYS_RESOURCE or CAP_SYS_ADMIN, or is root, is not bound (kernel/fork.c,
// copy_process).
bool has_room_for_thread_of_user(u64 limit) {
  const u32 user = identity().user.real;
  return user == 0 || capable(Capability::kSysResource) || capable(Capability::kSysAdmin) ||
         threads_of(user) < limit;
}

bool exceeds_processes(const Process& process, u32 user) {
  const u64 limit = process.limits->of(Resource::kProcesses).now;
  return thread_count() > limit && threads_of(user) > limit;
}

bool has_room_for_signal(const Process& process) {
  const u64 limit = process.limits->of(Resource::kPendingSignals).now;
  return queued_signals() + numbered_timers() < limit || queued_signals_of(user_of(process.leader())) < limit;
}

}  // namespace nopte::guest
