// Delivery on the way to user mode: default actions, and frames for handlers.
#include <cstring>
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/program/core_dump.h"
#include "guest-mm/kernel/signals/signal_frame.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

constexpr u64 kRedZoneBytes = 128;
constexpr u64 kSyscallInstructionBytes = 2;

enum class DefaultAction { kIgnore, kStop, kEnd };

DefaultAction default_action(i32 signal) {
  switch (signal) {
    case kSIGCHLD:
    case kSIGCONT:
    case kSIGURG:
    case kSIGWINCH:
      return DefaultAction::kIgnore;
    case kSIGSTOP:
    case kSIGTSTP:
    case kSIGTTIN:
    case kSIGTTOU:
      return DefaultAction::kStop;
    default:
      return DefaultAction::kEnd;
  }
}

// The first one of a set that is not empty. The faults of the program itself come first, as their frame shows
// where they happened.
i32 next_signal(SignalSet ready) {
  constexpr SignalSet kFaults = signal_bit(kSIGSEGV) | signal_bit(kSIGBUS) | signal_bit(kSIGILL) |
                                signal_bit(kSIGTRAP) | signal_bit(kSIGFPE) | signal_bit(kSIGSYS);
  const SignalSet first = (ready & kFaults) != 0 ? ready & kFaults : ready;
  return __builtin_ctzll(first) + 1;
}

// A system call that a signal interrupted: called again, or EINTR. `action` is null when no handler runs.
[[gnu::always_inline]] inline void settle_interrupted_call(UserRegisters& registers,
                                                           const SignalAction* action) {
  if (registers.orig_rax == kNotASyscall) {
    return;
  }
  const i64 result = static_cast<i64>(registers.rax);
  if (result != -kERESTARTSYS && result != -kERESTARTNOINTR && result != -kERESTARTNOHAND &&
      result != -kERESTART_RESTARTBLOCK) {
    return;
  }
  if (action == nullptr && result == -kERESTART_RESTARTBLOCK) {
    constexpr u64 kRestartSyscall = 219;
    registers.rax = kRestartSyscall;
    registers.rip -= kSyscallInstructionBytes;
  } else if (action == nullptr || result == -kERESTARTNOINTR ||
             (result == -kERESTARTSYS && (action->flags & kSaRestart) != 0)) {
    registers.rax = registers.orig_rax;
    registers.rip -= kSyscallInstructionBytes;
  } else {
    registers.rax = static_cast<u64>(-kEINTR);
  }
  registers.orig_rax = kNotASyscall;
}

// The XSAVE image and its end mark at a user address.
[[gnu::always_inline]] inline Result<void> write_fpu_frame(Thread& self, Gva at) {
  arch::save_fpu(self.fpu);
  const FpuSoftwareBytes software{.magic1 = kFpuMagic1,
                                  .extended_bytes = kFpuFrameBytes + sizeof(kFpuMagic2),
                                  .features = kFpuFeatures,
                                  .state_bytes = kFpuFrameBytes,
                                  .pad = {}};
  // The image has room behind the state for the mark, so that one copy does.
  static_assert(kFpuFrameBytes + sizeof(kFpuMagic2) <= arch::kFpuBytes);
  std::memcpy(self.fpu.bytes + kFpuSoftwareOffset, &software, sizeof(software));
  std::memcpy(self.fpu.bytes + kFpuFrameBytes, &kFpuMagic2, sizeof(kFpuMagic2));
  return arch::copy_to_user(at, self.fpu.bytes, kFpuFrameBytes + sizeof(kFpuMagic2));
}

[[gnu::always_inline]] inline void fill_machine_context(UserMachineContext& out, const UserRegisters& r,
                                                        const Thread& self, u64 fpu) {
  out = {.r8 = r.r8,
         .r9 = r.r9,
         .r10 = r.r10,
         .r11 = r.r11,
         .r12 = r.r12,
         .r13 = r.r13,
         .r14 = r.r14,
         .r15 = r.r15,
         .rdi = r.rdi,
         .rsi = r.rsi,
         .rbp = r.rbp,
         .rbx = r.rbx,
         .rdx = r.rdx,
         .rax = r.rax,
         .rcx = r.rcx,
         .rsp = r.rsp,
         .rip = r.rip,
         .rflags = r.rflags,
         .cs = static_cast<u16>(r.cs),
         .gs = 0,
         .fs = 0,
         .ss = static_cast<u16>(r.ss),
         .error_code = self.trap_error_code,
         .trap_number = self.trap_number,
         .old_mask = self.signals.blocked,
         .trap_address = self.trap_address,
         .fpu_state = fpu,
         .reserved = {}};
}

