// New processes: fork, vfork and clone as C libraries use it for fork, vfork, system, popen and posix_spawn.
#include <cstring>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/syscall.h"

namespace nopte::guest {

namespace {

constexpr u64 kExitSignalMask = 0xff;
constexpr u64 kCloneVm = 0x100, kCloneFs = 0x200, kCloneFiles = 0x400, kCloneVfork = 0x4000,
              kCloneSettls = 0x8'0000, kCloneParentSettid = 0x10'0000, kCloneChildCleartid = 0x20'0000,
              kCloneDetached = 0x40'0000, kCloneChildSettid = 0x100'0000;
constexpr u64 kSupported = kExitSignalMask | kCloneVm | kCloneFs | kCloneFiles | kCloneVfork | kCloneSettls |
                           kCloneParentSettid | kCloneChildCleartid | kCloneDetached | kCloneChildSettid;

struct CloneRequest {
  u64 flags = 0;
  u64 stack = 0;  // 0: the parent's
  u64 parent_tid = 0;
  u64 child_tid = 0;
  u64 tls = 0;
};

// The child's first steps. The word that the parent wanted written lies in the child's memory, so that only
// now, with its space active, it can be.
void child_starts(void* argument) {
  auto& self = *static_cast<Thread*>(argument);
  finish_switch();
  if (self.set_child_tid != 0) {
    // As Linux: a bad address is the program's affair.
    (void)arch::copy_to_user(Gva{std::exchange(self.set_child_tid, 0)}, &self.tid, sizeof(self.tid));
  }
  leave_kernel(*self.registers);
  arch::return_to_user(*self.registers);
}

Result<void> give_space(Thread& child, Thread& parent, u64 flags) {
  if ((flags & kCloneVm) != 0) {
    parent.space->retain();
    child.space = parent.space;
    return {};
  }
  Result<Ref<AddressSpace>> space = parent.space->clone();
  if (!space) {
    return Fail(space.error());
  }
  child.space = space->detach();
  return {};
}

Result<void> give_files(Thread& child, Thread& parent, u64 flags) {
  if ((flags & kCloneFiles) != 0) {
    parent.files->retain_table();
    child.files = parent.files;
    parent.directories->retain();
    child.directories = parent.directories;
    return {};
  }
  child.files = parent.files->clone().detach();
  if (child.files == nullptr) {
    return Fail(Status::kNoMemory);
  }
  child.files->retain();
  child.directories = child.files;
  return {};
}

void copy_state(Thread& child, const Thread& parent, const CloneRequest& request) {
  *child.registers = *parent.registers;
  child.registers->rax = 0;
  if (request.stack != 0) {
    child.registers->rsp = request.stack;
  }
  child.fs_base = (request.flags & kCloneSettls) != 0 ? request.tls : arch::fs_base();
  arch::save_fpu(child.fpu);
  std::memcpy(child.comm, parent.comm, sizeof(child.comm));
  child.signals.blocked = parent.signals.blocked;
  if ((request.flags & kCloneVm) == 0 || (request.flags & kCloneVfork) != 0) {
    child.signals.alternate = parent.signals.alternate;
  }
  child.set_child_tid = (request.flags & kCloneChildSettid) != 0 ? request.child_tid : 0;
  child.clear_child_tid = (request.flags & kCloneChildCleartid) != 0 ? request.child_tid : 0;
}

void copy_process(Process& child, const Process& parent, const CloneRequest& request) {
  child.pgid = parent.pgid;
  child.sid = parent.sid;
  child.initial_stack = parent.initial_stack;
  child.executable = parent.executable;
  if (child.executable != nullptr) {
    child.executable->retain();
  }
  std::memcpy(child.signals.actions, parent.signals.actions, sizeof(child.signals.actions));
  child.exit_signal = static_cast<i32>(request.flags & kExitSignalMask);
}

// Until the child execs or exits; earlier only when this process is killed.
void wait_for_vfork_child(Thread& parent, Thread& child) {
  parent.vfork_child = &child;
  child.vfork_parent = &parent;
  while (parent.vfork_child != nullptr) {
    if (block_on_killable(parent.vfork_event) == WakeReason::kSignal && parent.vfork_child != nullptr) {
      parent.vfork_child = nullptr;
      child.vfork_parent = nullptr;
      return;
    }
  }
}

i64 clone_process(const CloneRequest& request) {
  const u64 flags = request.flags;
  const u64 exit_signal = flags & kExitSignalMask;
  // Directory and descriptors are shared both or neither.
  if ((flags & ~kSupported) != 0 || exit_signal > kSignals ||
      ((flags & kCloneFs) != 0) != ((flags & kCloneFiles) != 0)) {
    return -kEINVAL;
  }
  if ((flags & kCloneSettls) != 0 && request.tls >= kUserRange.end.value()) {
    return -kEPERM;
  }
  Thread& parent = current();
  const Result<Process*> created = create_process();
  if (!created) {
    return to_errno(created.error());
  }
  Process& process = **created;
  Thread& child = process.leader();
  Result<void> given = give_files(child, parent, flags);
  if (given) {
    given = give_space(child, parent, flags);
  }
  if (!given) {
    if (child.files != nullptr) {
      std::exchange(child.files, nullptr)->release_table();
      std::exchange(child.directories, nullptr)->release();
    }
    release_process(process);
    return to_errno(given.error());
  }
  copy_state(child, parent, request);
  copy_process(process, *parent.process, request);
  set_parent(process, parent.process);
  const i32 pid = process.pid;
  if ((flags & kCloneParentSettid) != 0) {
    (void)arch::copy_to_user(Gva{request.parent_tid}, &pid, sizeof(pid));
  }
  arch::prepare_context(child.context, child.stack_top, child_starts, &child);
  child.state = ThreadState::kSleeping;
  make_runnable(child);
  if ((flags & kCloneVfork) != 0) {
    wait_for_vfork_child(parent, child);
  }
  return pid;
}

}  // namespace

i64 sys_fork(const SyscallArgs&) { return clone_process({.flags = kSIGCHLD}); }

i64 sys_vfork(const SyscallArgs&) { return clone_process({.flags = kCloneVm | kCloneVfork | kSIGCHLD}); }

i64 sys_clone(const SyscallArgs& args) {
  return clone_process(
      {.flags = args.a0, .stack = args.a1, .parent_tid = args.a2, .child_tid = args.a3, .tls = args.a4});
}

}  // namespace nopte::guest
