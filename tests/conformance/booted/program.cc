// In the place of guest-mm/kernel/traps.cc: what a program's traps lead to here.
#include "tests/conformance/booted/program.h"

#include "guest-mm/arch/x86_64/traps.h"
#include "tests/conformance/booted/booted_memory.h"

namespace nopte::conformance {
namespace {

using guest::arch::KernelContext;

constexpr u64 kStackBytes = guest::arch::kKernelStackPages * kPageBytes;
alignas(kPageBytes) u8 g_stack[kStackBytes];

KernelContext g_case;     // where the case waits for its program
KernelContext g_program;  // the kernel's side of the program
ProgramEnd g_end;

Gva stack_top() { return Gva(reinterpret_cast<u64>(g_stack) + kStackBytes); }

void enter(void* entry) {
  guest::UserRegisters& registers = guest::arch::user_registers(stack_top());
  guest::arch::init_user_registers(registers, Gva(reinterpret_cast<u64>(entry)), Gva());
  guest::arch::return_to_user(registers);
}

void ended(ProgramEnd end) {
  g_end = end;
  guest::arch::switch_context(g_program, g_case, stack_top());
}

}  // namespace

ProgramEnd run_program(Gva entry) {
  guest::arch::prepare_context(g_program, stack_top(), enter, reinterpret_cast<void*>(entry.value()));
  guest::arch::switch_context(g_case, g_program, stack_top());
  return g_end;
}

}  // namespace nopte::conformance

namespace nopte::guest {

void handle_violation(UserRegisters& registers, Gva address, Access, ViolationReason reason) {
  conformance::note_refusal(address, reason);
  conformance::ended({.refused = true, .rip = Gva(registers.rip)});
}
void handle_exception(UserRegisters& registers, u8 vector, u64) {
  conformance::ended({.vector = vector, .rip = Gva(registers.rip)});
}
bool resolve_kernel_access(Gva address, ViolationReason reason) {
  conformance::note_refusal(address, reason);
  return false;
}
void handle_interrupt(u8) {}
void leave_kernel(UserRegisters&) {}

}  // namespace nopte::guest
