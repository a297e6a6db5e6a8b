// The life of a tracee: who is traced by whom, stops and their ends.
#include "guest-mm/kernel/process/tracee.h"

#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

u64 g_tracees = 0;

void enter(Tracee& tracee, files::ThreadWatch& tracer) {
  tracee.next = tracer.tracees;
  tracee.link = &tracer.tracees;
  if (tracee.next != nullptr) tracee.next->link = &tracee.next;
  tracer.tracees = &tracee;
}

void leave(Tracee& tracee) {
  *tracee.link = tracee.next;
  if (tracee.next != nullptr) tracee.next->link = tracee.link;
}

void drop(Tracee& tracee) {
  leave(tracee);
  if (tracee.ended) --g_thread_count;
  tracee.traced->tracee = nullptr;
  destroy(&tracee);
  if (--g_tracees == 0) watch_calls(false);
}

bool ended(const Thread* thread) { return thread == nullptr || thread->state == ThreadState::kEnded; }

// Its parent hears of its end now, as if it had just ended.
void give_to_parent(Tracee& tracee) {
  Process& process = *tracee.thread()->process;
  Process& parent = parent_of_held(tracee);
  const SignalAction& action = (*parent.signals.actions)[kSIGCHLD];
  const bool unclaimed = process.exit_signal == kSIGCHLD &&
                         (action.handler == SignalAction::kIgnore || (action.flags & kSaNocldwait) != 0);
  drop(tracee);
  set_parent(process, &parent);
  tell_parent_of_end(process);
  if (unclaimed) release_process(process);
}

// Whether another thread of it has kByTracer still.
void follow_attention(Process& process) {
  bool any = false;
  process.for_each_thread([&](const Thread& thread) { any = any || (thread.signal_ready & kByTracer) != 0; });
  if (!any) process.attention &= ~Process::kTracing;
}

}  // namespace

Process* tracer_of(const Thread& thread) {
  const Tracee* const tracee = tracee_of(thread);
  return tracee != nullptr && !tracee->ended ? tracee->tracer_thread()->process : nullptr;
}

void for_each_tracee(FunctionRef<void(Tracee&)> visit) {
  for_each_thread([&](Thread& tracer) {
    for (Tracee* tracee = tracer.watch != nullptr ? tracer.watch->tracees : nullptr; tracee != nullptr;) {
      Tracee* const next = tracee->next;
      visit(*tracee);
      tracee = next;
    }
  });
}

i64 begin_tracing(Thread& thread, Thread& tracer, const Tracing& how) {
  Ref<files::ThreadWatch> watch = files::ThreadWatch::of(thread);
  Ref<files::ThreadWatch> by = files::ThreadWatch::of(tracer);
  Tracee* const tracee = watch && by ? make<Tracee>() : nullptr;
  if (tracee == nullptr) return -kENOMEM;
  tracee->traced = std::move(watch);
  tracee->tracer = std::move(by);
  tracee->tid = thread.tid;
  tracee->options = how.options;
  tracee->seized = how.seized;
  tracee->privileged = how.privileged;
  tracee->traced->tracee = tracee;
  enter(*tracee, *tracee->tracer);
  thread.signal_ready |= kByTracer;
  thread.process->attention |= Process::kTracing;
  thread.signals.heard = ~signal_bit(kSIGKILL);
  if (g_tracees++ == 0) watch_calls(true);
  return 0;
}

void tell_tracer(const Tracee& tracee, i32 code, i32 status) {
  const Thread& thread = *tracee.thread();
  Process& tracer = *tracee.tracer_thread()->process;
  const SignalAction& action = (*tracer.signals.actions)[kSIGCHLD];
  const bool ends = code == kCldExited || code == kCldKilled || code == kCldDumped;
  if (action.handler != SignalAction::kIgnore && (ends || (action.flags & kSaNocldstop) == 0)) {
    send_signal(tracer, kSIGCHLD,
                {.code = code,
                 .pid = tracee.tid,
                 .value = static_cast<u64>(status),
                 .uid = identity_of(thread).user.real});
  }
  wake(tracer.child_event);
}

