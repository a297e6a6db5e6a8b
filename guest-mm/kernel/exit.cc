// The end of a process, and stopping.
#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/futex.h"
#include "guest-mm/kernel/machine_end.h"
#include "guest-mm/kernel/process.h"
#include "guest-mm/kernel/process_space.h"
#include "guest-mm/kernel/robust_list.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/wait.h"
#include "pvops/base/panic.h"

namespace nopte::guest {

namespace {

i32 termination_signal(i32 wait_status) { return wait_status & 0x7f; }

// True when the parent does not want to hear of its children.
bool parent_ignores_children(const Process& parent) {
  const SignalAction& action = parent.signals.actions[kSIGCHLD - 1];
  return action.handler == SignalAction::kIgnore || (action.flags & kSaNocldwait) != 0;
}

void tell_parent(Process& process, i32 code, i32 status) {
  Process& parent = *process.parent;
  if (process.exit_signal != 0) {
    send_signal(parent, process.exit_signal,
                SignalInfo{.code = code, .pid = process.pid, .value = static_cast<u64>(status)});
  }
  wake(parent.child_event);
}

// Children go to init; those that ended already are its to collect.
void give_children_to_init(Process& process) {
  Process* init = init_process();
  bool ended = false;
  while (Process* child = process.first_child) {
    ended = ended || child->ended();
    child->exit_signal = kSIGCHLD;
    set_parent(*child, init);
  }
  if (ended) {
    send_signal(*init, kSIGCHLD, SignalInfo{.code = kCldExited, .pid = 0, .value = 0});
    wake(init->child_event);
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

void end_process(Process& process, i32 wait_status) {
  timer_stop(process.alarm);
  if (process.executable != nullptr) {
    std::exchange(process.executable, nullptr)->release();
  }
  give_children_to_init(process);
  process.wait_status = wait_status;
  const i32 signal = termination_signal(wait_status);
  process.unclaimed = parent_ignores_children(*process.parent) && process.exit_signal == kSIGCHLD;
  tell_parent(process, signal != 0 ? kCldKilled : kCldExited, signal != 0 ? signal : wait_status >> 8);
  if (process.unclaimed) {
    set_parent(process, nullptr);
    release_after_switch(process.leader());
  }
}

}  // namespace

void exit_process(i32 wait_status) {
  Thread& self = current();
  Process& process = *self.process;
  if (&process == init_process()) {
    const i32 signal = termination_signal(wait_status);
    end_machine(static_cast<u8>(signal != 0 ? 128 + signal : wait_status >> 8));
  }
  settle_words(self);
  finish_vfork(self);
  std::exchange(self.directories, nullptr)->release();
  std::exchange(self.files, nullptr)->release_table();
  end_space_later(std::exchange(self.space, nullptr));
  self.state = ThreadState::kEnded;
  --process.live_threads;
  end_process(process, wait_status);
  schedule();
  NOPTE_PANIC("an ended thread runs");
}

void stop_process(i32 signal) {
  Thread& self = current();
  Process& process = *self.process;
  if (&process == init_process()) {
    return;  // nobody could make it go on
  }
  constexpr i32 kStoppedMark = 0x7f;
  process.wait_status = signal << 8 | kStoppedMark;
  process.stopped = true;
  process.stop_reported = false;
  process.continue_reported = true;
  if ((process.parent->signals.actions[kSIGCHLD - 1].flags & kSaNocldstop) == 0) {
    tell_parent(process, kCldStopped, signal);
  } else {
    wake(process.parent->child_event);
  }
  self.state = ThreadState::kStopped;
  schedule();
}

void note_continued(Process& process) {
  process.stopped = false;
  process.stop_reported = true;
  process.continue_reported = false;
  make_runnable(process.leader());
  wake(process.parent->child_event);
}

i64 sys_exit(const SyscallArgs& args) { exit_process(static_cast<i32>(args.a0 & 0xff) << 8); }

i64 sys_exit_group(const SyscallArgs& args) { return sys_exit(args); }

}  // namespace nopte::guest
