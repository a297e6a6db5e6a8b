// Parents and children, hosted: fork, exit, wait.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

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
  EXPECT_EQ(thread_count(), 1u);
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
                       EXPECT_EQ(current_process().parent, init_process());
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
  (*current_process().signals.actions)[kSIGCHLD].handler = SignalAction::kIgnore;
  kernel().spawn([] { return 1; });
  kernel().spawn([] { return 1; });
  EXPECT_EQ(call(sys_wait4, ~u64{0}), -kECHILD);
  EXPECT_EQ(thread_count(), 1u);
  (*current_process().signals.actions)[kSIGCHLD].handler = SignalAction::kDefault;
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
  EXPECT_EQ(child.leader().state, ThreadState::kStopped);
  child.signals.pending.set = 0;
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
    EXPECT_EQ(current().space, current_process().parent->leader().space);
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
    EXPECT_NE(current().space, current_process().parent->leader().space);
    log.emplace_back("child");
    exit_process(0);
  };
  current().registers->rbx = 77;
  const i64 pid = call(sys_fork);
  EXPECT_GT(pid, 0);
  EXPECT_TRUE(log.empty());
  EXPECT_EQ(call(sys_wait4, ~u64{0}), pid);
  EXPECT_EQ(log, (Log{"child"}));
  const u64 processes = thread_count();
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
    EXPECT_EQ(thread_count(), processes);
    ASSERT_LT(nth, 100u);
  }
  Kernel::wait_all();
  EXPECT_EQ(call(sys_clone, 0x1'0000 /* CLONE_THREAD */), -kEINVAL);
}

}  // namespace

std::span<const Scenario> family_scenarios() {
  static constexpr Scenario kScenarios[] = {
      {"status comes to the parent", status_comes_to_the_parent},
      {"killed children say by what", killed_children_say_by_what},
      {"orphans go to init", orphans_go_to_init},
      {"ignored children vanish", ignored_children_vanish},
      {"stopped children go on", stopped_children_go_on},
      {"vfork suspends its parent", vfork_suspends_its_parent},
      {"fork copies and fails cleanly", fork_copies_and_fails_cleanly},
  };
  return kScenarios;
}

}  // namespace nopte::guest
