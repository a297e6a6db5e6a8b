// What user code did that stops it, and what comes from outside: violations, exceptions, interrupts, and the
// last steps before user mode.
#include <cstring>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/log.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/tty/console.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kPageFaultVector = 14;
u64 g_interrupts_taken = 0;
constexpr u8 kX87Vector = 16, kSseVector = 19;

void force_fault(i32 signal, i32 code, u64 address) {
  force_signal(signal, SignalInfo{.code = code, .pid = 0, .value = address});
}

// The error code that Linux shows for a page fault of user code.
u64 fault_error_code(Access access, ViolationReason reason) {
  constexpr u64 kPresent = 1, kWrite = 2, kUser = 4, kFetch = 16;
  return kUser | (reason == ViolationReason::kPermission ? kPresent : 0) |
         (access == Access::kWrite ? kWrite : 0) | (access == Access::kExec ? kFetch : 0);
}

// si_code of an x87 or SSE exception: of those raised and not masked the first in the order that Linux looks.
i32 fpu_exception_code(Thread& self, u8 vector) {
  static constexpr struct {
    u32 exceptions;
    i32 code;
  } kCodes[] = {
      {0x01, kFpeFltinv}, {0x04, 3},  // FPE_FLTDIV
      {0x08, 4},                      // FPE_FLTOVF
      {0x12, 5},                      // FPE_FLTUND: underflow, or a denormal operand
      {0x20, 6},                      // FPE_FLTRES
  };
  // Where the XSAVE image has them: AMD64 APM vol. 2, 11.5.
  constexpr u64 kMxcsrAt = 24;
  struct {
    u16 control, status;
  } x87;
  u32 mxcsr;
  arch::save_fpu(self.fpu);
  std::memcpy(&x87, self.fpu.bytes, sizeof(x87));
  std::memcpy(&mxcsr, self.fpu.bytes + kMxcsrAt, sizeof(mxcsr));
  const u32 raised = vector == kX87Vector ? x87.status & ~u32{x87.control} : mxcsr & ~(mxcsr >> 7);
  for (const auto& [exceptions, code] : kCodes) {
    if ((raised & exceptions) != 0) {
      return code;
    }
  }
  return kFpeFltinv;
}

// Whether the rights would have allowed it.
bool fails_of_guard(const AddressSpace& space, Gva address, Access access) {
  if (!space.may_have(kVmaGuard)) [[likely]] {
    return false;
  }
  const auto vma = space.find(address);
  return vma && (vma->flags & kVmaGuard) != 0 && allows(guarded_perm(vma->flags), access);
}

// Linux looks for the page that is to be executed before it looks whether it may be (arch/x86/mm/fault.c,
// access_error).
bool fetches_past_end(const AddressSpace& space, Gva address, Access access) {
  if (access != Access::kExec) {
    return false;
  }
  const auto vma = space.find(address);
  return vma && vma->object != nullptr && !vma->perm.none() &&
         vma->offset_bytes + (address - vma->range.begin) >= pages_to_bytes(vma->object->pages());
}

}  // namespace

void handle_violation(UserRegisters&, Gva address, Access access, ViolationReason reason) {
  Thread& self = current();
  if (reason == ViolationReason::kNoRegion && self.space->grow_stack(address)) {
    return;
  }
  self.trap_number = kPageFaultVector;
  self.trap_error_code = fault_error_code(access, reason);
  self.trap_address = address.value();
  switch (reason) {
    case ViolationReason::kPastEnd:
      force_fault(kSIGBUS, kBusAdrerr, address.value());
      break;
    case ViolationReason::kNoMemory:
      log_line("out of memory: process ", self.process->pid, " (", self.comm, ") at ", Hex{address.value()});
      force_signal(kSIGKILL, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
      break;
    case ViolationReason::kPermission:
      if (fetches_past_end(*self.space, address, access)) {
        force_fault(kSIGBUS, kBusAdrerr, address.value());
        break;
      }
      force_fault(kSIGSEGV, fails_of_guard(*self.space, address, access) ? kSegvMaperr : kSegvAccerr,
                  address.value());
      break;
    default:
      force_fault(kSIGSEGV, kSegvMaperr, address.value());
      break;
  }
}

bool resolve_kernel_access(Gva address, ViolationReason reason) {
  AddressSpace* space = active_space();
  return reason == ViolationReason::kNoRegion && space != nullptr && space->grow_stack(address);
}

void handle_exception(UserRegisters& registers, u8 vector, u64 error_code) {
  Thread& self = current();
  self.trap_number = vector;
  self.trap_error_code = error_code;
  self.trap_address = 0;
  switch (vector) {
    case 0:  // divide error
      force_fault(kSIGFPE, kFpeIntdiv, registers.rip);
      break;
    case 1:  // debug
      force_fault(kSIGTRAP, kTrapTrace, registers.rip);
      break;
    case 3:  // breakpoint
      force_fault(kSIGTRAP, kSiKernel, 0);
      break;
    case 6:  // invalid opcode
      force_fault(kSIGILL, kIllIllopn, registers.rip);
      break;
    case 11:  // segment not present
    case 12:  // stack fault
      force_fault(kSIGBUS, kSiKernel, 0);
      break;
    case kX87Vector:
    case kSseVector:
      force_fault(kSIGFPE, fpu_exception_code(self, vector), registers.rip);
      break;
    case 17:  // alignment
      force_fault(kSIGBUS, kBusAdraln, 0);
      break;
    default:
      force_fault(kSIGSEGV, kSiKernel, 0);
      break;
  }
}

u64 interrupts_taken() { return g_interrupts_taken; }

void handle_interrupt(u8 vector) {
  ++g_interrupts_taken;
  switch (vector) {
    case kTimerVector:
      timer_interrupt();
      break;
    case kConsoleVector:
      tty::console_input();
      break;
    default:
      break;
  }
}

// Apart, so that leave_kernel() needs no stack frame.
[[gnu::noinline]] static void give_others_a_turn(UserRegisters& registers) {
  yield();
  const Thread& self = current();
  if (self.rseq.area != 0 && !leave_critical_section(self.rseq, registers)) {
    force_fault(kSIGSEGV, kSiKernel, 0);
  }
}

void leave_kernel(UserRegisters& registers) {
  if (g_resched) [[unlikely]] {
    give_others_a_turn(registers);
  }
  if (current().signal_ready) [[unlikely]] {
    deliver_signals(registers);
  }
}

}  // namespace nopte::guest
