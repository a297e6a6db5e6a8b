// What a traced thread does by itself: its stops at signals, calls and events (kernel/signal.c,
// kernel/ptrace.c and include/linux/ptrace.h of Linux 6.12).
#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/tracee.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

UserSigInfo info_of_stop(i32 signal, i32 code) {
  UserSigInfo info;
  info.signal = signal;
  info.code = code;
  info.from.pid = current().tid;
  info.from.uid = identity().user.real;
  return info;
}

// ptrace_notify(): what the tracer resumed with.
i32 notify(Tracee& tracee, i32 code, u64 message) {
  UserSigInfo info = info_of_stop(kSIGTRAP, code);
  return stop_for_tracer(tracee, code, kCldTrapped, &info, message);
}

// The stop of an event that the tracer wants to know of. False: it does not.
bool event_stop(i32 event, u64 message) {
  Tracee* const tracee = tracee_of(current());
  if (tracee == nullptr || !tracee->wants(event)) return false;
  (void)notify(*tracee, event << 8 | kSIGTRAP, message);
  return true;
}

// A stop with its process, or for PTRACE_INTERRUPT and the like (do_jobctl_trap).
void trap(Tracee& tracee) {
  Process& process = *current().process;
  const bool together = process.stop_signal() != 0;
  tracee.trap_stop = false;
  if (tracee.seized) tracee.trap_notify = false;
  if (together && !std::exchange(tracee.joined, true)) count_as_parked(process);
  if (!tracee.seized) {
    if (together) (void)stop_for_tracer(tracee, process.stop_signal(), kCldStopped, nullptr);
    return;
  }
  const i32 signal = together ? process.stop_signal() : i32{kSIGTRAP};
  UserSigInfo info = info_of_stop(signal, trace::kStop << 8 | signal);
  (void)stop_for_tracer(tracee, info.code, kCldStopped, &info);
}

// The next signal, SIGKILL and faults before the others.
i32 take_next(Thread& self, SignalInfo& info) {
  constexpr SignalSet kFaults = signal_bit(kSIGSEGV) | signal_bit(kSIGBUS) | signal_bit(kSIGILL) |
                                signal_bit(kSIGTRAP) | signal_bit(kSIGFPE) | signal_bit(kSIGSYS);
  for (const SignalSet set : {signal_bit(kSIGKILL), kFaults, ~SignalSet{0}}) {
    if (const i32 signal = take_pending(self, set & ~self.signals.blocked, info); signal != 0) return signal;
  }
  return 0;
}

// The tracer sees the signal first, and may take another one or none. 0: nothing is delivered.
i32 signal_stop(Tracee& tracee, i32 signal, SignalInfo& info) {
  Thread& self = current();
  const Process* const tracer = tracer_of(self);
  const SignalInfo from_tracer{
      .code = kSiUser, .pid = tracer->pid, .uid = identity_of(*tracee.tracer_thread()).user.real};
  UserSigInfo told = user_info(signal, info);
  const i32 given = stop_for_tracer(tracee, signal, kCldTrapped, &told);
  if (given == 0) return 0;
  info = given == told.signal ? info_from(told) : from_tracer;
  if ((self.signals.blocked & signal_bit(given)) != 0) {
    send_signal(self, given, info);
    return 0;
  }
  return given;
}

// SIGKILL is taken.
[[noreturn]] void die() {
  const Process& process = current_process();
  const bool for_exec = process.ending == Ending::kExec && process.survivor != &current();
  exit_process_traced(for_exec ? 0 : i32{kSIGKILL});
}

// One stop or signal of a thread that is traced, or was until now. False: nothing is left.
bool deliver_one(UserRegisters& registers) {
  Thread& self = current();
  Tracee* const tracee = tracee_of(self);
  if (!is_killed(self) && must_stop(self)) {
    if (tracee != nullptr) {
      trap(*tracee);
    } else {
      park_thread();
    }
    return true;
  }
  SignalInfo info;
  i32 signal = take_next(self, info);
  if (signal == 0) return false;
  if (signal == kSIGKILL) die();
  const bool steps = tracee != nullptr && tracee->steps();
  if (tracee != nullptr) signal = signal_stop(*tracee, signal, info);
  if (signal == 0) return true;
  const bool handled = act_on_signal(registers, signal, info);
  Tracee* const now = tracee_of(self);
  if (handled && now != nullptr && (steps || now->steps())) (void)notify(*now, kSIGTRAP, 0);
  return true;
}

// A stop at a call; what it was resumed with is sent.
void call_stop(u64 which) {
  Tracee* const tracee = tracee_of(current());
  const i32 code = kSIGTRAP | ((tracee->options & trace::kSysGood) != 0 ? 0x80 : 0);
  const i32 signal = notify(*tracee, code, which);
  if (signal != 0) send_signal(current(), signal, SignalInfo{.code = kSiKernel});
}

// After a call, or an exec that another thread's number goes on from.
void report_end_of_call(UserRegisters& registers) {
  const Tracee* const tracee = tracee_of(current());
  if (tracee == nullptr) return;
  if (tracee->reports_calls()) {
    call_stop(trace::kExitOfCall);
  } else if (tracee->steps()) {
    force_signal(kSIGTRAP, SignalInfo{.code = kTrapBrkpt, .pid = 0, .value = registers.rip});
  }
}