// Builds the frame and points the registers at the handler. False: the stack cannot be written.
[[gnu::always_inline]] inline bool enter_handler(UserRegisters& registers, i32 signal,
                                                 const SignalAction& action, const SignalInfo& info,
                                                 SignalSet blocked_before) {
  Thread& self = current();
  AlternateStack& alternate = self.signals.alternate;
  u64 top = registers.rsp - kRedZoneBytes;
  const bool switches = (action.flags & kSaOnstack) != 0 && alternate.bytes != 0 &&
                        !on_alternate_stack(alternate, registers.rsp);
  if (switches) {
    top = alternate.base + alternate.bytes;
  }
  const u64 fpu_at = (top - kFpuFrameBytes - sizeof(kFpuMagic2)) & ~u64{63};
  // At entry to a function the stack is 8 below a multiple of 16.
  const u64 frame_at = ((fpu_at - sizeof(SignalFrame)) & ~u64{15}) - 8;
  if (on_alternate_stack(alternate, top) && frame_at < alternate.base) {
    return false;
  }
  if ((action.flags & kSaRestorer) == 0 || action.handler >= kUserRange.end.value()) {
    return false;
  }

  SignalFrame frame;
  frame.return_address = action.restorer;
  frame.context.flags = kContextFlags;
  frame.context.link = 0;
  frame.context.stack = user_stack(alternate, registers.rsp);
  fill_machine_context(frame.context.machine, registers, self, fpu_at);
  frame.context.blocked = blocked_before;
  frame.info = user_info(signal, info);
  if (!write_fpu_frame(self, Gva{fpu_at}) || !arch::copy_to_user(Gva{frame_at}, &frame, sizeof(frame))) {
    return false;
  }
  if (alternate.disarms) [[unlikely]] {
    alternate = {};
  }
  registers.rsp = frame_at;
  registers.rip = action.handler;
  registers.rdi = static_cast<u64>(signal);
  registers.rsi = frame_at + offsetof(SignalFrame, info);
  registers.rdx = frame_at + offsetof(SignalFrame, context);
  registers.rax = 0;
  registers.rflags &= ~(kFlagTrap | kFlagDirection | kFlagResume);
  registers.orig_rax = kNotASyscall;
  arch::load_initial_fpu();
  return true;
}

