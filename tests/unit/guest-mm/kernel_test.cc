// The kernel of processes, hosted: scheduling, sleeping, signals, exit and wait, over fakes of memory,
// platform and architecture. Processes have real stacks and really switch.
#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/signal_frame.h"
#include "guest-mm/kernel/syscall.h"
#include "tests/support/fake_arch.h"
#include "tests/support/fake_platform.h"

namespace nopte::guest {
namespace {

using Log = std::vector<std::string>;

i64 call(SyscallHandler handler, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
  return handler(SyscallArgs{a0, a1, a2, a3, a4, 0, *current().registers});
}
template <class T>
u64 address(T& object) {
  return reinterpret_cast<u64>(&object);
}

class Kernel {
 public:
  Kernel() {
    g_kernel = this;
    platform.on_idle = [this] {
      ASSERT_NE(platform.timer_ns, kNoDeadline) << "idle for ever";
      advance_to(platform.timer_ns);
    };
  }

  // The clock moves on; the timer fires when it is due.
  void advance_to(u64 ns) {
    platform.now_ns = ns;
    if (platform.timer_ns <= ns) {
      platform.timer_ns = kNoDeadline;
      timer_interrupt();
    }
  }

  // A process that runs the body in the kernel and exits with its result.
  Process& make(std::function<int()> body, Process* parent) {
    Process& process = *create_process().value();
    process.files = files::make_counted<files::ProcessFiles>().detach();
    process.space = AddressSpace::create().value().detach();
    process.pgid = process.sid = process.pid;
    std::memset(process.signals.actions, 0, sizeof process.signals.actions);
    set_parent(process, parent);
    bodies_.push_back(std::move(body));
    arch::prepare_context(
        process.context, process.stack_top,
        [](void* argument) {
          finish_switch();
          const int status = (*static_cast<std::function<int()>*>(argument))();
          exit_process(status << 8);
        },
        &bodies_.back());
    process.state = ProcessState::kSleeping;
    return process;
  }
  Process& spawn(std::function<int()> body) {
    Process& process = make(std::move(body), &current());
    make_runnable(process);
    return process;
  }

  // Waits for any child; "pid status", the pid counted from `first`.
  static std::string wait_any(const Process& first) {
    i32 status = -1;
    const i64 pid = call(sys_wait4, ~u64{0}, address(status));
    return pid < 0 ? std::to_string(pid) : std::to_string(pid - first.pid) + " " + std::to_string(status);
  }
  static void wait_all() {
    while (call(sys_wait4, ~u64{0}) > 0) {
    }
  }

  static Kernel& instance() { return *g_kernel; }

  test::FakePlatform platform;
  test::FakeMmOps mm;
  test::FakeArch arch{mm};

 private:
  static inline Kernel* g_kernel = nullptr;
  std::deque<std::function<int()>> bodies_;
};

Kernel& kernel() { return Kernel::instance(); }

// --- scenarios; each runs in the first process and leaves it without children

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
  EXPECT_EQ(runnable_processes(), 1u);
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
  EXPECT_EQ(runnable_processes(), 1u);
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

void status_comes_to_the_parent() {
  EXPECT_EQ(call(sys_wait4, ~u64{0}), -kECHILD);
  Process& first = kernel().spawn([] { return 3; });
  kernel().spawn([] { return 255; });
  EXPECT_EQ(call(sys_wait4, ~u64{0}, 0, 1 /* WNOHANG */), 0);
  EXPECT_EQ(call(sys_wait4, 9999), -kECHILD);
  const i32 pid = first.pid;
  EXPECT_EQ(Kernel::wait_any(first), "0 " + std::to_string(3 << 8));
  i32 status = 0;
  EXPECT_EQ(call(sys_wait4, static_cast<u64>(pid + 1), address(status)), pid + 1);
  EXPECT_EQ(status, 255 << 8);
  EXPECT_EQ(process_count(), 1u);
  EXPECT_EQ(kernel().mm.spaces(), 1u);
}

void killed_children_say_by_what() {
  Process& child = kernel().spawn([] {
    leave_kernel(*current().registers);  // the signal ends it here
    ADD_FAILURE();
    return 0;
  });
  send_signal(child, kSIGTERM);
  EXPECT_EQ(Kernel::wait_any(child), "0 " + std::to_string(kSIGTERM));
}

void orphans_go_to_init() {
  i32 grandchild = 0;
  kernel().spawn([&] {
    grandchild = kernel()
                     .spawn([] {
                       yield();
                       yield();
                       EXPECT_EQ(current().parent, init_process());
                       return 7;
                     })
                     .pid;
    return 0;
  });
  i32 status = 0;
  EXPECT_GT(call(sys_wait4, ~u64{0}), 0);
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status)), grandchild);
  EXPECT_EQ(status, 7 << 8);
}

