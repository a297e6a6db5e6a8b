// ptrace(2): what a tracer asks for (kernel/ptrace.c and arch/x86/kernel/ptrace.c of Linux 6.12).
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/memory/forced_access.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/tracee_state.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

namespace {

// uapi/linux/ptrace.h, asm/ptrace-abi.h.
enum Request : u64 {
  kTraceMe = 0,
  kPeekText = 1,
  kPeekData = 2,
  kPeekUser = 3,
  kPokeText = 4,
  kPokeData = 5,
  kPokeUser = 6,
  kCont = 7,
  kKill = 8,
  kSingleStep = 9,
  kGetRegs = 12,
  kSetRegs = 13,
  kGetFpRegs = 14,
  kSetFpRegs = 15,
  kAttach = 16,
  kDetach = 17,
  kOldSetOptions = 21,
  kSyscall = 24,
  kArchPrctl = 30,
  kSysEmu = 31,
  kSysEmuSingleStep = 32,
  kSingleBlock = 33,
  kSetOptions = 0x4200,
  kGetEventMsg = 0x4201,
  kGetSigInfo = 0x4202,
  kSetSigInfo = 0x4203,
  kGetRegSet = 0x4204,
  kSetRegSet = 0x4205,
  kSeize = 0x4206,
  kInterrupt = 0x4207,
  kListen = 0x4208,
  kPeekSigInfo = 0x4209,
  kGetSigMask = 0x420a,
  kSetSigMask = 0x420b,
  kGetSyscallInfo = 0x420e,
  kGetRseq = 0x420f,
};

// Those of uapi/linux/ptrace.h that are not built: seccomp's.
constexpr u32 kOptionSuspendSeccomp = 1 << 21;

i64 check_options(u64 options) { return (options & ~u64{trace::kOptions}) != 0 ? -kEINVAL : 0; }

i64 trace_me() {
  Thread& self = current();
  Process* const parent = self.process->parent;
  if (tracee_of(self) != nullptr) return -kEPERM;
  if (parent == nullptr || parent->ended()) return 0;
  Thread* maker = find_thread(self.process->maker_tid);
  if (maker == nullptr || maker->process != parent || maker->state == ThreadState::kEnded) {
    parent->for_each_thread(
        [&](Thread& thread) { maker = thread.state != ThreadState::kEnded ? &thread : maker; });
  }
  const Identity& who = identity_of(*maker);
  if ((identity().permitted & ~who.permitted) != 0 && !who.has(Capability::kSysPtrace)) return -kEPERM;
  return begin_tracing(self, *maker, {.privileged = capable(Capability::kSysPtrace)});
}

// One that stands still already is in a stop of its tracer's from here on.
void take_over_stop(Thread& thread) {
  Tracee& tracee = *tracee_of(thread);
  const i32 signal = thread.process->stop_signal();
  tracee.joined = tracee.stopped = tracee.waitable = true;
  tracee.code = signal | (tracee.seized ? trace::kStop << 8 : 0);
  tracee.own_info.signal = signal;
  tracee.own_info.code = tracee.code;
  tracee.own_info.from.pid = thread.tid;
  tracee.own_info.from.uid = identity_of(thread).user.real;
  tracee.info = tracee.seized ? &tracee.own_info : nullptr;
  thread.state = ThreadState::kTraced;
  tell_tracer(tracee, kCldStopped, signal);
}

i64 attach(Thread& thread, bool seize, u64 address, u64 options) {
  if (seize) {
    if (address != 0 || (options & ~u64{trace::kOptions | kOptionSuspendSeccomp}) != 0) return -kEIO;
    if (const i64 error = check_options(options); error != 0) return error;
  }
  if (thread.process == &current_process() || !may_inspect(thread)) return -kEPERM;
  if (thread.state == ThreadState::kEnded || tracee_of(thread) != nullptr) return -kEPERM;
  const Tracing how{.options = seize ? static_cast<u32>(options) : 0,
                    .seized = seize,
                    .privileged = capable(Capability::kSysPtrace)};
  if (const i64 error = begin_tracing(thread, current(), how); error != 0) return error;
  const bool stands = thread.state == ThreadState::kStopped;
  if (!seize) {
    (void)make_pending(*thread.process, thread.signals.pending, kSIGSTOP, SignalInfo{.code = kSiKernel});
    wake_for_signal(thread, kSIGSTOP);
  }
  if (stands) take_over_stop(thread);
  return 0;
}

// --- of a stopped tracee
// ------------------------------------------------------------------------------------

// Its memory; null where it hides it from a tracer without rights (ptrace_access_vm).
AddressSpace* memory_of(const Tracee& tracee) {
  const Thread& thread = *tracee.thread();
  return thread.process->dumpable || tracee.privileged ? thread.space : nullptr;
}

i64 peek(const Tracee& tracee, u64 address, u64 to) {
  u64 word = 0;
  AddressSpace* const space = memory_of(tracee);
  if (space == nullptr || !peek_space(*space, &word, Gva{address}, sizeof(word))) return -kEIO;
  return files::put_user(to, word);
}

i64 poke_word(const Tracee& tracee, u64 address, u64 word) {
  AddressSpace* const space = memory_of(tracee);
  return space != nullptr && poke_space(*space, Gva{address}, &word, sizeof(word)) ? 0 : -kEIO;
}

i64 go_on(Tracee& tracee, u64 signal, Resume how) {
  if (signal > u64{kSignals}) return -kEIO;
  tracee.resume = how;
  resume_tracee(tracee, static_cast<i32>(signal));
  return 0;
}

i64 interrupt(Tracee& tracee) {
  if (!tracee.seized) return -kEIO;
  tracee.trap_stop = true;
  poke(tracee);
  return 0;
}

i64 listen(Tracee& tracee) {
  if (!tracee.seized || tracee.info == nullptr || tracee.info->code >> 8 != trace::kStop) return -kEIO;
  tracee.listening = true;
  if (tracee.trap_notify) poke(tracee);
  return 0;
}

i64 get_signal_info(const Tracee& tracee, u64 to) {
  return tracee.info == nullptr ? -kEINVAL : files::put_user(to, *tracee.info);
}

i64 set_signal_info(const Tracee& tracee, u64 from) {
  UserSigInfo info;
  if (const i64 error = files::get_user(info, from); error != 0) return error;
  if (tracee.info == nullptr) return -kEINVAL;
  *tracee.info = info;
  return 0;
}

// The pending signal behind `skipped` others. False: there is none.
bool pending_at(const PendingSignals& pending, u64 skipped, UserSigInfo& out) {
  for (i32 signal = 1; signal < kFirstRealTime; ++signal) {
    if ((pending.set & signal_bit(signal)) == 0 || skipped-- != 0) continue;
    out = user_info(signal,
                    (pending.plain & signal_bit(signal)) != 0 ? pending.info[signal - 1] : SignalInfo{});
    return true;
  }
  for (const QueuedSignal* queued = pending.queue; queued != nullptr; queued = queued->next) {
    if (queued->signal < kFirstRealTime && (pending.plain & signal_bit(queued->signal)) != 0) continue;
    if (skipped-- != 0) continue;
    out = user_info(queued->signal, queued->info);
    return true;
  }
  return false;
}

i64 peek_signal_infos(const Tracee& tracee, u64 address, u64 to) {
  struct {
    u64 offset;
    u32 flags;
    i32 count;
  } asked;
  constexpr u32 kShared = 1;
  if (const i64 error = files::get_user(asked, address); error != 0) return error;
  if ((asked.flags & ~kShared) != 0 || asked.count < 0) return -kEINVAL;
  const Thread& thread = *tracee.thread();
  const PendingSignals& pending =
      (asked.flags & kShared) != 0 ? thread.process->signals.pending : thread.signals.pending;
  i64 told = 0;
  UserSigInfo info;
  while (told < asked.count && pending_at(pending, asked.offset + static_cast<u64>(told), info)) {
    if (files::put_user(to + static_cast<u64>(told) * sizeof(info), info) != 0)
      return told != 0 ? told : -kEFAULT;
    ++told;
  }
  return told;
}

i64 get_mask(const Tracee& tracee, u64 bytes, u64 to) {
  const ThreadSignals& signals = tracee.thread()->signals;
  if (bytes != sizeof(SignalSet)) return -kEINVAL;
  return files::put_user(to, signals.restore_saved ? signals.saved_blocked : signals.blocked);
}

i64 set_mask(const Tracee& tracee, u64 bytes, u64 from) {
  SignalSet set = 0;
  if (bytes != sizeof(SignalSet)) return -kEINVAL;
  if (const i64 error = files::get_user(set, from); error != 0) return error;
  tracee.thread()->signals.restore_saved = false;
  set_blocked_signals(*tracee.thread(), set);
  return 0;
}

// struct ptrace_syscall_info.
i64 get_syscall_info(const Tracee& tracee, u64 bytes, u64 to) {
  constexpr u32 kMachine = 0xc000'003e;  // AUDIT_ARCH_X86_64
  constexpr u8 kNone = 0, kEntered = 1, kLeft = 2, kBySeccomp = 3;
  struct {
    u8 kind = kNone;
    u8 pad[3] = {};
    u32 machine = kMachine;
    u64 rip = 0, rsp = 0;
    u64 words[8] = {};
  } info;
  constexpr u64 kHead = 24, kEntryBytes = kHead + 56, kExitBytes = kHead + 9, kSeccompBytes = kHead + 60;
  const UserRegisters& r = *tracee.thread()->registers;
  info.rip = r.rip;
  info.rsp = r.rsp;
  u64 actual = kHead;
  const i32 code = tracee.info != nullptr ? tracee.info->code : 0;
  const bool by_seccomp = code == (kSIGTRAP | trace::kSeccomp << 8);
  const bool at_call = code == (kSIGTRAP | 0x80);
  if (by_seccomp || (at_call && tracee.message == trace::kEntry)) {
    info.kind = by_seccomp ? kBySeccomp : kEntered;
    actual = by_seccomp ? kSeccompBytes : kEntryBytes;
    std::ranges::copy(std::initializer_list<u64>{r.orig_rax, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9},
                      info.words);
    if (by_seccomp) info.words[7] = static_cast<u32>(tracee.message);
  } else if (at_call && tracee.message == trace::kExitOfCall) {
    constexpr i64 kMostErrors = 4095;
    const auto value = static_cast<i64>(r.rax);
    info.kind = kLeft;
    actual = kExitBytes;
    info.words[0] = r.rax;
    info.words[1] = value < 0 && value >= -kMostErrors ? 1 : 0;
  }
  return arch::copy_to_user(Gva{to}, static_cast<const void*>(&info), std::min(bytes, actual))
             ? static_cast<i64>(actual)
             : -kEFAULT;
}

i64 get_rseq(const Tracee& tracee, u64 bytes, u64 to) {
  const Rseq& rseq = tracee.thread()->rseq;
  const struct {
    u64 area;
    u32 bytes, signature, flags, pad;
  } told = {rseq.area, rseq.bytes, rseq.signature, 0, 0};
  return arch::copy_to_user(Gva{to}, static_cast<const void*>(&told), std::min<u64>(bytes, sizeof(told)))
             ? static_cast<i64>(sizeof(told))
             : -kEFAULT;
}

// PTRACE_GETREGSET and PTRACE_SETREGSET: the vector says how much there was.
i64 move_register_set(Tracee& tracee, bool set, u64 type, u64 address) {
  struct {
    u64 base, bytes;
  } vector;
  if (const i64 error = files::get_user(vector, address); error != 0) return error;
  const i64 error = set ? set_register_set(tracee, static_cast<u32>(type), vector.base, vector.bytes)
                        : get_register_set(tracee, static_cast<u32>(type), vector.base, vector.bytes);
  return error != 0 ? error : files::put_user(address + sizeof(u64), vector.bytes);
}

i64 set_whole(Tracee& tracee, u32 type, u64 bytes, u64 from) {
  return set_register_set(tracee, type, from, bytes);
}
i64 get_whole(const Tracee& tracee, u32 type, u64 bytes, u64 to) {
  return get_register_set(tracee, type, to, bytes);
}

// arch_prctl(2) of the tracee.
i64 base_of_segment(Tracee& tracee, u64 code, u64 address) {
  constexpr u64 kSetGs = 0x1001, kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004, kFs = 21, kGs = 22;
  switch (code) {
    case kSetGs:
    case kSetFs:
      return set_user_register(tracee, code == kSetFs ? kFs : kGs, address) == 0 ? 0 : -kEPERM;
    case kGetFs:
    case kGetGs:
      return files::put_user(address, user_register(tracee, code == kGetFs ? kFs : kGs));
    default:
      return -kEINVAL;
  }
}

i64 of_stopped(const SyscallArgs& args, Tracee& tracee) {
  const u64 address = args.a2;
  const u64 data = args.a3;
  switch (args.a0) {
    case kPeekText:
    case kPeekData:
      return peek(tracee, address, data);
    case kPokeText:
    case kPokeData:
      return poke_word(tracee, address, data);
    case kPeekUser: {
      u64 word = 0;
      const i64 error = peek_user(tracee, address, word);
      return error != 0 ? error : files::put_user(data, word);
    }
    case kPokeUser:
      return poke_user(tracee, address, data);
    case kCont:
      return go_on(tracee, data, Resume::kGo);
    case kSyscall:
      return go_on(tracee, data, Resume::kCalls);
    case kSingleStep:
      return go_on(tracee, data, Resume::kStep);
    case kSysEmu:
      return go_on(tracee, data, Resume::kEmulate);
    case kSysEmuSingleStep:
      return go_on(tracee, data, Resume::kEmulateStep);
    case kSingleBlock:
      return not_built(args, "PTRACE_SINGLEBLOCK", -kEIO);
    case kDetach:
      if (data > u64{kSignals}) return -kEIO;
      let_go(tracee, static_cast<i32>(data));
      return 0;
    case kGetRegs:
      return get_whole(tracee, kNoteStatus, kUserRegisterBytes, data);
    case kSetRegs:
      return set_whole(tracee, kNoteStatus, kUserRegisterBytes, data);
    case kGetFpRegs:
      return get_whole(tracee, kNoteFpu, kUserFpuBytes, data);
    case kSetFpRegs:
      return set_whole(tracee, kNoteFpu, kUserFpuBytes, data);
    case kArchPrctl:
      return base_of_segment(tracee, data, address);
    case kOldSetOptions:
    case kSetOptions:
      if ((data & kOptionSuspendSeccomp) != 0) return not_built(args, "PTRACE_O_SUSPEND_SECCOMP", -kEINVAL);
      if (const i64 error = check_options(data); error != 0) return error;
      tracee.options = static_cast<u32>(data);
      return 0;
    case kGetEventMsg:
      return files::put_user(data, tracee.message);
    case kGetSigInfo:
      return get_signal_info(tracee, data);
    case kSetSigInfo:
      return set_signal_info(tracee, data);
    case kGetRegSet:
    case kSetRegSet:
      return move_register_set(tracee, args.a0 == kSetRegSet, address, data);
    case kListen:
      return listen(tracee);
    case kPeekSigInfo:
      return peek_signal_infos(tracee, address, data);
    case kGetSigMask:
      return get_mask(tracee, address, data);
    case kSetSigMask:
      return set_mask(tracee, address, data);
    case kGetSyscallInfo:
      return get_syscall_info(tracee, address, data);
    case kGetRseq:
      return get_rseq(tracee, address, data);
    default:
      return -kEIO;
  }
}

}  // namespace

i64 sys_ptrace(const SyscallArgs& args) {
  if (args.a0 == kTraceMe) return trace_me();
  Thread* const thread = find_thread(static_cast<i32>(args.a1));
  if (thread == nullptr) return -kESRCH;
  if (args.a0 == kAttach || args.a0 == kSeize) return attach(*thread, args.a0 == kSeize, args.a2, args.a3);
  Tracee* const tracee = tracee_of(*thread);
  if (tracee == nullptr || tracee->tracer_thread() != &current()) return -kESRCH;
  if (args.a0 == kKill) {
    if (thread->state != ThreadState::kEnded) send_signal(*thread, kSIGKILL, SignalInfo{.code = kSiUser});
    return 0;
  }
  if (args.a0 == kInterrupt) return thread->state == ThreadState::kEnded ? -kESRCH : interrupt(*tracee);
  const bool stands = thread->state == ThreadState::kTraced && tracee->stopped && !tracee->listening;
  return stands ? of_stopped(args, *tracee) : -kESRCH;
}

}  // namespace nopte::guest