Process& parent_of_held(const Tracee& tracee) {
  Process* const parent = find_process(tracee.parent_pid);
  const bool there = parent != nullptr && !parent->ended() && parent->started_ns == tracee.parent_started_ns;
  return there ? *parent : *init_process();
}

bool is_killed(const Thread& thread) {
  const Process& process = *thread.process;
  return ((thread.signals.pending.set | (process.unkillable ? 0 : process.signals.pending.set)) &
          signal_bit(kSIGKILL)) != 0;
}

// The tracee may be gone when it goes on, and what asked for the stop must not use it then.
i32 stop_for_tracer(Tracee& tracee, i32 code, i32 why, UserSigInfo* info, u64 message) {
  Thread& self = current();
  if (is_killed(self)) return 0;
  if (std::exchange(tracee.trap_forced, false)) self.registers->rflags &= ~kFlagTrap;
  i32 answer = 0;
  tracee.code = code;
  tracee.info = info;
  tracee.message = message;
  tracee.answer = &answer;
  tracee.stopped = tracee.waitable = true;
  tell_tracer(tracee, why, why == kCldStopped ? self.process->stop_signal() : code & 0x7f);
  for (;;) {
    const Tracee* const now = tracee_of(self);
    if (now == nullptr || !now->stopped || is_killed(self)) break;
    self.state = ThreadState::kTraced;
    schedule();
  }
  if (Tracee* const now = tracee_of(self)) {
    now->stopped = now->waitable = now->listening = false;
    now->info = nullptr;
    now->answer = nullptr;
    now->message = 0;
  }
  refresh_signals(self);
  return is_killed(self) ? 0 : answer;
}

void resume_tracee(Tracee& tracee, i32 signal) {
  // Taken once: who leaves the tracee before it ran takes nothing away.
  if (i32* const answer = std::exchange(tracee.answer, nullptr)) *answer = signal;
  tracee.stopped = tracee.waitable = tracee.listening = false;
  tracee.info = nullptr;
  make_runnable(*tracee.thread());
}

void poke(Tracee& tracee) {
  Thread& thread = *tracee.thread();
  if (tracee.listening) {
    resume_tracee(tracee, 0);
  } else {
    wake_for_signal(thread, 0);
  }
}

void let_go(Tracee& tracee, i32 signal) {
  Thread* const thread = tracee.thread();
  if (tracee.held) return give_to_parent(tracee);
  if (ended(thread)) return drop(tracee);
  if (tracee.joined && thread->process->parked != 0) --thread->process->parked;
  const bool stopped = thread->state == ThreadState::kTraced;
  if (tracee.answer != nullptr) *tracee.answer = signal;
  if (tracee.trap_forced) thread->registers->rflags &= ~kFlagTrap;
  drop(tracee);
  // It takes its mark away by itself.
  if (stopped) {
    make_runnable(*thread);
  } else {
    wake_for_signal(*thread, 0);
  }
}

void bury(Tracee& tracee) {
  if (tracee.held) {
    give_to_parent(tracee);
  } else {
    drop(tracee);
  }
}

// --- what the rest of the kernel calls (ptrace.h)
// -----------------------------------------------------------

bool must_stop(const Thread& thread) {
  const Tracee* const tracee = tracee_of(thread);
  const bool together = thread.process->stop_signal() != 0;
  if (tracee == nullptr) return together;
  return tracee->trap_stop || tracee->trap_notify || (together && !tracee->joined);
}

void resume_for_signal(Process& process, i32 signal) {
  if (process.stop_signal() != 0) note_continued(process);
  process.for_each_thread([&](Thread& thread) {
    Tracee* const tracee = tracee_of(thread);
    if (tracee == nullptr || thread.state == ThreadState::kEnded) return;
    tracee->joined = false;
    if (signal == kSIGKILL && thread.state == ThreadState::kTraced) {
      make_runnable(thread);
    } else if (signal == kSIGCONT && tracee->seized) {
      tracee->trap_notify = true;
      poke(*tracee);
    }
  });
}

