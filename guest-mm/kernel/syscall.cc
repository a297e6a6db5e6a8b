// Dispatch by number.
#include "guest-mm/kernel/syscall.h"

#include <array>
#include <utility>

#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/system/refusals.h"
#include "guest-mm/kernel/time/spent.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

namespace {

constexpr std::array<SyscallHandler, kMostCalls> make_table() {
  std::array<SyscallHandler, kMostCalls> table;
  table.fill(&no_such_call);
#define NOPTE_SYSCALL(number, name) table[number] = &sys_##name;
#include "guest-mm/kernel/syscall_table.def"
#undef NOPTE_SYSCALL
  return table;
}
constexpr std::array<SyscallHandler, kMostCalls> kHandlers = make_table();

// What is called: the handlers themselves, as long as nobody wants to know how long they take.
constinit std::array<SyscallHandler, kMostCalls> g_called = make_table();

bool g_timed = false;
bool g_checked = false;
bool g_watched = false;

// A call that does not come back ends its thread, or another thread goes on in its place.
i64 timed(const SyscallArgs& args) {
  Thread& self = current();
  self.call_began_ns = cpu_time_ns(self);
  const i64 result = kHandlers[args.registers.orig_rax](args);
  self.system_ns += cpu_time_ns(self) - std::exchange(self.call_began_ns, Thread::kOutsideCalls);
  return result;
}

// Once somebody has asked for seccomp.
i64 checked(const SyscallArgs& args) {
  i64 answer = 0;
  if (identity().seccomp != Seccomp::kOff && !seccomp_allows(args, answer)) {
    return answer;
  }
  return g_timed ? timed(args) : kHandlers[args.registers.orig_rax](args);
}

// While any thread is traced.
i64 watched(const SyscallArgs& args) {
  if (is_traced(current())) return call_of_traced(args);
  return g_checked ? checked(args) : g_timed ? timed(args) : kHandlers[args.registers.orig_rax](args);
}

void choose_called() {
  if (g_watched) {
    g_called.fill(&watched);
  } else if (g_checked) {
    g_called.fill(&checked);
  } else if (g_timed) {
    g_called.fill(&timed);
  } else {
    g_called = kHandlers;
  }
}

// As Linux: the number is 32 bits.
void cut_number(UserRegisters& registers) {
  registers.orig_rax = static_cast<u64>(i64{static_cast<i32>(registers.orig_rax)});
}

// Apart: inlined, it costs every call three instructions.
[[gnu::cold, gnu::noinline]] i64 unknown_call(const SyscallArgs& args) {
  if (is_traced(current())) return call_of_traced(args);
  cut_number(args.registers);
  if (args.registers.orig_rax < kMostCalls) return g_called[args.registers.orig_rax](args);
  i64 answer = 0;
  const bool refused = identity().seccomp != Seccomp::kOff && !seccomp_allows(args, answer);
  return refused ? answer : no_such_call(args);
}

// What is left of a traced thread's call.
i64 make_cut_call(const SyscallArgs& args) {
  i64 answer = 0;
  const UserRegisters& r = args.registers;
  if (identity().seccomp != Seccomp::kOff && !seccomp_allows(args, answer)) return answer;
  cut_number(args.registers);  // a tracer may have changed it
  const u64 number = r.orig_rax;
  if (static_cast<i32>(number) == -1) return static_cast<i64>(r.rax);
  const SyscallArgs now{r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9, args.registers};
  if (number >= kMostCalls) return no_such_call(now);
  for (const SyscallHandler handler : {clone_of_traced(number), exit_of_traced(number)}) {
    if (handler != nullptr) return handler(now);
  }
  return g_timed ? timed(now) : kHandlers[number](now);
}

}  // namespace

void split_processor_time() {
  if (!g_timed) {
    g_timed = true;
    choose_called();
  }
}

void check_calls_by_seccomp() {
  g_checked = true;
  choose_called();
}

void watch_calls(bool watched) {
  g_watched = watched;
  choose_called();
  look_for_tracees(watched);
}

i64 make_traced_call(const SyscallArgs& args) {
  // Its tracer sees the number as it was given.
  const u64 given = args.registers.orig_rax;
  cut_number(args.registers);
  const u64 cut = args.registers.orig_rax;
  const i64 result = make_cut_call(args);
  if (args.registers.orig_rax == cut) args.registers.orig_rax = given;
  return result;
}

void handle_syscall(UserRegisters& registers) {
  const u64 number = registers.orig_rax;
  const SyscallArgs args{registers.rdi, registers.rsi, registers.rdx, registers.r10,
                         registers.r8,  registers.r9,  registers};
  if (number >= kMostCalls) [[unlikely]] {
    registers.rax = static_cast<u64>(unknown_call(args));
    return;
  }
  registers.rax = static_cast<u64>(g_called[number](args));
}

void end_machine(u8 status) {
  report_refusals();
  platform_ops().power_off(status);
}

}  // namespace nopte::guest
