// Dispatch by number.
#include "guest-mm/kernel/syscall.h"

#include <array>

#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/refusals.h"
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

}  // namespace

void handle_syscall(UserRegisters& registers) {
  const u64 number = registers.orig_rax;
  const SyscallArgs args{registers.rdi, registers.rsi, registers.rdx, registers.r10,
                         registers.r8,  registers.r9,  registers};
  if (number >= kMostCalls) [[unlikely]] {
    registers.rax = static_cast<u64>(no_such_call(args));
    return;
  }
  registers.rax = static_cast<u64>(kHandlers[number](args));
}

void end_machine(u8 status) {
  report_refusals();
  platform_ops().power_off(status);
}

}  // namespace nopte::guest
