// Sending: what becomes pending, who wakes up, what is ignored at once.
#include "guest-mm/kernel/signals/signal.h"

#include <bit>
#include <utility>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/signals/signal_queue.h"

namespace nopte::guest {

constinit WaitQueue g_signal_watchers;

namespace {

constexpr SignalSet kStops =
    signal_bit(kSIGSTOP) | signal_bit(kSIGTSTP) | signal_bit(kSIGTTIN) | signal_bit(kSIGTTOU);
constexpr SignalSet kIgnoredByDefault =
    signal_bit(kSIGCHLD) | signal_bit(kSIGCONT) | signal_bit(kSIGURG) | signal_bit(kSIGWINCH);

constexpr SignalSet kStopOrGoOn = kStops | signal_bit(kSIGCONT) | signal_bit(kSIGKILL);

bool ignored(const Thread& target, i32 signal) {
  // A blocked signal stays pending whatever its action: the action may change before it is unblocked.
  if (((target.signals.blocked | target.signals.heard) & signal_bit(signal)) != 0) {
    return false;
  }
  const u64 handler = (*target.process->signals.actions)[signal].handler;
  return handler == SignalAction::kIgnore ||
         (handler == SignalAction::kDefault &&
          ((kIgnoredByDefault & signal_bit(signal)) != 0 || target.process->unkillable));
}

// The ones of the set are pending nowhere in the process.
void flush(Process& process, SignalSet set) {
  drop_pending(process.signals.pending, set);
  process.for_each_thread([set](Thread& thread) { drop_pending(thread.signals.pending, set); });
}

// What comes before queueing: stopping and going on take each other's signals away. False: nobody is there to
// get it, or `target`, which decides for all, ignores it.
[[gnu::always_inline]] inline bool prepare(Process& process, const Thread& target, i32 signal) {
  if (process.ended()) {
    return false;
  }
  if ((signal_bit(signal) & kStopOrGoOn) != 0) [[unlikely]] {
    if ((kStops & signal_bit(signal)) == 0) {
      flush(process, kStops);
      if (process.attention != 0) {
        resume_for_signal(process, signal);
      }
    } else {
      flush(process, signal_bit(kSIGCONT));
    }
  }
  return !ignored(target, signal);
}

bool takes(const Thread& thread, i32 signal) {
  return thread.state != ThreadState::kEnded && (thread.signals.blocked & signal_bit(signal)) == 0;
}

// Who takes a signal of all: the leader if it can, else one that has nothing else to take. Null: none yet.
Thread* taker(Process& process, i32 signal) {
  if (takes(process.leader(), signal)) {
    return &process.leader();
  }
  Thread* found = nullptr;
  process.for_each_thread([&](Thread& thread) {
    if (takes(thread, signal) && (found == nullptr || found->signal_ready != 0)) {
      found = &thread;
    }
  });
  return found;
}

void wake_taker(Process& process, i32 signal) {
  wake(g_signal_watchers);
  if (Thread* const thread = taker(process, signal)) {
    wake_for_signal(*thread, signal);
  }
}

}  // namespace

struct SharedActions : HeapAllocated {
  u32 users = 1;
  SignalActions actions;
};

Result<void> share_signal_actions(Process& child, Process& parent) {
  GroupSignals& from = parent.signals;
  if (from.shared == nullptr) {
    from.shared = make<SharedActions>();
    if (from.shared == nullptr) {
      return Fail(Status::kNoMemory);
    }
    from.shared->actions = from.own;
    from.actions = &from.shared->actions;
  }
  ++from.shared->users;
  child.signals.shared = from.shared;
  child.signals.actions = from.actions;
  return {};
}

void unshare_signal_actions(Process& process) {
  GroupSignals& signals = process.signals;
  if (signals.shared != nullptr) {
    signals.own = *signals.actions;
    drop_signal_actions(process);
  }
}

void clear_signal_handlers(Process& process) {
  SignalActions& actions = *process.signals.actions;
  for (SignalSet left = actions.set; left != 0; left &= left - 1) {
    const i32 signal = std::countr_zero(left) + 1;
    const bool ignores = actions[signal].handler == SignalAction::kIgnore;
    actions[signal] = {.handler = ignores ? SignalAction::kIgnore : SignalAction::kDefault,
                       .flags = 0,
                       .restorer = 0,
                       .mask = 0};
    actions.set &= ignores ? actions.set : ~signal_bit(signal);
  }
}

void drop_signal_actions(Process& process) {
  GroupSignals& signals = process.signals;
  signals.actions = &signals.own;
  SharedActions* const shared = std::exchange(signals.shared, nullptr);
  if (shared != nullptr && --shared->users == 0) {
    delete shared;
  }
}

void wake_for_signal(Thread& thread, i32 signal) {
  if (refresh_signals(thread) && thread.state == ThreadState::kSleeping &&
      (thread.interruptible || (thread.killable && signal == kSIGKILL))) {
    make_runnable(thread);
    // Who works on for longer than a slice must not keep a sleeper waiting for as long again at every signal.
    if (current().keeps_on()) g_resched = true;
  }
}

bool send_signal(Process& target, i32 signal, const SignalInfo& info) {
  if (!prepare(target, target.leader(), signal)) {
    return true;
  }
  const bool kept = make_pending(target, target.signals.pending, signal, info);
  wake_taker(target, signal);
  return kept;
}

bool send_signal(Thread& target, i32 signal, const SignalInfo& info) {
  if (!prepare(*target.process, target, signal)) {
    return true;
  }
  const bool kept = make_pending(*target.process, target.signals.pending, signal, info);
  wake(g_signal_watchers);
  wake_for_signal(target, signal);
  return kept;
}

bool send_signal(Process& target, Thread* thread, QueuedSignal& queued) {
  if (!prepare(target, thread != nullptr ? *thread : target.leader(), queued.signal)) {
    return false;
  }
  make_pending(thread != nullptr ? thread->signals.pending : target.signals.pending, queued);
  if (thread != nullptr) {
    wake(g_signal_watchers);
    wake_for_signal(*thread, queued.signal);
  } else {
    wake_taker(target, queued.signal);
  }
  return true;
}

u64 signal_group(i32 pgid, i32 signal, const SignalInfo& info) {
  return signal_group_of_session(pgid, 0, signal, info);
}

u64 signal_group_of_session(i32 pgid, i32 session, i32 signal, const SignalInfo& info) {
  u64 reached = 0;
  for_each_of_group(pgid, [&](Process& process) {
    if (!process.ended() && (session == 0 || process.sid == session)) {
      send_signal(process, signal, info);
      ++reached;
    }
  });
  return reached;
}

void force_signal(i32 signal, const SignalInfo& info) {
  Thread& self = current();
  ThreadSignals& signals = self.signals;
  SignalAction& action = (*self.process->signals.actions)[signal];
  if ((signals.blocked & signal_bit(signal)) != 0 || action.handler == SignalAction::kIgnore) {
    action.handler = SignalAction::kDefault;
    signals.blocked &= ~signal_bit(signal);
  }
  if (action.handler == SignalAction::kDefault) {
    self.process->unkillable = false;
  }
  signals.pending.set |= signal_bit(signal);
  signals.pending.plain |= signal_bit(signal);
  signals.pending.info[signal - 1] = info;
  self.signal_ready |= kSignalReady;
}

void forget_signal(Process& process, i32 signal) { flush(process, signal_bit(signal)); }

// Apart: threads that are to stop, and traced ones.
[[gnu::cold, gnu::noinline]] static bool refresh_attentive(Thread& thread, bool ready) {
  ready = ready || must_stop(thread);
  thread.signal_ready = (thread.signal_ready & kByTracer) | (ready ? kSignalReady : 0);
  return ready;
}

bool refresh_signals(Thread& thread) {
  const SignalSet pending = thread.signals.pending.set | thread.process->signals.pending.set;
  const bool ready = (pending & ~thread.signals.blocked) != 0;
  if (thread.process->attention != 0) [[unlikely]]
    return refresh_attentive(thread, ready);
  thread.signal_ready = ready ? kSignalReady : 0;
  return ready;
}

bool kill_pending() {
  const Process& process = *g_current->process;
  return process.ending != Ending::kNo ||
         ((g_current->signals.pending.set | process.signals.pending.set) & signal_bit(kSIGKILL)) != 0;
}

void retarget_signals(const Thread& thread, SignalSet refused) {
  Process& process = *thread.process;
  refused &= process.signals.pending.set;
  if (refused == 0 || process.live_threads == 1) {
    return;
  }
  process.for_each_thread([&](Thread& other) {
    const SignalSet taken = other.state != ThreadState::kEnded ? refused & ~other.signals.blocked : 0;
    if (&other != &thread && taken != 0) {
      wake_for_signal(other, __builtin_ctzll(taken) + 1);
      refused &= ~taken;
    }
  });
}

// Something is pending: it may be for this thread now, or for another one of the process.
[[gnu::noinline]] static void settle_blocked(Thread& thread, SignalSet refused) {
  refresh_signals(thread);
  retarget_signals(thread, refused);
}

void set_blocked_signals(Thread& thread, SignalSet blocked) {
  const Process& process = *thread.process;
  const SignalSet before = thread.signals.blocked;
  thread.signals.blocked = blocked & ~kUnblockable;
  if ((thread.signals.pending.set | process.signals.pending.set | process.attention) != 0) [[unlikely]] {
    return settle_blocked(thread, thread.signals.blocked & ~before);
  }
  thread.signal_ready = 0;
}

}  // namespace nopte::guest
