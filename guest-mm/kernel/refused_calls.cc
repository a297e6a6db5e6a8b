// Calls that Linux has and that are refused here as a Linux that is configured without what they are for, or
// that forbids it, refuses them.
#include "guest-mm/kernel/credentials.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/pidfd.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/refusals.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

// Nobody may trace.
i64 sys_ptrace(const SyscallArgs& args) {
  constexpr u64 kTraceMe = 0;
  return args.a0 != kTraceMe && find_thread(static_cast<i32>(args.a1)) == nullptr
             ? -kESRCH
             : not_built(args, "any kind", -kEPERM);
}

// There is one of each namespace, and no file that means it.
i64 sys_setns(const SyscallArgs& args) {
  return files::current_files().table.get(static_cast<u32>(args.a0)) == nullptr
             ? -kEBADF
             : not_built(args, "namespaces", -kEINVAL);
}

// The console has nobody to hang up.
i64 sys_vhangup(const SyscallArgs&) { return capable(Capability::kSysTtyConfig) ? 0 : -kEPERM; }

// What ends gives its memory back at once: there is nothing to hurry.
i64 sys_process_mrelease(const SyscallArgs& args) {
  if ((args.a1 & 0xffff'ffff) != 0) {
    return -kEINVAL;
  }
  const files::Meant target = files::meant_by(args.a0);
  if (target.error != 0) {
    return target.error;
  }
  if (target.thread->process->ended()) {
    return -kESRCH;
  }
  const Process& process = *target.thread->process;
  const bool ends =
      process.ending == Ending::kExit ||
      ((process.signals.pending.set | target.thread->signals.pending.set) & signal_bit(kSIGKILL)) != 0;
  return ends ? 0 : -kEINVAL;
}

}  // namespace nopte::guest
