// What is pending with information of its own: signals of real time, and those of POSIX timers.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/signals/signal.h"

namespace nopte::guest {

// On one queue at most. One of a timer is a part of the timer and never freed here.
struct QueuedSignal : HeapAllocated {
  QueuedSignal* next = nullptr;
  i32 signal = 0;
  SignalInfo info;
  PendingSignals* where = nullptr;                      // on whose queue; null: on none
  void (*taken)(QueuedSignal&, SignalInfo&) = nullptr;  // of a timer: completes what the handler learns
};

// Makes the signal pending; one below 32 only if it is not yet. False: no room for one of real time, which is
// not pending then. kill's own is, without its information.
// Whose they are decides about the room.
bool make_pending(const Process& process, PendingSignals& pending, i32 signal, const SignalInfo& info);
// The same for a signal that lies ready. Precondition: it is on no queue.
void make_pending(PendingSignals& pending, QueuedSignal& queued);
// How many wait with information of their own, those of timers not among them: in all, and of these.
u64 queued_signals();
u64 queued_in(const PendingSignals& pending);
// The oldest one of the number, which is pending no more unless there is another one.
SignalInfo take_pending(PendingSignals& pending, i32 signal);
// Takes one of the set, the thread's own before its process's; which one, 0 for none.
i32 take_pending(Thread& thread, SignalSet set, SignalInfo& info);
// None of the set is pending.
void drop_pending(PendingSignals& pending, SignalSet set);
// Takes one of a timer off its queue, if it is on one.
void withdraw(QueuedSignal& queued);
// As send_signal() (signal.h), to one thread or, null, to all; false: it is ignored.
bool send_signal(Process& target, Thread* thread, QueuedSignal& queued);
// All of `from`, which has none then; `to` has none before.
void move_pending(PendingSignals& to, PendingSignals& from);

}  // namespace nopte::guest