void ignored_children_vanish() {
  current().signals.actions[kSIGCHLD - 1].handler = SignalAction::kIgnore;
  kernel().spawn([] { return 1; });
  kernel().spawn([] { return 1; });
  EXPECT_EQ(call(sys_wait4, ~u64{0}), -kECHILD);
  EXPECT_EQ(process_count(), 1u);
  current().signals.actions[kSIGCHLD - 1].handler = SignalAction::kDefault;
}

void stopped_children_go_on() {
  Process& child = kernel().spawn([] {
    leave_kernel(*current().registers);
    return 5;
  });
  const i32 pid = child.pid;
  send_signal(child, kSIGSTOP);
  i32 status = 0;
  constexpr u64 kUntraced = 2, kNoHang = 1, kContinued = 8;
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status), kUntraced), pid);
  EXPECT_EQ(status, kSIGSTOP << 8 | 0x7f);
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status), kUntraced | kNoHang), 0);
  send_signal(child, kSIGTERM);  // stays pending
  yield();
  EXPECT_EQ(child.state, ProcessState::kStopped);
  child.signals.pending = 0;
  send_signal(child, kSIGCONT);
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status), kContinued), pid);
  EXPECT_EQ(status, 0xffff);
  EXPECT_EQ(call(sys_wait4, ~u64{0}, address(status)), pid);
  EXPECT_EQ(status, 5 << 8);
}

void vfork_suspends_its_parent() {
  Log log;
  kernel().arch.user = [&](UserRegisters& registers) {
    EXPECT_EQ(registers.rax, 0u);
    EXPECT_EQ(current().space, current().parent->space);
    log.emplace_back("child");
    yield();
    log.emplace_back("child still");
    exit_process(9 << 8);
  };
  const i64 pid = call(sys_vfork);
  log.emplace_back("parent");
  EXPECT_EQ(log, (Log{"child", "child still", "parent"}));
  i32 status = 0;
  EXPECT_EQ(call(sys_wait4, static_cast<u64>(pid), address(status)), pid);
  EXPECT_EQ(status, 9 << 8);
}

