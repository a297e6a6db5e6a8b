// Who a process is: numbers, groups, sessions. Users: credential_calls.cc.
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"
#include "pvops/mm_ops.h"

namespace nopte::guest {

namespace {

Process* process_or_self(u64 pid) {
  return static_cast<i32>(pid) == 0 ? &current_process() : find_process(static_cast<i32>(pid));
}
// As Linux: any thread's number means its process.
const Process* process_of(u64 tid) {
  const Thread* const thread = static_cast<i32>(tid) == 0 ? &current() : find_thread(static_cast<i32>(tid));
  return thread != nullptr ? thread->process : nullptr;
}

}  // namespace

i64 sys_getpid(const SyscallArgs&) { return current_process().pid; }
i64 sys_gettid(const SyscallArgs&) { return current().tid; }
i64 sys_getppid(const SyscallArgs&) {
  const Process* const parent = current_process().parent;
  return parent != nullptr ? parent->pid : 0;
}

i64 sys_getpgrp(const SyscallArgs&) { return current_process().pgid; }

i64 sys_getpgid(const SyscallArgs& args) {
  const Process* process = process_of(args.a0);
  return process != nullptr ? process->pgid : -kESRCH;
}

i64 sys_getsid(const SyscallArgs& args) {
  const Process* process = process_of(args.a0);
  return process != nullptr ? process->sid : -kESRCH;
}

i64 sys_setpgid(const SyscallArgs& args) {
  Process& self = current_process();
  Process* process = process_or_self(args.a0);
  if (static_cast<i32>(args.a1) < 0) {
    return -kEINVAL;
  }
  if (process == nullptr || (process != &self && process->parent != &self) || process->ended()) {
    return -kESRCH;
  }
  if (process->sid != self.sid || process->sid == process->pid) {
    return -kEPERM;
  }
  if (process != &self && process->executed) {
    return -kEACCES;
  }
  const i32 group = static_cast<i32>(args.a1) == 0 ? process->pid : static_cast<i32>(args.a1);
  if (group != process->pid) {
    if (!any_of_group(group, [&](const Process& other) { return other.sid == self.sid; })) {
      return -kEPERM;
    }
  }
  join_group(*process, group);
  return 0;
}

i64 sys_setsid(const SyscallArgs&) {
  Process& self = current_process();
  if (any_of_group(self.pid, [](const Process&) { return true; })) {
    return -kEPERM;
  }
  self.sid = self.pid;
  join_group(self, self.pid);
  self.terminal = nullptr;
  return self.pid;
}

i64 sys_set_tid_address(const SyscallArgs& args) {
  current().clear_child_tid = args.a0;
  return current().tid;
}

i64 sys_arch_prctl(const SyscallArgs& args) {
  constexpr u64 kSetGs = 0x1001, kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004, kGetCpuid = 0x1011,
                kSetCpuid = 0x1012;
  Thread& self = current();
  switch (args.a0 & 0xffff'ffff) {
    case kSetFs:
      if (args.a1 >= kUserRange.end.value()) {
        return -kEPERM;
      }
      self.fs_base = args.a1;
      arch::set_fs_base(args.a1);
      return 0;
    case kGetFs:
      self.fs_base = arch::fs_base();
      return arch::copy_to_user(Gva{args.a1}, &self.fs_base, sizeof(self.fs_base)) ? 0 : -kEFAULT;
    case kSetGs:
      if (args.a1 >= kUserRange.end.value()) {
        return -kEPERM;
      }
      return arch::set_gs_base(args.a1) ? 0 : not_built(args, "ARCH_SET_GS without FSGSBASE", -kEINVAL);
    case kGetGs: {
      const u64 base = arch::gs_base();
      return arch::copy_to_user(Gva{args.a1}, &base, sizeof base) ? 0 : -kEFAULT;
    }
    case kGetCpuid:
      return 1;  // it does not fault
    case kSetCpuid:
      return -kENODEV;  // and cannot be made to
    default:
      return not_built(args, "this code", -kEINVAL);
  }
}

}  // namespace nopte::guest
