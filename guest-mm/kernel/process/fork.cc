// New processes and threads: fork, vfork, clone and clone3.
#include <cstring>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/files/user_memory.h"
#include "guest-mm/kernel/process/clone_request.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/rights/user_share.h"
#include "guest-mm/kernel/schedule/scheduling.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/system/refusals.h"
#include "guest-mm/kernel/time/posix_timers.h"
#include "guest-mm/kernel/time/real_time_limit.h"

namespace nopte::guest {

namespace {

// Those of these functions that are always inlined are a part of two clones: see there.

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

[[gnu::always_inline]] inline Result<void> give_space(Thread& child, Thread& parent, u64 flags) {
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

// Each half shared or copied; two copies are one. After an error what the child has, it holds.
[[gnu::always_inline]] inline Result<void> give_files(Thread& child, Thread& parent, u64 flags) {
  const bool same_table = (flags & kCloneFiles) != 0;
  const bool same_directories = (flags & kCloneFs) != 0;
  if (same_table) {
    parent.files->retain_table();
    child.files = parent.files;
  } else {
    child.files = parent.files->clone(*parent.directories).detach();
  }
  if (same_directories) {
    child.directories = parent.directories;
  } else {
    child.directories = same_table ? parent.directories->clone_directories().detach() : child.files;
  }
  if (child.directories != nullptr && (same_directories || !same_table)) {
    child.directories->retain();
  }
  return child.files != nullptr && child.directories != nullptr ? Result<void>{} : Fail(Status::kNoMemory);
}

[[gnu::always_inline]] inline void copy_thread(Thread& child, const Thread& parent,
                                               const CloneRequest& request) {
  *child.registers = *parent.registers;
  child.registers->rax = 0;
  if (request.stack != 0) {
    child.registers->rsp = request.stack;
  }
  child.fs_base = (request.flags & kCloneSettls) != 0 ? request.tls : arch::fs_base();
  arch::save_fpu(child.fpu);
  std::memcpy(child.comm, parent.comm, sizeof(child.comm));
  child.scheduling = parent.scheduling;
  if (parent.scheduling.reset_on_fork) [[unlikely]] {
    reset_scheduling(child);
  }
  child.memory_policy = parent.memory_policy;
  child.personality = parent.personality;
  child.machine_check_kill = parent.machine_check_kill;
  child.timer_slack_ns = child.usual_timer_slack_ns = parent.timer_slack_ns;
  child.signals.blocked = parent.signals.blocked;
  if ((request.flags & kCloneVm) == 0) {
    child.rseq = parent.rseq;
  }
  if ((request.flags & kCloneVm) == 0 || (request.flags & kCloneVfork) != 0) {
    child.signals.alternate = parent.signals.alternate;
  }
  child.set_child_tid = (request.flags & kCloneChildSettid) != 0 ? request.child_tid : 0;
  child.clear_child_tid = (request.flags & kCloneChildCleartid) != 0 ? request.child_tid : 0;
}

[[gnu::always_inline]] inline Result<void> give_actions(Process& child, Process& parent, u64 flags) {
  if ((flags & kCloneSighand) != 0) {
    return share_signal_actions(child, parent);
  }
  child.signals.own = *parent.signals.actions;
  if ((flags & kCloneClearSighand) != 0) {
    clear_signal_handlers(child);
  }
  return {};
}

[[gnu::always_inline]] inline Result<void> give_limits(Process& child, const Process& parent) {
  if (child.limits != parent.limits) {
    parent.limits->retain();
    std::exchange(child.limits, parent.limits)->release();
  }
  const u64 seconds = child.limits->of(Resource::kProcessorSeconds).now;
  const u64 in_real_time = child.limits->of(Resource::kRealTimeMicroseconds).now;
  static_assert(kUnlimited == ~u64{0});
  if ((seconds & in_real_time) != kUnlimited) [[unlikely]] {
    if (!prepare_cpu_limit(child, seconds) || !prepare_real_time_limit(child, in_real_time))
      return Fail(Status::kNoMemory);
    follow_cpu_limit(child);
    follow_real_time_limit(child);
  }
  return {};
}

[[gnu::always_inline]] inline void copy_process(Process& child, Process& parent,
                                                const CloneRequest& request) {
  join_group(child, parent.pgid);
  child.sid = parent.sid;
  child.terminal = parent.terminal;
  child.initial_stack = parent.initial_stack;
  child.executable = parent.executable;
  if (child.executable != nullptr) {
    child.executable->retain();
    ++child.executable->running;
  }
  child.barriers = parent.barriers;
  child.dumpable = parent.dumpable;
  child.io_flusher = parent.io_flusher;
  child.merges_memory = parent.merges_memory;
  child.oom_score_adj = parent.oom_score_adj;
  child.core_filter = parent.core_filter;
  child.inherited_pages = current().space->pages();
  child.maker_tid = current().tid;
  if ((request.flags & kCloneParent) != 0) {
    child.exit_signal = parent.exit_signal;
    set_parent(child, parent.parent);
  } else {
    child.exit_signal = request.exit_signal;
    set_parent(child, &parent);
  }
}

// Until the child execs or exits; earlier only when this thread is killed: false.
[[gnu::always_inline]] inline bool await_vfork_child(Thread& parent) {
  while (parent.vfork_child != nullptr) {
    if (block_on_killable(parent.vfork_event) == WakeReason::kSignal && parent.vfork_child != nullptr) {
      std::exchange(parent.vfork_child, nullptr)->vfork_parent = nullptr;
      return false;
    }
  }
  return true;
}

void wait_for_vfork_child(Thread& parent, Thread& child) {
  parent.vfork_child = &child;
  child.vfork_parent = &parent;
  (void)await_vfork_child(parent);
}

// CLONE_PIDFD: a descriptor of the child, in the parent's table. Its number, or a negative errno.
i64 give_pidfd(Thread& child, Thread& parent, const CloneRequest& request) {
  const bool of_thread = (request.flags & kCloneThread) != 0;
  Ref<files::File> file =
      files::make_pidfd(child, of_thread ? files::Pidfd::Of::kThread : files::Pidfd::Of::kProcess, 0);
  if (!file) {
    return -kENOMEM;
  }
  files::FileTable& table = parent.files->table;
  const i64 descriptor = table.insert(std::move(file), files::CloseOnExec::kYes);
  if (descriptor < 0) {
    return descriptor;
  }
  if (const i64 error = files::put_user(request.pidfd, static_cast<i32>(descriptor)); error != 0) {
    table.close(static_cast<u64>(descriptor));
    return error;
  }
  return descriptor;
}

[[gnu::always_inline]] inline Result<Thread*> create(const CloneRequest& request) {
  if ((request.flags & kCloneThread) != 0) {
    return create_thread(request.wanted_tid);
  }
  const Result<Process*> process = create_process(request.wanted_tid);
  return process ? Result<Thread*>(&(*process)->leader()) : Fail(process.error());
}

// What create() made and the rest could not be given to.
void discard(Thread& child) {
  if (child.files != nullptr) {
    std::exchange(child.files, nullptr)->release_table();
  }
  if (child.directories != nullptr) {
    std::exchange(child.directories, nullptr)->release();
  }
  if (child.process == nullptr) {
    release_thread(child);
  } else {
    drop_timers(*child.process);
    drop_real_time_limit(*child.process);
    release_process(*child.process);
  }
}

// Twice, so that who is not traced pays nothing.
template <bool kOfTraced = false>
i64 clone(const SyscallArgs& args, const CloneRequest& request) {
  const u64 flags = request.flags;
  Thread& parent = current();
  Process& group = *parent.process;
  if ((flags & ~kCloneSimple) != 0) {
    if (const i64 error = check_clone_request(request, &group == init_process()); error != 0) {
      return (flags & kCloneNamespaces) != 0 ? not_built(args, "namespaces", error) : error;
    }
  }
  if (!has_room_for_thread(group)) {
    return -kEAGAIN;
  }
  parent.too_many_processes = false;
  const Result<Thread*> created = create(request);
  if (!created) {
    return to_errno(created.error());
  }
  Thread& child = **created;
  Result<void> given = give_files(child, parent, flags);
  if (given && child.process != nullptr) {
    given = give_actions(*child.process, group, flags);
    if (given) given = give_limits(*child.process, group);
  }
  if (given) {
    given = give_space(child, parent, flags);
  }
  if (!given) {
    discard(child);
    return to_errno(given.error());
  }
  if ((flags & kClonePidfd) != 0) [[unlikely]] {
    if (const i64 pidfd = give_pidfd(child, parent, request); pidfd < 0) {
      std::exchange(child.space, nullptr)->release();
      discard(child);
      return pidfd;
    }
  }
  copy_thread(child, parent, request);
  if (child.process == nullptr) {
    join_process(child, group);
    refresh_signals(child);
  } else {
    copy_process(*child.process, group, request);
  }
  const i32 tid = child.tid;
  if ((flags & kCloneParentSettid) != 0) {
    (void)arch::copy_to_user(Gva{request.parent_tid}, &tid, sizeof(tid));
  }
  arch::prepare_context(child.context, child.stack_top, child_starts, &child);
  child.state = ThreadState::kSleeping;
  if constexpr (kOfTraced) {
    const i32 event = trace_child(child, request);
    make_runnable(child);
    const bool waits = (flags & kCloneVfork) != 0;
    if (waits) {
      parent.vfork_child = &child;
      child.vfork_parent = &parent;
    }
    trace_clone(event, tid);
    if (waits && await_vfork_child(parent)) trace_vfork_done(tid);
    return tid;
  }
  make_runnable(child);
  if ((flags & kCloneVfork) != 0) {
    wait_for_vfork_child(parent, child);
  }
  return tid;
}

}  // namespace

namespace {
constexpr CloneRequest kFork{.exit_signal = kSIGCHLD},
    kVfork{.flags = kCloneVm | kCloneVfork, .exit_signal = kSIGCHLD};
}  // namespace

i64 sys_fork(const SyscallArgs& args) { return clone(args, kFork); }

i64 sys_vfork(const SyscallArgs& args) { return clone(args, kVfork); }

i64 sys_clone(const SyscallArgs& args) { return clone(args, clone_request(args)); }

i64 sys_clone3(const SyscallArgs& args) {
  CloneRequest request;
  const i64 error = load_clone_request(args, request);
  return error != 0 ? error : clone(args, request);
}

SyscallHandler clone_of_traced(u64 number) {
  constexpr u64 kCloneCall = 56, kForkCall = 57, kVforkCall = 58, kClone3Call = 435;
  switch (number) {
    case kCloneCall:
      return [](const SyscallArgs& args) { return clone<true>(args, clone_request(args)); };
    case kForkCall:
      return [](const SyscallArgs& args) { return clone<true>(args, kFork); };
    case kVforkCall:
      return [](const SyscallArgs& args) { return clone<true>(args, kVfork); };
    case kClone3Call:
      return [](const SyscallArgs& args) {
        CloneRequest request;
        const i64 error = load_clone_request(args, request);
        return error != 0 ? error : clone<true>(args, request);
      };
    default:
      return nullptr;
  }
}

// unshare(2): what threads and processes share here. Threads of one process keep their memory and signals
// together.
i64 sys_unshare(const SyscallArgs& args) {
  constexpr u64 kHere = kCloneFiles | kCloneFs | kCloneSysvsem | kCloneThread | kCloneSighand | kCloneVm;
  const u64 flags = args.a0;
  Thread& self = current();
  if ((flags & ~(kHere | kCloneNamespaces)) != 0) {
    return -kEINVAL;
  }
  if ((flags & (kCloneThread | kCloneSighand | kCloneVm)) != 0 && self.process->live_threads > 1) {
    return -kEINVAL;
  }
  // As Linux, memory and signals that others share are not copied for one who asks for it.
  if (((flags & kCloneVm) != 0 && self.space->shared()) ||
      ((flags & (kCloneSighand | kCloneVm)) != 0 && self.process->signals.shared != nullptr)) {
    return -kEINVAL;
  }
  // There is one of each namespace; only a user's own would need no rights.
  if ((flags & kCloneNamespaces) != 0) {
    constexpr u64 kUsers = 0x1000'0000;
    return not_built(args, "namespaces",
                     (flags & kUsers) == 0 && !capable(Capability::kSysAdmin) ? -kEPERM : -kEINVAL);
  }
  Ref<files::ProcessFiles> table;
  Ref<files::ProcessFiles> directories;
  if ((flags & kCloneFiles) != 0 && self.files->table_shared()) {
    table = self.files->clone(*self.directories);
    if (!table) return -kENOMEM;
  }
  if ((flags & kCloneFs) != 0) {
    directories = self.directories->clone_directories();
    if (!directories) return -kENOMEM;
  }
  if (table) {
    std::exchange(self.files, table.detach())->release_table();
  }
  if (directories) {
    std::exchange(self.directories, directories.detach())->release();
  }
  return 0;
}

}  // namespace nopte::guest