void fork_copies_and_fails_cleanly() {
  Log log;
  kernel().arch.user = [&](UserRegisters& registers) {
    EXPECT_EQ(registers.rax, 0u);
    EXPECT_EQ(registers.rbx, 77u);
    EXPECT_NE(current().space, current().parent->space);
    log.emplace_back("child");
    exit_process(0);
  };
  current().registers->rbx = 77;
  const i64 pid = call(sys_fork);
  EXPECT_GT(pid, 0);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(call(sys_wait4, ~u64{0}), pid);
  EXPECT_EQ(log, (Log{"child"}));
  const u64 processes = process_count();
  for (u64 nth = 1;; ++nth) {
    kernel().mm.fail_at(nth);
    const i64 result = call(sys_fork);
    const bool failed = kernel().mm.failed();
    kernel().mm.fail_at(0);
    if (!failed) {
      EXPECT_GT(result, 0);
      break;
    }
    EXPECT_EQ(result, -kENOMEM) << nth;
    EXPECT_EQ(process_count(), processes);
    ASSERT_LT(nth, 100u);
  }
  Kernel::wait_all();
  EXPECT_EQ(call(sys_clone, 0x1'0000 /* CLONE_THREAD */), -kEINVAL);
}

void handlers_get_a_frame_and_return() {
  static u8 stack[16384];
  Process& self = current();
  UserRegisters& registers = *self.registers;
  const UserRegisters before = {.r15 = 15,
                                .r14 = 14,
                                .r13 = 13,
                                .r12 = 12,
                                .rbp = 1,
                                .rbx = 2,
                                .r11 = 11,
                                .r10 = 10,
                                .r9 = 9,
                                .r8 = 8,
                                .rax = 3,
                                .rcx = 4,
                                .rdx = 5,
                                .rsi = 6,
                                .rdi = 7,
                                .orig_rax = ~u64{0},
                                .rip = 0x40'1000,
                                .cs = 0x33,
                                .rflags = 0x246,
                                .rsp = address(stack) + sizeof stack,
                                .ss = 0x2b};
  registers = before;
  SignalAction& action = self.signals.actions[kSIGUSR1 - 1];
  action = {.handler = 0x40'2000,
            .flags = kSaSiginfo | kSaRestorer,
            .restorer = 0x40'3000,
            .mask = signal_bit(kSIGUSR2)};
  send_signal(self, kSIGUSR1, SignalInfo{.code = kSiUser, .pid = 42, .value = 0});
  leave_kernel(registers);
  EXPECT_EQ(registers.rip, action.handler);
  EXPECT_EQ(registers.rdi, static_cast<u64>(kSIGUSR1));
  EXPECT_EQ(registers.rsp % 16, 8u);
  EXPECT_LE(registers.rsp + sizeof(SignalFrame), before.rsp - 128);
  EXPECT_EQ(self.signals.blocked, signal_bit(kSIGUSR1) | signal_bit(kSIGUSR2));
  const auto& frame = *reinterpret_cast<const SignalFrame*>(registers.rsp);
  EXPECT_EQ(frame.return_address, action.restorer);
  EXPECT_EQ(registers.rsi, address(frame.info));
  EXPECT_EQ(registers.rdx, address(frame.context));
  EXPECT_EQ(frame.info.signal, kSIGUSR1);
  EXPECT_EQ(frame.info.from.pid, 42);
  EXPECT_EQ(frame.context.machine.rip, before.rip);
  EXPECT_EQ(frame.context.machine.fpu_state % 64, 0u);

  registers.rsp += 8;  // the handler returned to the restorer
  registers.rflags = 0x202;
  EXPECT_EQ(call(sys_rt_sigreturn), 3);
  EXPECT_EQ(std::memcmp(&registers, &before, sizeof before), 0);
  EXPECT_EQ(self.signals.blocked, 0u);
  action = {};
}

void interrupted_calls_are_settled() {
  static u8 stack[16384];
  Process& self = current();
  UserRegisters& registers = *self.registers;
  SignalAction& action = self.signals.actions[kSIGUSR1 - 1];
  const auto settle = [&](i64 result, bool handler, u64 flags) {
    registers = {};
    registers.rip = 0x40'1000;
    registers.rsp = address(stack) + sizeof stack;
    registers.orig_rax = 61;
    registers.rax = static_cast<u64>(result);
    action = {};
    // Without a handler: a signal that stops nothing and ends nothing once it is delivered.
    if (handler) {
      action = {.handler = 0x40'2000, .flags = flags | kSaRestorer, .restorer = 0x40'3000, .mask = 0};
    }
    const i32 signal = handler ? kSIGUSR1 : kSIGURG;
    self.signals.pending |= signal_bit(signal);
    self.signals.info[signal - 1] = {};
    leave_kernel(registers);
    self.signals.blocked = 0;
    if (!handler) {
      return std::to_string(registers.rax) + (registers.rip == 0x40'0ffe ? " again" : "");
    }
    const auto& frame = *reinterpret_cast<const SignalFrame*>(registers.rsp);
    const auto rax = static_cast<i64>(frame.context.machine.rax);
    return std::to_string(rax) + (frame.context.machine.rip == 0x40'0ffe ? " again" : "");
  };
  const std::string interrupted = std::to_string(-kEINTR);
  EXPECT_EQ(settle(-kERESTARTSYS, false, 0), "61 again");
  EXPECT_EQ(settle(-kERESTARTSYS, true, kSaRestart), "61 again");
  EXPECT_EQ(settle(-kERESTARTSYS, true, 0), interrupted);
  EXPECT_EQ(settle(-kERESTARTNOHAND, false, 0), "61 again");
  EXPECT_EQ(settle(-kERESTARTNOHAND, true, kSaRestart), interrupted);
  EXPECT_EQ(settle(-kERESTART_RESTARTBLOCK, false, 0), "219 again");
  EXPECT_EQ(settle(-kERESTART_RESTARTBLOCK, true, kSaRestart), interrupted);
  EXPECT_EQ(settle(5, false, 0), "5");
  action = {};
}

void timers_raise_sigalrm() {
  Process& self = current();
  EXPECT_EQ(call(sys_alarm, 2), 0);
  EXPECT_EQ(call(sys_alarm, 5), 2);
  EXPECT_EQ(sleep_until(kernel().platform.now_ns + 60'000'000'000), WakeReason::kSignal);
  EXPECT_EQ(self.signals.pending, signal_bit(kSIGALRM));
  EXPECT_EQ(call(sys_alarm, 0), 0);
  self.signals.pending = 0;
}

void unknown_calls_are_counted_not_fatal() {
  UserRegisters& registers = *current().registers;
  for (const u64 number : {u64{511}, u64{512}, ~u64{0} - 1, u64{400}}) {
    registers.orig_rax = number;
    handle_syscall(registers);
    EXPECT_EQ(static_cast<i64>(registers.rax), -kENOSYS) << number;
  }
  registers.orig_rax = 39;
  handle_syscall(registers);
  EXPECT_EQ(registers.rax, static_cast<u64>(current().pid));
}

void reboot_ends_the_machine() {
  constexpr u64 kFirst = 0xfee1'dead, kSecond = 672'274'793, kPowerOff = 0x4321'fedc;
  EXPECT_EQ(call(sys_reboot, kFirst + 1, kSecond, kPowerOff), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond + 1, kPowerOff), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, kPowerOff + 1), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0xd000'fce2 /* suspend */), -kEINVAL);
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0 /* Ctrl-Alt-Del off */), 0);
  u8 unreadable = 0;
  const Gva at{address(unreadable)};
  kernel().arch.bad = {{at, at + 1}};
  EXPECT_EQ(call(sys_reboot, kFirst, kSecond, 0xa1b2'c3d4 /* with a command */, at.value()), -kEFAULT);
  kernel().arch.bad.clear();
  for (const u64 magic : {kSecond, u64{0x0512'1996}, u64{0x1604'1998}, u64{0x2011'2000}}) {
    for (const u64 command : {kPowerOff, u64{0xcdef'0123}, u64{0x0123'4567}, u64{0xa1b2'c3d4}}) {
      // The upper halves mean nothing.
      const u64 above = u64{0xabcd} << 32;
      bool off = false;
      try {
        call(sys_reboot, above | kFirst, above | magic, above | command, address("now"));
      } catch (const test::PowerOff& end) {
        off = end.status == 0;
      }
      EXPECT_TRUE(off) << std::hex << magic << " " << command;
    }
  }
}

TEST(KernelTest, Scenarios) {
  Kernel instance;
  struct Scenario {
    const char* name;
    void (*run)();
  };
  static constexpr Scenario kScenarios[] = {
      {"equals take turns", equals_take_turns},
      {"no tick while alone", no_tick_while_alone},
      {"sleepers wake in time", sleepers_wake_in_time},
      {"queues wake all or one", queues_wake_all_or_one},
      {"signals end sleeps", signals_end_sleeps},
      {"status comes to the parent", status_comes_to_the_parent},
      {"killed children say by what", killed_children_say_by_what},
      {"orphans go to init", orphans_go_to_init},
      {"ignored children vanish", ignored_children_vanish},
      {"stopped children go on", stopped_children_go_on},
      {"vfork suspends its parent", vfork_suspends_its_parent},
      {"fork copies and fails cleanly", fork_copies_and_fails_cleanly},
      {"handlers get a frame and return", handlers_get_a_frame_and_return},
      {"interrupted calls are settled", interrupted_calls_are_settled},
      {"timers raise SIGALRM", timers_raise_sigalrm},
      {"unknown calls", unknown_calls_are_counted_not_fatal},
      {"reboot ends the machine", reboot_ends_the_machine},
  };
  Process& first = instance.make(
      [] {
        for (const Scenario& scenario : kScenarios) {
          SCOPED_TRACE(scenario.name);
          scenario.run();
          EXPECT_EQ(process_count(), 1u);
        }
        kernel().arch.stop();
        return 0;
      },
      nullptr);
  instance.arch.run(first);
  g_current = nullptr;
}

}  // namespace
}  // namespace nopte::guest
