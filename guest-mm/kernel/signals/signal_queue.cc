#include "guest-mm/kernel/signals/signal_queue.h"

#include <utility>

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/user_share.h"

namespace nopte::guest {

namespace {

u64 g_queued = 0;  // of all processes, those of timers not among them

void append(PendingSignals& pending, QueuedSignal& queued) {
  QueuedSignal** end = &pending.queue;
  while (*end != nullptr) {
    end = &(*end)->next;
  }
  queued.next = nullptr;
  queued.where = &pending;
  *end = &queued;
  pending.set |= signal_bit(queued.signal);
}

// Takes it off the queue; what it said.
SignalInfo unlink(QueuedSignal** link) {
  QueuedSignal& queued = **link;
  *link = queued.next;
  queued.where = nullptr;
  SignalInfo info = queued.info;
  if (queued.taken != nullptr) {
    queued.taken(queued, info);
  } else {
    --g_queued;
    delete &queued;
  }
  return info;
}

QueuedSignal** find(PendingSignals& pending, i32 signal) {
  QueuedSignal** link = &pending.queue;
  while (*link != nullptr && (*link)->signal != signal) {
    link = &(*link)->next;
  }
  return link;
}

}  // namespace

u64 queued_signals() { return g_queued; }

u64 queued_in(const PendingSignals& pending) {
  u64 signals = 0;
  for (const QueuedSignal* queued = pending.queue; queued != nullptr; queued = queued->next) {
    signals += queued->taken == nullptr ? 1 : 0;
  }
  return signals;
}

bool make_pending(const Process& process, PendingSignals& pending, i32 signal, const SignalInfo& info) {
  const SignalSet bit = signal_bit(signal);
  if (signal < kFirstRealTime) {
    if ((pending.set & bit) == 0) {
      pending.set |= bit;
      pending.plain |= bit;
      pending.info[signal - 1] = info;
    }
    return true;
  }
  QueuedSignal* const queued = has_room_for_signal(process) ? make<QueuedSignal>() : nullptr;
  if (queued == nullptr) {
    pending.set |= info.code == kSiUser ? bit : 0;
    return info.code == kSiUser;
  }
  ++g_queued;
  queued->signal = signal;
  queued->info = info;
  append(pending, *queued);
  return true;
}

void make_pending(PendingSignals& pending, QueuedSignal& queued) { append(pending, queued); }

SignalInfo take_pending(PendingSignals& pending, i32 signal) {
  const SignalSet bit = signal_bit(signal);
  if (pending.queue == nullptr) [[likely]] {
    pending.set &= ~bit;
    const bool known = (std::exchange(pending.plain, pending.plain & ~bit) & bit) != 0;
    return known ? pending.info[signal - 1] : SignalInfo{};
  }
  SignalInfo info;
  if ((pending.plain & bit) != 0) {
    pending.plain &= ~bit;
    info = pending.info[signal - 1];
  } else if (QueuedSignal** const link = find(pending, signal); *link != nullptr) {
    info = unlink(link);
  }
  if (*find(pending, signal) == nullptr) {
    pending.set &= ~bit;
  }
  return info;
}

i32 take_pending(Thread& thread, SignalSet set, SignalInfo& info) {
  PendingSignals& own = thread.signals.pending;
  PendingSignals& from = (own.set & set) != 0 ? own : thread.process->signals.pending;
  if ((from.set & set) == 0) {
    return 0;
  }
  const i32 signal = __builtin_ctzll(from.set & set) + 1;
  info = take_pending(from, signal);
  refresh_signals(thread);
  return signal;
}

void drop_pending(PendingSignals& pending, SignalSet set) {
  pending.set &= ~set;
  pending.plain &= ~set;
  for (QueuedSignal** link = &pending.queue; *link != nullptr;) {
    if ((signal_bit((*link)->signal) & set) != 0) {
      (void)unlink(link);
    } else {
      link = &(*link)->next;
    }
  }
}

void withdraw(QueuedSignal& queued) {
  PendingSignals* const pending = std::exchange(queued.where, nullptr);
  if (pending == nullptr) {
    return;
  }
  QueuedSignal** link = &pending->queue;
  while (*link != &queued) {
    link = &(*link)->next;
  }
  *link = queued.next;
  if ((pending->plain & signal_bit(queued.signal)) == 0 && *find(*pending, queued.signal) == nullptr) {
    pending->set &= ~signal_bit(queued.signal);
  }
}

void move_pending(PendingSignals& to, PendingSignals& from) {
  to.set = std::exchange(from.set, 0);
  to.plain = std::exchange(from.plain, 0);
  to.queue = std::exchange(from.queue, nullptr);
  for (QueuedSignal* queued = to.queue; queued != nullptr; queued = queued->next) {
    queued->where = &to;
  }
  for (i32 signal = 1; signal < kFirstRealTime; ++signal) {
    if ((to.plain & signal_bit(signal)) != 0) {
      to.info[signal - 1] = from.info[signal - 1];
    }
  }
}

}  // namespace nopte::guest
