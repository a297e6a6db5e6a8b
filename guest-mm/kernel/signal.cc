// Sending: what becomes pending, who wakes up, what is ignored at once.
#include "guest-mm/kernel/signal.h"

#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/wait.h"

namespace nopte::guest {

namespace {

constexpr SignalSet kStops =
    signal_bit(kSIGSTOP) | signal_bit(kSIGTSTP) | signal_bit(kSIGTTIN) | signal_bit(kSIGTTOU);
constexpr SignalSet kIgnoredByDefault =
    signal_bit(kSIGCHLD) | signal_bit(kSIGCONT) | signal_bit(kSIGURG) | signal_bit(kSIGWINCH);

bool ignored(const Thread& target, i32 signal) {
  // A blocked signal stays pending whatever its action: the action may change before it is unblocked.
  if (((target.signals.blocked | target.signals.awaited) & signal_bit(signal)) != 0) {
    return false;
  }
  const u64 handler = target.process->signals.actions[signal - 1].handler;
  return handler == SignalAction::kIgnore ||
         (handler == SignalAction::kDefault && (kIgnoredByDefault & signal_bit(signal)) != 0);
}

void make_pending(PendingSignals& pending, i32 signal, const SignalInfo& info) {
  if ((pending.set & signal_bit(signal)) == 0) {
    pending.set |= signal_bit(signal);
    pending.info[signal - 1] = info;
  }
}

void send(Thread& target, PendingSignals& pending, i32 signal, const SignalInfo& info) {
  Process& process = *target.process;
  if (process.ended()) {
    return;
  }
  if (signal == kSIGCONT || signal == kSIGKILL) {
    pending.set &= ~kStops;
    if (process.stopped) {
      note_continued(process);
    }
  } else if ((kStops & signal_bit(signal)) != 0) {
    pending.set &= ~signal_bit(kSIGCONT);
  }
  if (ignored(target, signal)) {
    return;
  }
  make_pending(pending, signal, info);
  refresh_signals(target);
  if (target.signal_ready && target.state == ThreadState::kSleeping &&
      (target.interruptible || (target.killable && signal == kSIGKILL))) {
    make_runnable(target);
  }
}

}  // namespace

void send_signal(Process& target, i32 signal, const SignalInfo& info) {
  send(target.leader(), target.signals.pending, signal, info);
}

void send_signal(Thread& target, i32 signal, const SignalInfo& info) {
  send(target, target.signals.pending, signal, info);
}

u64 signal_group(i32 pgid, i32 signal, const SignalInfo& info) {
  u64 reached = 0;
  for_each_process([&](Process& process) {
    if (process.pgid == pgid && !process.ended()) {
      send_signal(process, signal, info);
      ++reached;
    }
  });
  return reached;
}

void force_signal(i32 signal, const SignalInfo& info) {
  Thread& self = current();
  ThreadSignals& signals = self.signals;
  SignalAction& action = self.process->signals.actions[signal - 1];
  if ((signals.blocked & signal_bit(signal)) != 0 || action.handler == SignalAction::kIgnore) {
    action.handler = SignalAction::kDefault;
    signals.blocked &= ~signal_bit(signal);
  }
  signals.pending.set |= signal_bit(signal);
  signals.pending.info[signal - 1] = info;
  self.signal_ready = true;
}

void refresh_signals(Thread& thread) {
  const SignalSet pending = thread.signals.pending.set | thread.process->signals.pending.set;
  thread.signal_ready = (pending & ~thread.signals.blocked) != 0;
}

void set_blocked_signals(Thread& thread, SignalSet blocked) {
  thread.signals.blocked = blocked & ~kUnblockable;
  refresh_signals(thread);
}

}  // namespace nopte::guest
