// What the entry code calls: page faults that were refused, other exceptions, external interrupts.
#include "guest-mm/arch/x86_64/traps.h"

#include "pvops/arch/x86_64/cpu.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {
namespace {

// The instructions that may touch fallible memory (fallible_copy.S) and where each goes on when refused.
struct FallibleInstruction {
  u64 address;
  u64 landing;
};

constexpr const char* kExceptionNames[32] = {
    "divide error",
    "debug",
    "NMI",
    "breakpoint",
    "overflow",
    "bound",
    "invalid opcode",
    "no FPU",
    "double fault",
    "9",
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection",
    "page fault",
    "15",
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
    "20",
    "control protection",
    "22",
    "23",
    "24",
    "25",
    "26",
    "27",
    "28",
    "29",
    "30",
    "31",
};

}  // namespace
}  // namespace nopte::guest

extern "C" {
extern const nopte::guest::FallibleInstruction fault_table_begin[];
extern const nopte::guest::FallibleInstruction fault_table_end[];
extern const char return_instruction[];
}

namespace nopte::guest {

namespace {

// When the kernel's instruction may fail, makes it return `reason`.
bool continue_at_landing(UserRegisters& registers, ViolationReason reason) {
  for (const auto* row = fault_table_begin; row != fault_table_end; ++row) {
    if (row->address == registers.rip) {
      registers.rip = row->landing;
      registers.rax = static_cast<u32>(reason);
      return true;
    }
  }
  return false;
}

}  // namespace

// A #PF that the resolver refused. The error code lies in the slot of orig_rax.
extern "C" void handle_refused_access(UserRegisters& registers, ViolationReason reason, u64 address) {
  const u64 error_code = registers.orig_rax;
  if (from_user(registers)) {
    registers.orig_rax = kNotASyscall;
    handle_violation(registers, Gva(address), access_of(error_code), reason);
    return;
  }
  if (!resolve_kernel_access(Gva(address), reason) && !continue_at_landing(registers, reason)) {
    stop_with_registers("page fault in the kernel", registers);
  }
}

// The last instruction of a return to user mode refused the frame that it was to load: the program's fault.
// All other registers are the program's already.
[[noreturn]] static void handle_refused_return(const UserRegisters& trap, u8 vector, u64 error_code) {
  struct Frame {
    u64 rip, cs, rflags, rsp, ss;
  };
  const Frame frame = *reinterpret_cast<const Frame*>(trap.rsp);
  UserRegisters user = trap;
  user.orig_rax = kNotASyscall;
  user.rip = frame.rip;
  user.cs = frame.cs;
  user.rflags = frame.rflags;
  user.rsp = frame.rsp;
  user.ss = frame.ss;
  UserRegisters& saved = arch::user_registers(kernel_stack());
  saved = user;
  handle_exception(saved, vector, error_code);
  leave_kernel(saved);
  arch::return_to_user(saved);
}

extern "C" void dispatch_exception(UserRegisters& registers, u8 vector) {
  const u64 error_code = registers.orig_rax;
  if (registers.rip == reinterpret_cast<u64>(return_instruction) && vector >= 11 && vector <= 13) {
    handle_refused_return(registers, vector, error_code);
  }
  constexpr u8 kNmi = 2, kDoubleFault = 8, kGeneralProtection = 13, kMachineCheck = 18;
  const bool emergency = vector == kNmi || vector == kDoubleFault || vector == kMachineCheck;
  if (!from_user(registers) && vector == kGeneralProtection &&
      continue_at_landing(registers, ViolationReason::kNoRegion)) {
    return;
  }
  if (!from_user(registers) || emergency) {
    stop_with_registers(kExceptionNames[vector & 31], registers);
  }
  registers.orig_rax = kNotASyscall;
  handle_exception(registers, vector, error_code);
}

extern "C" void dispatch_interrupt(UserRegisters&, u8 vector) {
  platform_ops().interrupt_done(vector);
  handle_interrupt(vector);
}

}  // namespace nopte::guest
