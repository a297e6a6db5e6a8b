// The end of a process.
#include <cstring>
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/events/aio.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/futex/futex.h"
#include "guest-mm/kernel/ipc/sem.h"
#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/process_space.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/robust_list.h"
#include "guest-mm/kernel/process/stop.h"
#include "guest-mm/kernel/process/thread_group.h"
#include "guest-mm/kernel/process/wait.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_queue.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/posix_timers.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/tty/job_control.h"
#include "pvops/base/panic.h"

namespace nopte::guest {

namespace {

i32 termination_signal(i32 wait_status) { return wait_status & 0x7f; }

// True when the parent does not want to hear of its children.
bool parent_ignores_children(const Process& parent) {
  const SignalAction& action = (*parent.signals.actions)[kSIGCHLD];
  return action.handler == SignalAction::kIgnore || (action.flags & kSaNocldwait) != 0;
}

void tell_parent(Process& process, i32 code, i32 status) {
  Process& parent = *process.parent;
  if (process.exit_signal != 0 && process.exit_signal <= kSignals) {
    send_signal(parent, process.exit_signal, child_info(process, code, status));
  }
  wake(parent.child_event);
}

// Who takes the children of one that ends: the nearest above it that asked for them, or init.
Process& reaper_of(const Process& process) {
  Process* above = process.parent;
  while (above != nullptr && !above->child_subreaper) {
    above = above->parent;
  }
  return above != nullptr ? *above : *init_process();
}

// Those that ended already are its to collect.
void give_children_away(Process& process) {
  if (process.first_child == nullptr) {
    return;
  }
  Process& reaper = reaper_of(process);
  bool ended = false;
  while (Process* child = process.first_child) {
    ended = ended || child->ended();
    child->exit_signal = kSIGCHLD;
    set_parent(*child, &reaper);
    if (child->parent_death_signal != 0 && !child->ended()) {
      send_signal(*child, child->parent_death_signal,
                  SignalInfo{.code = kSiUser, .pid = process.pid, .uid = identity().user.real});
    }
  }
  if (ended) {
    send_signal(reaper, kSIGCHLD, SignalInfo{.code = kCldExited, .pid = 0, .value = 0});
    wake(reaper.child_event);
  }
}

}  // namespace

void finish_vfork(Thread& thread) {
  if (Thread* const parent = std::exchange(thread.vfork_parent, nullptr)) {
    parent->vfork_child = nullptr;
    wake(parent->vfork_event);
  }
}

namespace {

// Everything but what `self` is a part of ends on its way to user mode, or before its next sleep there.
void doom_others(const Thread& self, Process& process) {
  process.set_stop_signal(0);
  process.parked = 0;
  forget_stop(process);
  process.for_each_thread([&](Thread& thread) {
    if (&thread == &self || thread.state == ThreadState::kEnded) {
      return;
    }
    thread.signals.pending.set |= signal_bit(kSIGKILL);
    wake_for_signal(thread, kSIGKILL);
    if (thread.state >= ThreadState::kStopped) {
      make_runnable(thread);
    }
  });
}

// The last thread of it ended.
void end_process(Process& process) {
  if (process.timers != nullptr) [[unlikely]] {
    drop_timers(process);
  }
  if (process.aio_contexts != nullptr) [[unlikely]] {
    files::drop_aio_contexts(process);
  }
  if (process.signals.pending.queue != nullptr) [[unlikely]] {
    drop_pending(process.signals.pending, ~SignalSet{0});
  }
  timer_stop(process.alarm);
  if (process.semaphore_undos != nullptr) [[unlikely]] {
    ipc::undo_semaphores(process);
  }
  if (files::Inode* const executable = std::exchange(process.executable, nullptr); executable != nullptr) {
    --executable->running;
    executable->release();
  }
  if (process.pid == process.sid) [[unlikely]] {
    tty::leader_ended(process);
  }
  if (any_stopped()) [[unlikely]] {
    release_orphans(process, process);
    for (const Process* child = process.first_child; child != nullptr;) {
      const Process* const next = child->next_sibling;
      release_orphans(*child, process);
      child = next;
    }
  }
  give_children_away(process);
  if (files::ThreadWatch* const watch = process.leader().watch; watch != nullptr) [[unlikely]] {
    watch->ended();
    if (end_traced(process)) return;
  }
  const i32 signal = termination_signal(process.exit_status);
  process.unclaimed = parent_ignores_children(*process.parent) && process.exit_signal == kSIGCHLD;
  tell_parent(process, code_of_end(process.exit_status), signal != 0 ? signal : process.exit_status >> 8);
  if (process.unclaimed) {
    set_parent(process, nullptr);
  } else {
    note_ended(process);
  }
}

// The others go on without it.
void leave_process(Thread& self, Process& process) {
  retarget_signals(self, ~self.signals.blocked);
  wake(process.thread_ended);
  if (process.stop_signal() != 0 && !process.stopped && process.parked == process.live_threads) {
    report_stop(process);
  }
}

[[noreturn]] void end_machine_of(i32 status) {
  const i32 signal = termination_signal(status);
  end_machine(static_cast<u8>(signal != 0 ? 128 + signal : status >> 8));
}

}  // namespace

void doom_process(i32 wait_status) {
  const Thread& self = current();
  Process& process = *self.process;
  const bool dies_alone = process.ending == Ending::kExec && process.survivor != &self;
  if (process.ending == Ending::kExit || dies_alone) {
    return;
  }
  process.exit_status = wait_status;
  process.ending = Ending::kExit;
  if (process.live_threads > 1) {
    doom_others(self, process);
  }
}

void exit_process(i32 wait_status) {
  Process& process = current_process();
  if (process.live_threads == 1 && process.ending == Ending::kNo) {
    exit_thread(wait_status);
  }
  const bool was_doomed = process.ending == Ending::kExit;
  doom_process(wait_status);
  if (&process == init_process() && !was_doomed && process.ending == Ending::kExit) {
    end_machine_of(wait_status);
  }
  exit_thread(wait_status);
}

void exit_thread(i32 wait_status) {
  Thread& self = current();
  Process& process = *self.process;
  const bool leads = &self == &process.leader();
  // As Linux since 5.19: the last one's word counts, unless all were told to end.
  if (process.live_threads == 1 && process.ending != Ending::kExit) {
    process.exit_status = wait_status;
  }
  if (&process == init_process() && process.live_threads == 1) {
    end_machine_of(process.exit_status);
  }
  settle_words(self);
  if (self.signals.pending.queue != nullptr) [[unlikely]] {
    drop_pending(self.signals.pending, ~SignalSet{0});
  }
  if (process.live_threads == 1) note_left(process, *self.space);
  finish_vfork(self);
  std::exchange(self.directories, nullptr)->release();
  std::exchange(self.files, nullptr)->release_table();
  end_space_later(std::exchange(self.space, nullptr));
  self.state = ThreadState::kEnded;
  if (self.watch != nullptr) [[unlikely]] {
    self.watch->ended();
    end_tracing(self, wait_status);
  }
  if (--process.live_threads == 0) {
    end_process(process);
  } else {
    leave_process(self, process);
  }
  if (!leads || process.unclaimed) {
    release_after_switch(self);
  }
  schedule();
  NOPTE_PANIC("an ended thread runs");
}

bool end_other_threads() {
  Thread& self = current();
  Process& process = *self.process;
  if (process.ending != Ending::kNo) {
    return false;
  }
  process.ending = Ending::kExec;
  process.survivor = &self;
  doom_others(self, process);
  while (process.live_threads > 1) {
    if (block_on_killable(process.thread_ended) == WakeReason::kSignal) {
      return false;  // what killed the process ends this thread, too, and finds it the survivor
    }
  }
  process.ending = Ending::kNo;
  return true;
}

void go_on_as_leader(void (*entry)(void*)) {
  Thread& self = current();
  Thread& leader = self.process->leader();
  leader.space = std::exchange(self.space, nullptr);
  leader.files = std::exchange(self.files, nullptr);
  leader.directories = std::exchange(self.directories, nullptr);
  *leader.registers = *self.registers;
  std::memcpy(leader.comm, self.comm, sizeof(leader.comm));
  drop_pending(leader.signals.pending, ~SignalSet{0});
  move_pending(leader.signals.pending, self.signals.pending);
  leader.signals.blocked = self.signals.blocked;
  leader.signals.saved_blocked = self.signals.saved_blocked;
  leader.signals.restore_saved = self.signals.restore_saved;
  trace_leader_instead(self, leader);
  std::swap(leader.credentials, self.credentials);
  leader.scheduling = self.scheduling;
  leader.personality = self.personality;
  leader.fs_base = 0;
  leader.set_child_tid = leader.clear_child_tid = leader.robust_list = 0;
  leader.rseq = {};
  leader.restart = {};
  leader.system_ns = spent_when_off(leader).system_ns;  // the call that ended it
  leader.call_began_ns = Thread::kOutsideCalls;
  arch::init_fpu(leader.fpu);
  arch::prepare_context(leader.context, leader.stack_top, entry, &leader);
  leader.state = ThreadState::kSleeping;
  refresh_signals(leader);
  make_runnable(leader);
  self.state = ThreadState::kEnded;
  release_after_switch(self);
  schedule();
  NOPTE_PANIC("an ended thread runs");
}

void tell_parent_of_end(Process& process) {
  const i32 signal = termination_signal(process.exit_status);
  tell_parent(process, code_of_end(process.exit_status), signal != 0 ? signal : process.exit_status >> 8);
}

i64 sys_exit(const SyscallArgs& args) { exit_thread(static_cast<i32>(args.a0 & 0xff) << 8); }

i64 sys_exit_group(const SyscallArgs& args) { exit_process(static_cast<i32>(args.a0 & 0xff) << 8); }

}  // namespace nopte::guest