[[gnu::always_inline]] inline void handle_one(UserRegisters& registers, i32 signal, const SignalInfo& info) {
  Thread& self = current();
  ThreadSignals& signals = self.signals;
  SignalAction& action_slot = (*self.process->signals.actions)[signal];
  const SignalAction action = action_slot;
  const SignalSet blocked_before = signals.restore_saved ? signals.saved_blocked : signals.blocked;
  signals.restore_saved = false;
  settle_interrupted_call(registers, &action);
  // As Linux: the signal's handler runs all the same, but SIGSEGV's is the last one.
  if (self.rseq.area != 0 && !leave_critical_section(self.rseq, registers)) [[unlikely]] {
    if (signal == kSIGSEGV) {
      action_slot.handler = SignalAction::kDefault;
    }
    force_signal(kSIGSEGV, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
  }
  if ((action.flags & kSaResethand) != 0) {
    action_slot.handler = SignalAction::kDefault;
  }
  if (!enter_handler(registers, signal, action, info, blocked_before)) {
    // As Linux: a handler that cannot be entered means SIGSEGV, and death when that was it.
    if (signal == kSIGSEGV) {
      exit_process_traced(kSIGSEGV | leave_core(kSIGSEGV, registers));
    }
    set_blocked_signals(self, blocked_before);
    force_signal(kSIGSEGV, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
    return;
  }
  const SignalSet own = (action.flags & kSaNodefer) != 0 ? 0 : signal_bit(signal);
  set_blocked_signals(self, signals.blocked | action.mask | own);
}

}  // namespace

UserSigInfo user_info(i32 signal, const SignalInfo& info) {
  UserSigInfo out;
  out.signal = signal;
  out.code = info.code;
  out.error = info.error;
  constexpr SignalSet kFaults = signal_bit(kSIGILL) | signal_bit(kSIGTRAP) | signal_bit(kSIGBUS) |
                                signal_bit(kSIGFPE) | signal_bit(kSIGSEGV);
  const bool fault = info.code > 0 && info.code < kSiKernel && (signal_bit(signal) & kFaults) != 0;
  constexpr i32 kSysSeccomp = 1;
  if (fault) {
    out.address = info.value;
  } else if (signal == kSIGSYS && info.code == kSysSeccomp) {  // where, which call, on which machine
    out.address = info.value;
    out.words[1] = static_cast<u32>(info.pid) | u64{info.uid} << 32;
  } else {
    out.words[0] = static_cast<u32>(info.pid) | u64{info.uid} << 32;
    out.words[1] = info.value;
  }
  return out;
}

UserSignalStack user_stack(const AlternateStack& stack, u64 rsp) {
  const i32 mode = stack.bytes == 0 ? kSsDisable : on_alternate_stack(stack, rsp) ? kSsOnstack : 0;
  return {.base = stack.base,
          .flags = mode | (stack.disarms ? kSsAutodisarm : 0),
          .pad = 0,
          .bytes = stack.bytes};
}

i64 set_alternate_stack(AlternateStack& stack, const UserSignalStack& wanted, u64 rsp) {
  constexpr u64 kLeastBytes = 2048;
  if (on_alternate_stack(stack, rsp)) {
    return -kEPERM;
  }
  const bool disarms = (wanted.flags & kSsAutodisarm) != 0;
  const i32 mode = wanted.flags & ~kSsAutodisarm;
  if (mode != 0 && mode != kSsDisable && mode != kSsOnstack) {
    return -kEINVAL;
  }
  if (mode == kSsDisable) {
    stack = {.base = 0, .bytes = 0, .disarms = disarms};
    return 0;
  }
  if (wanted.bytes < kLeastBytes) {
    return -kENOMEM;
  }
  stack = {.base = wanted.base, .bytes = wanted.bytes, .disarms = disarms};
  return 0;
}

void deliver_signals(UserRegisters& registers) {
  Thread& self = current();
  ThreadSignals& signals = self.signals;
  GroupSignals& group = self.process->signals;
  if (self.signal_ready != kSignalReady) [[unlikely]]
    return deliver_traced(registers);
  do {
    const bool mine = (signals.pending.set & ~signals.blocked) != 0;
    PendingSignals& from = mine ? signals.pending : group.pending;
    const SignalSet ready = from.set & ~signals.blocked;
    if (ready == 0) [[unlikely]] {
      // Another thread took what there was, or they stop together, and one is traced from then on.
      if (self.process->stop_signal() != 0) {
        park_thread();
      }
      refresh_signals(self);
      if ((self.signal_ready & kByTracer) != 0) return deliver_traced(registers);
      continue;
    }
    const i32 signal = next_signal(ready);
    const SignalInfo info = take_pending(from, signal);
    const u64 handler = (*group.actions)[signal].handler;
    if (handler > SignalAction::kIgnore) {
      handle_one(registers, signal, info);
      continue;
    }
    refresh_signals(self);
    if (handler == SignalAction::kIgnore ||
        (self.process->unkillable && (signal_bit(signal) & kUnblockable) == 0)) {
      continue;
    }
    switch (default_action(signal)) {
      case DefaultAction::kIgnore:
        break;
      case DefaultAction::kStop:
        if (signal == kSIGSTOP || !orphaned_group(self.process->pgid)) {
          stop_process(signal);
          if ((self.signal_ready & kByTracer) != 0) return deliver_traced(registers);
        }
        break;
      case DefaultAction::kEnd:
        exit_process(signal | leave_core(signal, registers));
    }
  } while (self.signal_ready == kSignalReady);
  settle_interrupted_call(registers, nullptr);
  if (signals.restore_saved) {
    signals.restore_saved = false;
    set_blocked_signals(self, signals.saved_blocked);
  }
}

// The same for one signal of a traced thread; apart, so that deliver_signals() stays one function.
bool act_on_signal(UserRegisters& registers, i32 signal, const SignalInfo& info) {
  Thread& self = current();
  const u64 handler = (*self.process->signals.actions)[signal].handler;
  if (handler > SignalAction::kIgnore) {
    handle_one(registers, signal, info);
    return true;
  }
  if (handler == SignalAction::kIgnore ||
      (self.process->unkillable && (signal_bit(signal) & kUnblockable) == 0)) {
    return false;
  }
  switch (default_action(signal)) {
    case DefaultAction::kIgnore:
      break;
    case DefaultAction::kStop:
      if (signal == kSIGSTOP || !orphaned_group(self.process->pgid)) begin_stop(signal);
      break;
    case DefaultAction::kEnd:
      exit_process_traced(signal | leave_core(signal, registers));
  }
  return false;
}

void finish_delivery(UserRegisters& registers) {
  ThreadSignals& signals = current().signals;
  settle_interrupted_call(registers, nullptr);
  if (std::exchange(signals.restore_saved, false)) set_blocked_signals(current(), signals.saved_blocked);
}

SignalInfo info_from(const UserSigInfo& told) {
  const i32 signal = told.signal;
  // Where the fields of the kind lie in it.
  const UserSigInfo kind = user_info(signal, {.code = told.code, .pid = 0, .value = ~u64{0}});
  SignalInfo info{.code = told.code, .error = told.error};
  const bool value_first = kind.words[0] != 0;
  info.value = value_first ? told.words[0] : told.words[1];
  const u64 ids = value_first ? told.words[1] : told.words[0];
  info.pid = static_cast<i32>(ids & 0xffff'ffff);
  info.uid = static_cast<u32>(ids >> 32);
  return info;
}

}  // namespace nopte::guest