u32 parked_already(Process& process) {
  u32 parked = 0;
  process.for_each_thread([&](Thread& thread) {
    parked += thread.state == ThreadState::kStopped ? 1 : 0;
    if (Tracee* const tracee = tracee_of(thread)) tracee->joined = false;
  });
  return parked;
}

bool seen_by_tracer_alone(const Process& process) {
  return is_traced(process.leader()) && tracer_of(process.leader()) == process.parent;
}

void end_tracing(Thread& thread, i32 wait_status) {
  files::ThreadWatch& watch = *thread.watch;
  const Ref<files::ThreadWatch> hold(&watch);
  while (Tracee* const mine = watch.tracees) {
    Thread* const traced = mine->thread();
    if ((mine->options & trace::kExitKill) != 0 && !ended(traced)) {
      send_signal(*traced, kSIGKILL, SignalInfo{.code = kSiKernel});
    }
    let_go(*mine, 0);
  }
  Tracee* const tracee = watch.tracee;
  if (tracee == nullptr) return;
  tracee->stopped = tracee->waitable = false;
  if (std::exchange(tracee->joined, false) && thread.process->parked != 0) --thread.process->parked;
  if (&thread == &thread.process->leader()) return;
  // As on Linux it counts as a thread until it was waited for, so that there are not too many.
  tracee->ended = true;
  ++g_thread_count;
  tracee->uid = identity_of(thread).user.real;
  tracee->status = thread.process->ending == Ending::kExit ? thread.process->exit_status : wait_status;
  const i32 signal = tracee->status & 0x7f;
  tell_tracer(*tracee, code_of_end(tracee->status), signal != 0 ? signal : tracee->status >> 8);
}

bool end_traced(Process& process) {
  Tracee* const tracee = tracee_of(process.leader());
  if (tracee == nullptr) return false;
  process.unclaimed = false;
  if (tracee->tracer_thread()->process == process.parent) {
    tell_parent_of_end(process);
    note_ended(process);
    return true;
  }
  tracee->held = true;
  tracee->parent_pid = process.parent->pid;
  tracee->parent_started_ns = process.parent->started_ns;
  set_parent(process, nullptr);
  const i32 signal = process.exit_status & 0x7f;
  tell_tracer(*tracee, code_of_end(process.exit_status), signal != 0 ? signal : process.exit_status >> 8);
  return true;
}

void forget_tracee(files::ThreadWatch& watch) {
  if (!watch.tracee->ended) drop(*watch.tracee);
}

void trace_leader_instead(Thread& self, Thread& leader) {
  if (leader.watch != nullptr && leader.watch->tracee != nullptr) drop(*leader.watch->tracee);
  leader.signal_ready &= ~kByTracer;
  leader.signals.heard = 0;
  self.signal_ready &= ~kByTracer;
  if (self.watch == nullptr) return follow_attention(*leader.process);
  const Ref<files::ThreadWatch> watch = files::ThreadWatch::of(leader);
  const Ref<files::ThreadWatch> before(self.watch);
  while (Tracee* const mine = before->tracees) {
    if (!watch) {
      let_go(*mine, 0);
      continue;
    }
    leave(*mine);
    mine->tracer = watch;
    enter(*mine, *watch);
  }
  Tracee* const tracee = before->tracee;
  if (tracee != nullptr && watch) {
    tracee->traced = watch;
    tracee->tid = leader.tid;
    tracee->message = static_cast<u32>(self.tid);
    before->tracee = nullptr;
    watch->tracee = tracee;
    leader.signal_ready |= kByTracer;
    leader.signals.heard = self.signals.heard;
  } else if (tracee != nullptr) {
    drop(*tracee);
  }
  follow_attention(*leader.process);
}

bool tracer_allows_identity() {
  const Tracee* const tracee = tracee_of(current());
  return tracee == nullptr || tracee->privileged;
}

// Nobody traces the running thread any more: the last of what it does as one who was.
void forget_tracer() {
  Thread& self = current();
  self.signals.heard = 0;
  self.signal_ready &= ~kByTracer;
  follow_attention(*self.process);
  refresh_signals(self);
}

}  // namespace nopte::guest
