// What waits hear of traced threads.
#include "guest-mm/kernel/process/tracee.h"
#include "guest-mm/kernel/process/wait_request.h"

namespace nopte::guest {

namespace {

// Of a tracee that ended and was no leader.
ChildEvent ended_event(const Tracee& tracee) {
  const i32 signal = tracee.status & 0x7f;
  return {.pid = tracee.tid,
          .wait_status = tracee.status,
          .code = code_of_end(tracee.status),
          .status = signal != 0 ? signal : tracee.status >> 8,
          .uid = tracee.uid};
}

bool has_event(const Tracee& tracee, const WaitRequest& request) {
  if (tracee.ended || tracee.held) return (request.options & kEnded) != 0;
  return tracee.thread()->state == ThreadState::kTraced && tracee.waitable && !tracee.listening;
}

// What a tracee has to report to its tracer, taken unless kLeaveIt. Precondition: has_event().
ChildEvent take_event(Tracee& tracee, const WaitRequest& request, ChildSpent& spent) {
  const bool leave = (request.options & kLeaveIt) != 0;
  if (tracee.ended || tracee.held) {
    const ChildEvent event = tracee.ended ? ended_event(tracee) : ended_event(*tracee.thread()->process);
    if (!leave) bury(tracee);
    return event;
  }
  const Thread& thread = *tracee.thread();
  tracee.waitable = leave;
  if (request.tells_spent) spent = spent_with_children(*thread.process);
  return {.pid = tracee.tid,
          .wait_status = tracee.code << 8 | kStoppedMark,
          .code = kCldTrapped,
          .status = tracee.code,
          .uid = identity_of(thread).user.real};
}

bool matches(const Tracee& tracee, const WaitRequest& request) {
  if (request.which == Which::kPid) return tracee.tid == request.id;
  const Thread* const thread = tracee.thread();
  return request.which == Which::kAny || (thread != nullptr && thread->process->pgid == request.id);
}

}  // namespace

bool look_at_tracees(Process& self, const WaitRequest& request, ChildEvent& event, ChildSpent& spent) {
  bool any = false;
  Tracee* found = nullptr;  // taken after the walk: that may free threads
  for_each_tracee([&](Tracee& tracee) {
    if (found != nullptr || !matches(tracee, request)) return;
    if (tracee.held && &parent_of_held(tracee) == &self) any = true;
    const Thread& tracer = *tracee.tracer_thread();
    if (tracer.process != &self || ((request.options & kNoThread) != 0 && &tracer != &current())) return;
    any = any || !tracee.ended || (request.options & kEnded) != 0;
    if (has_event(tracee, request)) found = &tracee;
  });
  if (found != nullptr) event = take_event(*found, request, spent);
  return any;
}

}  // namespace nopte::guest
