// Calls that Linux has and that are refused here as a Linux that is configured without what they are for, or
// that forbids it, refuses them.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/call_support.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"

namespace nopte::guest {

// There is one of each namespace, and no file that means it.
i64 sys_setns(const SyscallArgs& args) {
  return files::current_files().table.get(static_cast<u32>(args.a0)) == nullptr
             ? -kEBADF
             : not_built(args, "namespaces", -kEINVAL);
}

namespace {

// What a path names, for who opens it to write; errors as open's.
i64 opened_to_write(u64 path_address, Ref<files::File>& file) {
  files::UserPath path;
  if (const i64 error = path.load(path_address); error != 0) {
    return error;
  }
  auto opened = files::open(files::current_directories(), path.text(), files::kOpenReadWrite);
  if (!opened) {
    return files::negated(opened.error());
  }
  file = std::move(*opened);
  return 0;
}

// There is no device to swap to, and no file can be one.
i64 no_swap(u64 path) {
  if (!capable(Capability::kSysAdmin)) {
    return -kEPERM;
  }
  Ref<files::File> file;
  const i64 error = opened_to_write(path, file);
  return error != 0 ? error : -kEINVAL;
}

}  // namespace

i64 sys_swapon(const SyscallArgs& args) {
  constexpr u64 kFlags = 0x7ffff;
  return (args.a1 & ~kFlags & 0xffff'ffff) != 0 ? -kEINVAL : no_swap(args.a0);
}
i64 sys_swapoff(const SyscallArgs& args) { return no_swap(args.a0); }

// Accounting can be asked for, but nothing is written.
// Who may is asked, but no port becomes a program's: under a hypervisor none could.
i64 sys_iopl(const SyscallArgs& args) {
  constexpr u32 kHighest = 3;
  const u32 level = static_cast<u32>(args.a0);
  return level > kHighest ? -kEINVAL : level != 0 && !capable(Capability::kSysRawio) ? -kEPERM : 0;
}

i64 sys_ioperm(const SyscallArgs& args) {
  constexpr u64 kPorts = 65536;
  const u64 end = args.a0 + args.a1;
  if (end <= args.a0 || end > kPorts) {
    return -kEINVAL;
  }
  return static_cast<u32>(args.a2) != 0 && !capable(Capability::kSysRawio) ? -kEPERM : 0;
}

i64 sys_acct(const SyscallArgs& args) {
  if (!capable(Capability::kSysPacct)) {
    return -kEPERM;
  }
  if (args.a0 == 0) {
    return 0;
  }
  Ref<files::File> file;
  if (const i64 error = opened_to_write(args.a0, file); error != 0) {
    return error;
  }
  return file->inode()->is_regular() ? 0 : -kEACCES;
}

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
