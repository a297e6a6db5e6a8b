// Preemptive round-robin on one CPU. The kernel itself is not preemptible: a thread leaves the CPU in
// schedule() only, because it sleeps, ended, or its slice was up on the way back to user mode.
//
// No tick: the timer is armed when at least two threads are runnable (end of the slice) or for the
// earliest deadline of the timer queue. A deadline that is no longer needed is left to fire, since taking
// it back would cost a platform call at every switch. Idle waits on the stack of the thread that went to
// sleep last, in its address space, which no one else needs meanwhile.
#pragma once

#include "guest-mm/kernel/schedule/wait_queue.h"
#include "guest-mm/kernel/time/timer.h"
#include "pvops/base/types.h"

namespace nopte::guest {

struct Thread;

inline constexpr u64 kSliceNs = 10'000'000;

enum class WakeReason : u8 {
  kWoken,    // the condition may have changed: look again
  kSignal,   // a signal waits to be delivered: give up with -kERESTARTSYS or -kEINTR
  kTimeout,  // the deadline passed
};

// Sleeps until the queue is woken, a signal that is not blocked is pending, or platform time reaches the
// deadline. A pending signal is answered at once, without sleeping. On return the thread is on no queue.
WakeReason block_on(WaitQueue& queue, u64 deadline_ns = kNoDeadline);
// The same as a taker (WaitQueue::add_taker).
WakeReason block_to_take(WaitQueue& queue);
// The same as block_on() without reacting to signals, except those that kill the thread at once.
WakeReason block_on_killable(WaitQueue& queue);
// As block_on(), for a caller that put its own Waiters on queues (or on none: a pure delay). They stay on.
WakeReason sleep_until(u64 deadline_ns);

// Makes everyone on the queue runnable.
inline void wake(WaitQueue& queue) {
  if (!queue.empty()) queue.wake_all();
}

inline void wake_some(WaitQueue& queue) {
  if (!queue.empty()) queue.wake_some();
}

// Gives the CPU to the next runnable thread; idles when there is none. Returns when the running thread
// is chosen again. Precondition: called in the kernel with interrupts off.
void schedule();
// Puts a sleeping, new or stopped thread at the end of the run queue; no effect on a runnable one.
void make_runnable(Thread& thread);
// Lets the others run first (sched_yield).
void yield();
// Between two steps of a call that may take long: what is due fires, and others get their turn when the slice
// is up. The next step looks for signals.
void give_way();

// Number of runnable threads, the running one included.
u64 runnable_threads();
// Processor time of a thread up to now.
u64 cpu_time_ns(const Thread& thread);

// The platform timer fired: deadlines, and the end of the slice.
void timer_interrupt();
// An ended thread that nobody will wait for: released once its kernel stack is no longer in use.
void release_after_switch(Thread& thread);
// To be called first by a thread that runs for the first time.
void finish_switch();
// Starts the first thread; the caller's stack is abandoned.
[[noreturn]] void start_first(Thread& thread);

}  // namespace nopte::guest
