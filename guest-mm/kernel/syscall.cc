// Dispatch by number, and the count of what is asked for in vain.
#include "guest-mm/kernel/syscall.h"

#include <array>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/spent.h"
#include "guest-mm/kernel/syscall_names.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kNumbers = 512;

u32 g_unimplemented[kNumbers] = {};
u64 g_out_of_range = 0;

i64 unimplemented(const SyscallArgs& args) {
  ++g_unimplemented[args.registers.orig_rax];
  return -kENOSYS;
}

constexpr std::array<SyscallHandler, kNumbers> make_table() {
  std::array<SyscallHandler, kNumbers> table;
  table.fill(&unimplemented);
#define NOPTE_SYSCALL(number, name) table[number] = &sys_##name;
#include "guest-mm/kernel/syscall_table.def"
#undef NOPTE_SYSCALL
  return table;
}
constexpr std::array<SyscallHandler, kNumbers> kHandlers = make_table();

// What is called: the handlers themselves, as long as nobody wants to know how long they take.
constinit std::array<SyscallHandler, kNumbers> g_called = make_table();

// A call that does not come back ends its thread, or another thread goes on in its place.
i64 timed(const SyscallArgs& args) {
  Thread& self = current();
  self.call_began_ns = cpu_time_ns(self);
  const i64 result = kHandlers[args.registers.orig_rax](args);
  self.system_ns += cpu_time_ns(self) - std::exchange(self.call_began_ns, Thread::kOutsideCalls);
  return result;
}

}  // namespace

void split_processor_time() { g_called.fill(&timed); }

void handle_syscall(UserRegisters& registers) {
  const u64 number = registers.orig_rax;
  if (number >= kNumbers) [[unlikely]] {
    ++g_out_of_range;
    registers.rax = static_cast<u64>(-kENOSYS);
    return;
  }
  const SyscallArgs args{registers.rdi, registers.rsi, registers.rdx, registers.r10,
                         registers.r8,  registers.r9,  registers};
  registers.rax = static_cast<u64>(g_called[number](args));
}

void end_machine(u8 status) {
  for (u64 number = 0; number < kNumbers; ++number) {
    if (g_unimplemented[number] != 0) {
      log_line("unimplemented system call ", number, " (", syscall_name(number),
               "): ", g_unimplemented[number]);
    }
  }
  if (g_out_of_range != 0) {
    log_line("system calls with no known number: ", g_out_of_range);
  }
  platform_ops().power_off(status);
}

}  // namespace nopte::guest
