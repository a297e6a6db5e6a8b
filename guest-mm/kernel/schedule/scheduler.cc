#include "guest-mm/kernel/schedule/scheduler.h"

#include <algorithm>
#include <utility>

#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_slots.h"
#include "guest-mm/kernel/process/process_space.h"
#include "pvops/base/panic.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

bool g_resched = false;

namespace {

Thread* g_run_first = nullptr;  // runnable, without the running one
Thread* g_run_last = nullptr;
u64 g_queued = 0;
u64 g_slice_began_ns = 0;  // when the running thread began to hold up another one
u64 g_switched_ns = 0;     // when it got the CPU
bool g_idle = false;       // nobody has it
u64 g_armed_ns = kNoDeadline;
Thread* g_unclaimed = nullptr;

Thread* take_first() {
  Thread* thread = g_run_first;
  if (thread != nullptr) {
    g_run_first = thread->run_next;
    if (g_run_first == nullptr) {
      g_run_last = nullptr;
    }
    thread->queued = false;
    --g_queued;
  }
  return thread;
}

// Nothing is runnable: waits for interrupts until something is. One may come while the space is freed.
Thread* idle_until_runnable() {
  g_idle = true;
  leave_ended_space();
  Thread* next = take_first();
  while (next == nullptr) {
    platform_ops().idle();
    next = take_first();
  }
  g_idle = false;
  return next;
}

// The last one may take its process along.
void release_ended(Thread& thread) {
  Process& process = *thread.process;
  if (&thread != &process.leader()) {
    release_thread(thread);
  }
  if (process.unclaimed) {
    release_process(process);
  }
}

struct SleepTimer : Timer {
  explicit SleepTimer(Thread& sleeper)
      : Timer([](Timer& timer) { make_runnable(static_cast<SleepTimer&>(timer).thread); }), thread(sleeper) {}
  ~SleepTimer() { timer_stop(*this); }
  Thread& thread;
};

[[noreturn, gnu::cold, gnu::noinline]] void stop_for_overflow(const Thread& thread) {
  log_line("kernel stack overflow of ", thread.tid);
  NOPTE_PANIC("kernel stack overflow");
}

}  // namespace

void need_interrupt_by(u64 deadline_ns) {
  if (deadline_ns < g_armed_ns) {
    g_armed_ns = deadline_ns;
    platform_ops().timer_set(deadline_ns);
  }
}

void make_runnable(Thread& thread) {
  if (thread.queued || thread.state == ThreadState::kEnded ||
      (thread.state == ThreadState::kRunnable && &thread == g_current)) {
    return;
  }
  thread.state = ThreadState::kRunnable;
  thread.queued = true;
  thread.run_next = nullptr;
  if (g_run_last != nullptr) {
    g_run_last->run_next = &thread;
  } else {
    g_run_first = &thread;
    g_slice_began_ns = platform_ops().now_ns();
    need_interrupt_by(g_slice_began_ns + kSliceNs);
  }
  g_run_last = &thread;
  ++g_queued;
}

void schedule() {
  Thread& self = current();
  if (!stack_is_whole(&self)) [[unlikely]] {
    stop_for_overflow(self);
  }
  u64 now_ns = platform_ops().now_ns();
  self.cpu_ns += now_ns - g_switched_ns;
  ++self.switches;
  Thread* next = take_first();
  if (next == nullptr) {
    next = idle_until_runnable();
    now_ns = platform_ops().now_ns();
  }
  g_switched_ns = now_ns;
  g_slice_began_ns = now_ns;
  g_resched = false;
  if (g_queued != 0) {
    need_interrupt_by(now_ns + kSliceNs);
  }
  if (next == &self) {
    return;
  }
  if (self.state != ThreadState::kEnded) {
    arch::save_fpu(self.fpu);
    self.fs_base = arch::fs_base();
  }
  g_current = next;
  switch_space(next->space);
  (void)arch::restore_fpu(next->fpu);
  arch::set_fs_base(next->fs_base);
  arch::switch_context(self.context, next->context, next->stack_top);
  finish_switch();
}