void report_exec(i32 tid_before) {
  const Tracee* const tracee = tracee_of(current());
  if (tracee == nullptr || event_stop(trace::kExec, static_cast<u32>(tid_before)) || tracee->seized) return;
  send_signal(current(), kSIGTRAP, SignalInfo{.code = kSiUser, .pid = 0, .value = 0});
}

constexpr u64 kExecve = 59, kExit = 60, kExitGroup = 231, kExecveAt = 322;

i32 status_of_exit(const SyscallArgs& args) { return static_cast<i32>(args.a0 & 0xff) << 8; }

// The exec's call as a tracer sees it: its number, though all registers are new.
void show_exec(UserRegisters& registers, u64 number) { registers.orig_rax = number; }

}  // namespace

void deliver_traced(UserRegisters& registers) {
  Thread& self = current();
  // Here, too, after its tracer left it: each stop may bring another one.
  for (;;) {
    if (tracee_of(self) == nullptr) forget_tracer();
    if (deliver_one(registers)) continue;
    // An address that is not canonical would fault on the way out, in the kernel.
    if (registers.rip < kUserRange.end.value()) break;
    force_signal(kSIGSEGV, SignalInfo{.code = kSiKernel, .pid = 0, .value = 0});
  }
  finish_delivery(registers);
  // Whoever traces or traced it may have changed any register.
  registers.orig_rax = kNotASyscall;
  Tracee* const tracee = tracee_of(self);
  if (tracee != nullptr && tracee->steps() && (registers.rflags & kFlagTrap) == 0) {
    registers.rflags |= kFlagTrap;
    tracee->trap_forced = true;
  }
}

i64 call_of_traced(const SyscallArgs& args) {
  Thread& self = current();
  UserRegisters& registers = args.registers;
  Tracee* tracee = tracee_of(self);
  if (std::exchange(tracee->trap_forced, false)) registers.rflags &= ~kFlagTrap;
  registers.rax = static_cast<u64>(-kENOSYS);
  if (tracee->reports_calls() || tracee->emulates()) {
    const bool emulates = tracee->emulates();
    call_stop(trace::kEntry);
    if (is_killed(self)) return static_cast<i64>(registers.rax);
    if (emulates) {
      tracee = tracee_of(self);
      if (tracee != nullptr && tracee->steps()) report_end_of_call(registers);
      return static_cast<i64>(registers.rax);
    }
  }
  const u64 number = static_cast<u32>(registers.orig_rax);
  const SyscallArgs now{registers.rdi, registers.rsi, registers.rdx, registers.r10,
                        registers.r8,  registers.r9,  registers};
  registers.rax = static_cast<u64>(make_traced_call(now));
  if ((number == kExecve || number == kExecveAt) && registers.rax == 0) {
    show_exec(registers, number);
    report_exec(self.tid);
  }
  report_end_of_call(registers);
  return static_cast<i64>(registers.rax);
}

void trace_exec_of_leader(UserRegisters& registers) {
  if (!is_traced(current())) return;
  const auto tid_before = static_cast<i32>(std::exchange(tracee_of(current())->message, 0));
  show_exec(registers, kExecve);
  report_exec(tid_before);
  report_end_of_call(registers);
}

void trace_exit(i32 status) { (void)event_stop(trace::kExit, static_cast<u32>(status)); }

void exit_process_traced(i32 wait_status) {
  doom_process(wait_status);
  const Process& process = current_process();
  trace_exit(process.ending == Ending::kExit ? process.exit_status : wait_status);
  exit_process(wait_status);
}

SyscallHandler exit_of_traced(u64 number) {
  if (number == kExitGroup)
    return [](const SyscallArgs& args) -> i64 { exit_process_traced(status_of_exit(args)); };
  if (number != kExit) return nullptr;
  return [](const SyscallArgs& args) -> i64 {
    trace_exit(status_of_exit(args));
    exit_thread(status_of_exit(args));
  };
}

bool trace_seccomp(u32 data) {
  UserRegisters& registers = *current().registers;
  registers.rax = static_cast<u64>(-kENOSYS);
  return event_stop(trace::kSeccomp, data);
}

i32 trace_child(Thread& child, const CloneRequest& request) {
  Tracee* const tracee = tracee_of(current());
  if (tracee == nullptr) return 0;
  i32 event = (request.flags & kCloneVfork) != 0 ? trace::kVfork
              : request.exit_signal != kSIGCHLD  ? trace::kClone
                                                 : trace::kFork;
  if ((request.flags & kCloneUntraced) != 0 || !tracee->wants(event)) event = 0;
  if (event == 0 && (request.flags & kClonePtrace) == 0) return 0;
  const Tracing as_it = {
      .options = tracee->options, .seized = tracee->seized, .privileged = tracee->privileged};
  if (begin_tracing(child, *tracee->tracer_thread(), as_it) != 0) return event;
  if (tracee->seized) {
    tracee_of(child)->trap_stop = true;
  } else {
    child.signals.pending.set |= signal_bit(kSIGSTOP);
  }
  refresh_signals(child);
  return event;
}

void trace_clone(i32 event, i32 tid) {
  if (event != 0) (void)event_stop(event, static_cast<u32>(tid));
}

void trace_vfork_done(i32 tid) { (void)event_stop(trace::kVforkDone, static_cast<u32>(tid)); }

}  // namespace nopte::guest
