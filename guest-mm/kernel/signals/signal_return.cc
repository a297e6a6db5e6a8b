// The way back from a handler.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/signals/signal_frame.h"
#include "guest-mm/kernel/syscall.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

// Flags that a program may set through a signal frame: arithmetic, trap, direction, AC, ID.
constexpr u64 kUserFlags = 0xcd5 | kFlagTrap | kFlagResume | 1 << 18;

}  // namespace

i64 sys_rt_sigreturn(const SyscallArgs& args) {
  Thread& self = current();
  UserRegisters& r = args.registers;
  // The handler's return popped the return address.
  const Gva context_at{r.rsp - sizeof(u64) + offsetof(SignalFrame, context)};
  UserContext context;
  r.orig_rax = kNotASyscall;
  const auto bad_frame = [&] {
    force_signal(kSIGSEGV, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
    return i64{0};
  };
  if (!arch::copy_from_user(&context, context_at, sizeof(context))) {
    return bad_frame();
  }
  // As Linux: a refused FPU image is a fault of what is returned to, with its registers and its mask.
  const UserMachineContext& m = context.machine;
  r = {.r15 = m.r15,
       .r14 = m.r14,
       .r13 = m.r13,
       .r12 = m.r12,
       .rbp = m.rbp,
       .rbx = m.rbx,
       .r11 = m.r11,
       .r10 = m.r10,
       .r9 = m.r9,
       .r8 = m.r8,
       .rax = m.rax,
       .rcx = m.rcx,
       .rdx = m.rdx,
       .rsi = m.rsi,
       .rdi = m.rdi,
       .orig_rax = kNotASyscall,
       .rip = m.rip,
       .cs = r.cs,
       .rflags = (r.rflags & ~kUserFlags) | (m.rflags & kUserFlags),
       .rsp = m.rsp,
       .ss = r.ss};
  set_blocked_signals(self, context.blocked);
  // A prefix of a bad image must never reach the FPU: restored only when all of it was read.
  const bool read =
      m.fpu_state != 0 && arch::copy_from_user(self.fpu.bytes, Gva{m.fpu_state}, kFpuFrameBytes);
  if (!read) {
    arch::init_fpu(self.fpu);
  }
  if (!arch::restore_fpu(self.fpu) || (!read && m.fpu_state != 0)) return bad_frame();
  // As Linux: what is refused, as on the stack itself, is left as it is.
  (void)set_alternate_stack(self.signals.alternate, context.stack, m.rsp);
  // An address that is not canonical would fault on the way out, in the kernel: the signal comes before.
  if (m.rip >= kUserRange.end.value()) [[unlikely]]
    (void)bad_frame();
  return static_cast<i64>(m.rax);
}

}  // namespace nopte::guest
