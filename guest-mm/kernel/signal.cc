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

bool ignored(const Process& target, i32 signal) {
  // A blocked signal stays pending whatever its action: the action may change before it is unblocked.
  if (((target.signals.blocked | target.signals.awaited) & signal_bit(signal)) != 0) {
    return false;
  }
  const u64 handler = target.signals.actions[signal - 1].handler;
  return handler == SignalAction::kIgnore ||
         (handler == SignalAction::kDefault && (kIgnoredByDefault & signal_bit(signal)) != 0);
}

void make_pending(Process& target, i32 signal, const SignalInfo& info) {
  if ((target.signals.pending & signal_bit(signal)) == 0) {
    target.signals.pending |= signal_bit(signal);
    target.signals.info[signal - 1] = info;
  }
}

}  // namespace

void send_signal(Process& target, i32 signal, const SignalInfo& info) {
  if (target.state == ProcessState::kZombie) {
    return;
  }
  SignalState& signals = target.signals;
  if (signal == kSIGCONT || signal == kSIGKILL) {
    signals.pending &= ~kStops;
    if (target.state == ProcessState::kStopped) {
      note_continued(target);
      make_runnable(target);
    }
  } else if ((kStops & signal_bit(signal)) != 0) {
    signals.pending &= ~signal_bit(kSIGCONT);
  }
  if (ignored(target, signal)) {
    return;
  }
  make_pending(target, signal, info);
  if ((signals.pending & ~signals.blocked) != 0 && target.state == ProcessState::kSleeping &&
      (target.interruptible || (target.killable && signal == kSIGKILL))) {
    make_runnable(target);
  }
}

u64 signal_group(i32 pgid, i32 signal, const SignalInfo& info) {
  u64 reached = 0;
  for_each_process([&](Process& process) {
    if (process.pgid == pgid && process.state != ProcessState::kZombie) {
      send_signal(process, signal, info);
      ++reached;
    }
  });
  return reached;
}

void force_signal(i32 signal, const SignalInfo& info) {
  SignalState& signals = current().signals;
  SignalAction& action = signals.actions[signal - 1];
  if ((signals.blocked & signal_bit(signal)) != 0 || action.handler == SignalAction::kIgnore) {
    action.handler = SignalAction::kDefault;
    signals.blocked &= ~signal_bit(signal);
  }
  signals.pending |= signal_bit(signal);
  signals.info[signal - 1] = info;
}

void set_blocked_signals(Process& process, SignalSet blocked) {
  process.signals.blocked = blocked & ~kUnblockable;
}

}  // namespace nopte::guest
