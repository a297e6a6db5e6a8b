// Scheduling and sleeping, hosted.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

void equals_take_turns() {
  Log log;
  for (const char* name : {"a", "b", "c"}) {
    kernel().spawn([&log, name] {
      for (int round = 0; round < 2; ++round) {
        log.emplace_back(name);
        yield();
      }
      return 0;
    });
  }
  EXPECT_TRUE(log.empty());
  Kernel::wait_all();
  EXPECT_EQ(log, (Log{"a", "b", "c", "a", "b", "c"}));
}

void no_tick_while_alone() {
  EXPECT_EQ(runnable_threads(), 1u);
  kernel().platform.timer_ns = kNoDeadline;
  kernel().advance_to(kernel().platform.now_ns + 100 * kSliceNs);
  timer_interrupt();  // whatever was armed before is forgotten
  yield();
  EXPECT_EQ(kernel().platform.timer_ns, kNoDeadline);
  EXPECT_FALSE(g_resched);
  kernel().spawn([] { return 0; });
  EXPECT_EQ(kernel().platform.timer_ns, kernel().platform.now_ns + kSliceNs);
  kernel().advance_to(kernel().platform.timer_ns - 1);
  EXPECT_FALSE(g_resched);
  kernel().advance_to(kernel().platform.timer_ns);
  EXPECT_TRUE(g_resched);
  leave_kernel(*current().registers);
  EXPECT_FALSE(g_resched);
  EXPECT_EQ(runnable_threads(), 1u);
  Kernel::wait_all();
}

void sleepers_wake_in_time() {
  Log log;
  const u64 begin = kernel().platform.now_ns;
  const u64 idles = kernel().platform.idles;
  for (const u64 ms : {30, 10, 20}) {
    kernel().spawn([&log, begin, ms] {
      EXPECT_EQ(sleep_until(begin + ms * 1'000'000), WakeReason::kTimeout);
      EXPECT_GE(kernel().platform.now_ns, begin + ms * 1'000'000);
      log.push_back(std::to_string(ms));
      return 0;
    });
  }
  Kernel::wait_all();
  EXPECT_EQ(log, (Log{"10", "20", "30"}));
  EXPECT_GE(kernel().platform.idles - idles, 3u);
  EXPECT_EQ(sleep_until(begin), WakeReason::kTimeout);  // past: without sleeping
}

// Nobody else runs while a space is taken apart, and it takes long: who wakes up meanwhile is seen.
void sleepers_wake_while_memory_is_freed() {
  const u64 due = kernel().platform.now_ns + 1'000'000;
  const u64 idles = kernel().platform.idles;
  kernel().spawn([due] {
    kernel().mm.interrupt_window = [due] { kernel().advance_to(due); };
    return 0;
  });
  EXPECT_EQ(sleep_until(due), WakeReason::kTimeout);
  kernel().mm.interrupt_window = [] {};
  EXPECT_EQ(kernel().platform.now_ns, due);
  EXPECT_EQ(kernel().platform.idles, idles);
  Kernel::wait_all();
}

void queues_wake_all_or_one() {
  WaitQueue queue;
  Log log;
  for (const char* name : {"a", "b", "c"}) {
    kernel().spawn([&, name] {
      EXPECT_EQ(block_on(queue), WakeReason::kWoken);
      log.emplace_back(name);
      return 0;
    });
  }
  yield();
  EXPECT_TRUE(queue.wake_one());
  yield();
  EXPECT_EQ(log, (Log{"a"}));
  wake(queue);
  Kernel::wait_all();
  EXPECT_EQ(log, (Log{"a", "b", "c"}));
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.wake_one());
}

void signals_end_sleeps() {
  WaitQueue queue;
  Log log;
  Process& open = kernel().spawn([&] {
    log.push_back(block_on(queue) == WakeReason::kSignal ? "signal" : "woken");
    // A pending signal: the next sleep is none.
    log.push_back(block_on(queue) == WakeReason::kSignal ? "again" : "woken");
    return 0;
  });
  Process& blocking = kernel().spawn([&] {
    set_blocked_signals(current(), signal_bit(kSIGTERM));
    log.push_back(block_on(queue) == WakeReason::kWoken ? "woken" : "signal");
    return 0;
  });
  yield();
  send_signal(open, kSIGTERM);
  send_signal(blocking, kSIGTERM);
  yield();
  EXPECT_EQ(log, (Log{"signal", "again"}));
  send_signal(blocking, kSIGCHLD);  // ignored by default: does not even wake
  yield();
  wake(queue);
  Kernel::wait_all();
  EXPECT_EQ(log.back(), "woken");
}

}  // namespace

std::span<const Scenario> scheduling_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"equals take turns", equals_take_turns},
      {"no tick while alone", no_tick_while_alone},
      {"sleepers wake in time", sleepers_wake_in_time},
      {"queues wake all or one", queues_wake_all_or_one},
      {"sleepers wake while memory is freed", sleepers_wake_while_memory_is_freed},
      {"signals end sleeps", signals_end_sleeps},
  };
  return kScenarios;
}

}  // namespace nopte::guest
