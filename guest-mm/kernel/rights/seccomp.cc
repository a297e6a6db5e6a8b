#include "guest-mm/kernel/rights/seccomp.h"

#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/program/core_dump.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

namespace {

// uapi/linux/seccomp.h; the smallest, as a signed number, is the strictest.
constexpr u32 kKillProcess = 0x8000'0000, kKillThread = 0, kTrap = 0x3'0000, kErrno = 0x5'0000,
              kTrace = 0x7ff0'0000, kNotify = 0x7fc0'0000, kLog = 0x7ffc'0000, kAllow = 0x7fff'0000,
              kAction = 0xffff'0000, kData = 0xffff;
constexpr u32 kThisMachine = 0xc000'003e;  // AUDIT_ARCH_X86_64
constexpr i32 kSysSeccomp = 1;             // si_code

SignalInfo signal_of(const CallData& data, u32 answer) {
  return {.code = kSysSeccomp,
          .pid = data.number,
          .value = data.instruction_pointer,
          .uid = data.machine,
          .error = static_cast<i32>(answer & kData)};
}

bool may_become(Seccomp mode) { return identity().seccomp == Seccomp::kOff || identity().seccomp == mode; }

i64 become_strict() {
  if (!may_become(Seccomp::kStrict)) return -kEINVAL;
  Identity next = identity();
  next.seccomp = Seccomp::kStrict;
  const i64 error = commit_identity(current(), std::move(next));
  if (error == 0) {
    check_calls_by_seccomp();
    (void)arch::set_time_stamps_fault(current().context, true);  // as Linux, where the machine can
  }
  return error;
}

// The program, checked, before all that there is. Errors: kEFAULT, kEINVAL, kEACCES, kENOMEM.
i64 load_filter(u64 address, Ref<SeccompFilter>& out) {
  struct {
    u16 count;
    u16 hole[3];
    u64 instructions;
  } asked;
  if (!arch::copy_from_user(&asked, Gva{address}, sizeof asked)) return -kEFAULT;
  if (asked.count == 0 || asked.count > kMostBpfInstructions) return -kEINVAL;
  if (!identity().no_new_privileges && !capable(Capability::kSysAdmin)) return -kEACCES;
  const u64 bytes = asked.count * sizeof(BpfInstruction);
  HeapBuffer code(bytes);
  if (!code) return -kENOMEM;
  if (!arch::copy_from_user(code.data(), Gva{asked.instructions}, bytes)) return -kEFAULT;
  const auto checked = check_bpf({reinterpret_cast<const BpfInstruction*>(code.data()), asked.count});
  if (!checked) return checked.error() == Status::kNoMemory ? -kENOMEM : -kEINVAL;
  auto* const filter = make<SeccompFilter>(std::move(code), asked.count, identity().filter);
  out = Ref<SeccompFilter>::adopt(filter);
  return filter == nullptr || filter->path() > SeccompFilter::kMostOnPath ? -kENOMEM : 0;
}

i64 give(Thread& thread, const Ref<SeccompFilter>& filter, bool no_new_privileges) {
  Identity next = identity_of(thread);
  next.seccomp = Seccomp::kFilter;
  next.filter = filter;
  next.no_new_privileges = next.no_new_privileges || no_new_privileges;
  return commit_identity(thread, std::move(next));
}

// Another thread of the process whose filters are not the running one's, or of these; 0: none.
i32 thread_apart() {
  i32 apart = 0;
  current_process().for_each_thread([&](const Thread& other) {
    const Identity& who = identity_of(other);
    const bool follows = who.seccomp == Seccomp::kOff || (who.seccomp == Seccomp::kFilter &&
                                                          who.filter->comes_before(identity().filter.get()));
    if (&other != &current() && other.state != ThreadState::kEnded && !follows) apart = other.tid;
  });
  return apart;
}

i64 add_filter(u64 flags, u64 address) {
  constexpr u64 kSync = 1, kLogAll = 2, kSpeculate = 4, kListener = 8, kSyncEsrch = 16, kWaitKillable = 32;
  if ((flags & ~(kSync | kLogAll | kSpeculate | kListener | kSyncEsrch | kWaitKillable)) != 0)
    return -kEINVAL;
  if ((flags & kListener) != 0 || (flags & kWaitKillable) != 0) return -kEINVAL;  // nobody is told
  Ref<SeccompFilter> filter;
  if (const i64 error = load_filter(address, filter); error != 0) return error;
  if (!may_become(Seccomp::kFilter)) return -kEINVAL;
  if ((flags & kSync) != 0) {
    if (const i32 apart = thread_apart(); apart != 0) return (flags & kSyncEsrch) != 0 ? -kESRCH : apart;
  }
  i64 error = give(current(), filter, false);
  if ((flags & kSync) != 0) {
    current_process().for_each_thread([&](Thread& other) {
      if (error == 0 && &other != &current() && other.state != ThreadState::kEnded) {
        error = give(other, filter, identity().no_new_privileges);
      }
    });
  }
  check_calls_by_seccomp();
  return error;
}

i64 tell_action(u64 flags, u64 address) {
  u32 action = 0;
  if (flags != 0) return -kEINVAL;
  if (!arch::copy_from_user(&action, Gva{address}, sizeof action)) return -kEFAULT;
  constexpr u32 kHere[] = {kKillProcess, kKillThread, kTrap, kErrno, kTrace, kLog, kAllow};
  return std::ranges::find(kHere, action) != std::end(kHere) ? 0 : -kEOPNOTSUPP;
}

bool allowed_strictly(u64 number) {
  constexpr u64 kRead = 0, kWrite = 1, kSignalReturn = 15, kExit = 60;
  return number == kRead || number == kWrite || number == kSignalReturn || number == kExit;
}

}  // namespace