void finish_switch() {
  if (g_unclaimed != nullptr) [[unlikely]] {
    release_ended(*std::exchange(g_unclaimed, nullptr));
  }
}

void release_after_switch(Thread& thread) {
  NOPTE_ASSERT(g_unclaimed == nullptr);
  g_unclaimed = &thread;
}

void start_first(Thread& thread) {
  arch::KernelContext abandoned;
  g_current = &thread;
  g_switched_ns = platform_ops().now_ns();
  arch::switch_context(abandoned, thread.context, thread.stack_top);
  NOPTE_PANIC("the boot stack runs again");
}

void yield() {
  if (g_run_first != nullptr) {
    // Not running as far as the queue is concerned, hence the state.
    Thread& self = current();
    self.state = ThreadState::kSleeping;
    self.slept_when_preempted = self.switches - self.preempted;
    ++self.preempted;
    make_runnable(self);
    schedule();
  }
  g_resched = false;
}

// Interrupts are off, so the timer's is done here; when it comes it finds nothing to do.
void give_way() {
  if (platform_ops().now_ns() >= g_armed_ns) {
    timer_interrupt();
  }
  if (g_resched) {
    yield();
  }
}

WakeReason sleep_until(u64 deadline_ns) {
  if (signal_pending()) {
    return WakeReason::kSignal;
  }
  Thread& self = current();
  SleepTimer timer(self);
  if (deadline_ns != kNoDeadline) {
    if (deadline_ns <= platform_ops().now_ns()) {
      return WakeReason::kTimeout;
    }
    timer_start(timer, deadline_ns);
  }
  self.state = ThreadState::kSleeping;
  self.interruptible = true;
  schedule();
  self.interruptible = false;
  if (deadline_ns != kNoDeadline && !timer.armed()) {
    return WakeReason::kTimeout;
  }
  return signal_pending() ? WakeReason::kSignal : WakeReason::kWoken;
}

WakeReason block_on(WaitQueue& queue, u64 deadline_ns) {
  Waiter waiter;
  queue.add(waiter);
  return sleep_until(deadline_ns);
}

WakeReason block_to_take(WaitQueue& queue) {
  Waiter waiter;
  queue.add_taker(waiter);
  return sleep_until(kNoDeadline);
}

WakeReason block_on_killable(WaitQueue& queue) {
  Thread& self = current();
  const auto killed = [&self] {
    return ((self.signals.pending.set | self.process->signals.pending.set) & signal_bit(kSIGKILL)) != 0;
  };
  if (killed()) {
    return WakeReason::kSignal;
  }
  Waiter waiter;
  queue.add(waiter);
  self.state = ThreadState::kSleeping;
  self.killable = true;
  schedule();
  self.killable = false;
  return killed() ? WakeReason::kSignal : WakeReason::kWoken;
}

u64 runnable_threads() { return g_queued + 1; }

u64 cpu_time_ns(const Thread& thread) {
  return thread.cpu_ns + (&thread == g_current && !g_idle ? platform_ops().now_ns() - g_switched_ns : 0);
}

void timer_interrupt() {
  g_armed_ns = kNoDeadline;
  const u64 now_ns = platform_ops().now_ns();
  u64 next_ns = fire_timers(now_ns);
  if (g_queued != 0) {
    // Whoever switches arms the usual slice, which is all that most need; a shorter one is armed here.
    u64 slice_end_ns = g_slice_began_ns + g_current->scheduling.slice_ns;
    if (slice_end_ns <= now_ns) {
      g_resched = true;
      const u64 slice_ns = g_run_first->scheduling.slice_ns;
      slice_end_ns = slice_ns < kSliceNs ? now_ns + slice_ns : kNoDeadline;
    }
    next_ns = std::min(next_ns, slice_end_ns);
  }
  if (next_ns != kNoDeadline) {
    need_interrupt_by(next_ns);
  }
}

}  // namespace nopte::guest
