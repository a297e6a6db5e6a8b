// Stopping and going on, all threads of a process together.
#include "guest-mm/kernel/process/stop.h"

#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait.h"

namespace nopte::guest {

u64 g_stopped_processes = 0;

namespace {

// It stopped, or goes on.
void tell_of_stop(const Process& process, i32 code, i32 signal) {
  Process& parent = *process.parent;
  if (((*parent.signals.actions)[kSIGCHLD].flags & kSaNocldstop) == 0) {
    send_signal(parent, kSIGCHLD, child_info(process, code, signal));
  }
  wake(parent.child_event);
}

// Whether its parent holds its group to the session.
bool ties_group(const Process& process) {
  // Whoever came to init for want of a parent does not count; the jobs of an init that is a shell do.
  const Process* const init = init_process();
  const Process* const parent = process.parent;
  return parent != nullptr && (parent != init || process.maker_tid == init->pid) &&
         parent->pgid != process.pgid && parent->sid == process.sid;
}

}  // namespace

bool orphaned_group(i32 pgid, const Process* without) {
  return !any_of_group(pgid, [&](const Process& process) {
    return &process != without && !process.ended() && process.parent != without && ties_group(process);
  });
}

void release_orphans(const Process& tie, const Process& leaving) {
  const i32 pgid = tie.pgid;
  if (!ties_group(tie) || !orphaned_group(pgid, &leaving)) {
    return;
  }
  if (any_of_group(pgid, [](const Process& process) { return process.stopped; })) {
    signal_group(pgid, kSIGHUP, SignalInfo{.code = kSiKernel});
    signal_group(pgid, kSIGCONT, SignalInfo{.code = kSiKernel});
  }
}

void report_stop(Process& process) {
  process.stopped = true;
  ++g_stopped_processes;
  process.stop_reported = false;
  process.continue_reported = true;
  if (!seen_by_tracer_alone(process)) tell_of_stop(process, kCldStopped, process.stop_signal());
}

bool begin_stop(i32 signal) {
  const Thread& self = current();
  Process& process = *self.process;
  if (&process == init_process() || process.ending != Ending::kNo) {
    return false;  // nobody could make it go on; it ends
  }
  process.set_stop_signal(signal);
  process.parked = parked_already(process);
  if (process.live_threads > 1) {
    process.for_each_thread([&](Thread& thread) {
      if (&thread != &self && thread.state != ThreadState::kEnded) {
        wake_for_signal(thread, signal);
      }
    });
  }
  return true;
}

void stop_process(i32 signal) {
  if (begin_stop(signal)) park_thread();
}

void count_as_parked(Process& process) {
  if (++process.parked == process.live_threads && !process.stopped) {
    report_stop(process);
  }
}

void park_thread() {
  Thread& self = current();
  count_as_parked(*self.process);
  self.state = ThreadState::kStopped;
  schedule();
  refresh_signals(self);
}

void note_continued(Process& process) {
  const bool was_stopped = forget_stop(process);
  process.set_stop_signal(0);
  process.parked = 0;
  process.for_each_thread([](Thread& thread) {
    if (thread.state == ThreadState::kStopped) {
      make_runnable(thread);
    }
  });
  if (was_stopped) {
    process.stop_reported = true;
    process.continue_reported = false;
    tell_of_stop(process, kCldContinued, kSIGCONT);
  }
}

}  // namespace nopte::guest
