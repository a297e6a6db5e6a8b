// The kernel of processes, hosted, over fakes of memory, platform and architecture. Processes have real
// stacks and really switch. The kernel starts once: what is tested is a list of scenarios, run in one test.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/signals/signal_frame.h"
#include "guest-mm/kernel/syscall.h"
#include "tests/support/fake_arch.h"
#include "tests/support/fake_platform.h"

namespace nopte::guest {

using Log = std::vector<std::string>;

inline i64 call(SyscallHandler handler, u64 a0 = 0, u64 a1 = 0, u64 a2 = 0, u64 a3 = 0, u64 a4 = 0) {
  return handler(SyscallArgs{a0, a1, a2, a3, a4, 0, *current().registers});
}
template <class T>
u64 address(T& object) {
  return reinterpret_cast<u64>(&object);
}

// What is pending for the running thread and its process is not delivered.
inline void forget_signals() {
  current().signals.pending.set = current_process().signals.pending.set = 0;
  refresh_signals(current());
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
    process.unkillable = false;  // of the first one signals are expected to do what they do to others
    Thread& thread = process.leader();
    thread.files = thread.directories = files::make_counted<files::ProcessFiles>().detach();
    thread.files->retain();
    thread.space = AddressSpace::create().value().detach();
    process.sid = process.pid;
    join_group(process, process.pid);
    process.signals.own = {};
    set_parent(process, parent);
    bodies_.push_back(std::move(body));
    arch::prepare_context(
        thread.context, thread.stack_top,
        [](void* argument) {
          finish_switch();
          const int status = (*static_cast<std::function<int()>*>(argument))();
          exit_process(status << 8);
        },
        &bodies_.back());
    thread.state = ThreadState::kSleeping;
    return process;
  }
  Process& spawn(std::function<int()> body) {
    Process& process = make(std::move(body), &current_process());
    make_runnable(process.leader());
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

inline Kernel& kernel() { return Kernel::instance(); }

// Runs in the first process and leaves it without children.
struct Scenario {
  const char* name;
  void (*run)();
};
std::span<const Scenario> scheduling_scenarios();
std::span<const Scenario> family_scenarios();
std::span<const Scenario> signal_scenarios();
std::span<const Scenario> call_scenarios();
std::span<const Scenario> madvise_scenarios();
std::span<const Scenario> thread_scenarios();

}  // namespace nopte::guest