u32 SeccompFilter::decide(const CallData& data) const {
  u32 strictest = kAllow;
  for (const SeccompFilter* filter = this; filter != nullptr; filter = filter->before_.get()) {
    const u32 answer = run_bpf(filter->program(), data);
    if (static_cast<i32>(answer & kAction) < static_cast<i32>(strictest & kAction)) strictest = answer;
  }
  return strictest;
}

bool SeccompFilter::comes_before(const SeccompFilter* other) const {
  while (other != nullptr && other != this) other = other->before_.get();
  return other == this;
}

// Without recursion: there may be thousands.
void SeccompFilter::release() {
  for (SeccompFilter* filter = this; filter != nullptr && --filter->references_ == 0;) {
    SeccompFilter* const before = filter->before_.detach();
    delete filter;
    filter = before;
  }
}

bool seccomp_allows(const SyscallArgs& args, i64& answer) {
  const Identity& who = identity();
  UserRegisters& registers = args.registers;
  if (who.seccomp == Seccomp::kStrict) {
    if (!allowed_strictly(registers.orig_rax)) {
      trace_exit(kSIGKILL);
      exit_thread(kSIGKILL);
    }
    return true;
  }
  CallData data{.number = static_cast<i32>(registers.orig_rax),
                .machine = kThisMachine,
                .instruction_pointer = registers.rip,
                .arguments = {args.a0, args.a1, args.a2, args.a3, args.a4, args.a5}};
  u32 told = who.filter->decide(data);
  if ((told & kAction) == kTrace && trace_seccomp(told & kData)) [[unlikely]] {
    // As Linux: what the tracer makes of the call is asked about again, but for the tracer. Who was killed in
    // the stop makes none.
    answer = static_cast<i64>(registers.rax);
    if (kill_pending()) return false;
    data.number = static_cast<i32>(registers.orig_rax);
    if (data.number < 0) return false;
    const UserRegisters& r = registers;
    for (u64 i = 0; const u64 now : {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9}) data.arguments[i++] = now;
    told = who.filter->decide(data);
    if ((told & kAction) == kTrace) return true;
  }
  answer = -kENOSYS;
  switch (told & kAction) {
    case kAllow:
    case kLog:
      return true;
    case kErrno:
      answer = -static_cast<i64>(std::min(told & kData, u32{4095}));
      return false;
    case kTrap:
      answer = static_cast<i64>(registers.orig_rax);
      force_signal(kSIGSYS, signal_of(data, told));
      return false;
    case kTrace:   // nobody traces,
    case kNotify:  // or is told
      return false;
    case kKillThread:
      if (current_process().live_threads > 1) {
        trace_exit(kSIGSYS);
        exit_thread(kSIGSYS);
      }
      [[fallthrough]];
    default:
      exit_process_traced(kSIGSYS | leave_core(kSIGSYS, registers));
  }
}

i64 set_seccomp(u64 mode, u64 program_address) {
  constexpr u64 kStrictMode = 1, kFilterMode = 2;
  return mode == kStrictMode   ? become_strict()
         : mode == kFilterMode ? add_filter(0, program_address)
                               : -kEINVAL;
}

i64 sys_seccomp(const SyscallArgs& args) {
  constexpr u32 kSetStrict = 0, kSetFilter = 1, kActionThere = 2;
  const auto flags = static_cast<u32>(args.a1);
  switch (static_cast<u32>(args.a0)) {
    case kSetStrict:
      return flags != 0 || args.a2 != 0 ? -kEINVAL : become_strict();
    case kSetFilter:
      return add_filter(flags, args.a2);
    case kActionThere:
      return tell_action(flags, args.a2);
    default:
      return not_built(args, "this operation", -kEINVAL);
  }
}

}  // namespace nopte::guest
