// wait4 and waitid.
#include "guest-mm/kernel/process/wait.h"

#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/events/pidfd.h"
#include "guest-mm/kernel/files/files.h"
#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/process/process_groups.h"
#include "guest-mm/kernel/process/ptrace.h"
#include "guest-mm/kernel/process/wait_request.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/signals/signal_frame.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/rusage.h"

namespace nopte::guest {

namespace {

// Whether the child may ever have an event that is asked for: one that ended has no other to come.
bool may_report(const Process& child, u64 options) { return !child.ended() || (options & kEnded) != 0; }

// The thread of the running process that made the child or, once it ended, one that is there still.
const Thread& maker_of(const Process& child) {
  const Thread* const maker = find_thread(child.maker_tid);
  if (maker != nullptr && maker->process == child.parent && maker->state != ThreadState::kEnded) {
    return *maker;
  }
  const Thread* first = nullptr;
  child.parent->for_each_thread(
      [&](const Thread& thread) { first = thread.state != ThreadState::kEnded ? &thread : first; });
  return *first;
}

[[gnu::always_inline]] inline bool matches(const Process& child, const WaitRequest& request) {
  if ((request.options & kNoThread) != 0 && &maker_of(child) != &current()) [[unlikely]] {
    return false;
  }
  const bool clone = child.exit_signal != kSIGCHLD;
  if ((request.options & kAnyClone) == 0 && clone != ((request.options & kCloneOnly) != 0)) {
    return false;
  }
  switch (request.which) {
    case Which::kAny:
    case Which::kPid:  // found by it
      return true;
    case Which::kGroup:
      return child.pgid == request.id;
  }
  return false;
}

// The child, which ended, becomes one that was waited for.
void take_over_spent(Process& self, const Process& child) {
  self.of_children += spent_when_off(child.leader());
  if ((child.of_ended.cpu_ns | child.of_children.cpu_ns) != 0) {
    self.of_children += child.of_ended;
    self.of_children += child.of_children;
  }
  self.children_faults += faults_known(child) + child.children_faults;
  self.children_most_resident =
      std::max({self.children_most_resident, child.most_resident, child.children_most_resident});
  self.children_as_self = self.children_as_self || child.as_its_maker;
}

// The event that the child has to report, taken unless kLeaveIt. pid 0: none. Precondition: may_report().
[[gnu::always_inline]] inline ChildEvent take_event(Process& child, const WaitRequest& request,
                                                    ChildSpent& spent) {
  const u64 options = request.options;
  const bool leave = (options & kLeaveIt) != 0;
  if (child.ended()) {
    const ChildEvent event = ended_event(child);
    if (request.tells_spent) spent = spent_with_children(child);
    if (!leave) {
      take_over_spent(current_process(), child);
      release_process(child);
    }
    return event;
  }
  if ((options & kStoppedToo) != 0 && child.stopped && !child.stop_reported) {
    child.stop_reported = !leave;
    if (request.tells_spent) spent = spent_with_children(child);
    return {.pid = child.pid,
            .wait_status = child.stop_signal() << 8 | kStoppedMark,
            .code = kCldStopped,
            .status = child.stop_signal(),
            .uid = identity_of(child.leader()).user.real};
  }
  if ((options & kContinuedToo) != 0 && !child.continue_reported) {
    child.continue_reported = !leave;
    if (request.tells_spent) spent = spent_with_children(child);
    constexpr i32 kContinuedStatus = 0xffff;
    return {.pid = child.pid,
            .wait_status = kContinuedStatus,
            .code = kCldContinued,
            .status = kSIGCONT,
            .uid = identity_of(child.leader()).user.real};
  }
  return {};
}

Process* first_to_ask(Process& self, const WaitRequest& request) {
  if (request.which != Which::kPid) {
    return self.first_child;
  }
  Process* const child = find_process(request.id);
  return child != nullptr && child->parent == &self ? child : nullptr;
}

// The options with which a wait looks at each child: at those that live for what they report besides their
// end, and as long as anybody is traced (look_for_tracees).
constexpr u64 kOfTheLiving = kStoppedToo | kContinuedToo;
constinit u64 g_thorough_waits = kOfTheLiving;

// look_for_event() that looks at everybody. Of its children that a process traces itself it hears no stops
// but those that tracees report.
[[gnu::noinline]] bool look_for_any_event(Process& self, const WaitRequest& request, ChildEvent& event,
                                          ChildSpent& spent) {
  bool any = false;
  for (Process* child = first_to_ask(self, request); child != nullptr && event.pid == 0;) {
    Process* const next = request.which == Which::kPid ? nullptr : child->next_sibling;
    if (matches(*child, request) && may_report(*child, request.options)) {
      any = true;
      WaitRequest asked = request;
      if (!child->ended() && seen_by_tracer_alone(*child)) asked.options &= ~kStoppedToo;
      event = take_event(*child, asked, spent);
    }
    child = next;
  }
  if (event.pid == 0 && g_thorough_waits != kOfTheLiving) {
    any = look_at_tracees(self, request, event, spent) || any;
  }
  return any;
}

// Whether a child may have an event that is asked for; `event` is that of the first one that has. Of those
// that live one is enough where only ends are asked for, and a group knows whether it has one.
bool look_for_event(Process& self, const WaitRequest& request, ChildEvent& event, ChildSpent& spent) {
  if ((request.options & g_thorough_waits) != 0) [[unlikely]]
    return look_for_any_event(self, request, event, spent);
  bool any = false;
  for (Process* child = first_to_ask(self, request); child != nullptr;) {
    Process* const next = request.which == Which::kPid ? nullptr : child->next_sibling;
    if (matches(*child, request) && may_report(*child, request.options)) {
      any = true;
      event = take_event(*child, request, spent);
      if (event.pid != 0) {
        break;
      }
    }
    if (next == nullptr || !next->ended()) {
      if (request.which == Which::kGroup && !any) {
        any = any_of_group(request.id, [&](const Process& member) {
          return member.parent == &self && matches(member, request) && may_report(member, request.options);
        });
      }
      if (any || request.which == Which::kGroup) {
        break;
      }
    }
    child = next;
  }
  return any;
}

// 0 and *event, or a negative errno.
i64 wait_for_child(const WaitRequest& request, ChildEvent& event, ChildSpent& spent) {
  Process& self = current_process();
  for (;;) {
    const bool any = look_for_event(self, request, event, spent);
    if (event.pid != 0) {
      return 0;
    }
    if (!any) {
      return -kECHILD;
    }
    if ((request.options & kNoHang) != 0) {
      return 0;
    }
    if (block_on(self.child_event) == WakeReason::kSignal) {
      // As Linux: a child that ended, or a stop, comes before the signal that tells of it.
      (void)look_for_any_event(self, request, event, spent);
      return event.pid != 0 ? 0 : -kERESTARTSYS;
    }
  }
}

// P_PIDFD: the process that the descriptor means.
i64 take_pidfd(i32 descriptor, WaitRequest& request) {
  if (descriptor < 0) {
    return -kEINVAL;
  }
  files::File* const file = files::current_files().table.get(static_cast<u32>(descriptor));
  const files::Pidfd* const pidfd = file != nullptr ? file->as_pidfd() : nullptr;
  if (pidfd == nullptr) {
    return -kEBADF;
  }
  request.which = Which::kPid;
  request.id = pidfd->thread() != nullptr ? pidfd->thread()->tid : 0;
  request.options |= pidfd->non_blocking() ? kNoHang : 0;
  return 0;
}

i64 write_rusage(u64 address, const ChildSpent& child) {
  if (address == 0) {
    return 0;
  }
  const Rusage usage = rusage_of(
      child.spent, most_of_children(current_process(), child.most_resident, child.as_self), child.faults);
  return arch::copy_to_user(Gva{address}, &usage, sizeof(usage)) ? 0 : -kEFAULT;
}

}  // namespace

ChildSpent spent_with_children(const Process& child) {
  ChildSpent all{.spent = spent_by(child),
                 .most_resident = std::max(child.most_resident, child.children_most_resident),
                 .faults = faults_known(child) + child.children_faults,
                 .as_self = child.as_its_maker};
  all.spent += child.of_children;
  return all;
}

void look_for_tracees(bool look) { g_thorough_waits = look ? ~u64{0} : kOfTheLiving; }

i64 sys_wait4(const SyscallArgs& args) {
  constexpr u64 kKnown = kNoHang | kStoppedToo | kContinuedToo | kNoThread | kAnyClone | kCloneOnly;
  const auto pid = static_cast<i32>(args.a0);
  const u64 options = args.a2 & 0xffff'ffff;
  if ((options & ~kKnown) != 0) {
    return -kEINVAL;
  }
  WaitRequest request{.options = options | kEnded};
  if (pid > 0) {
    request.which = Which::kPid;
    request.id = pid;
  } else if (pid == 0) {
    request.which = Which::kGroup;
    request.id = current_process().pgid;
  } else if (pid == INT32_MIN) {
    return -kESRCH;
  } else if (pid < -1) {
    request.which = Which::kGroup;
    request.id = -pid;
  }
  if (args.a3 != 0) split_processor_time();
  request.tells_spent = args.a3 != 0;
  ChildEvent event;
  ChildSpent spent;
  if (const i64 error = wait_for_child(request, event, spent); error != 0) {
    return error;
  }
  if (event.pid != 0) {
    if (args.a1 != 0 && !arch::copy_to_user(Gva{args.a1}, &event.wait_status, sizeof(event.wait_status))) {
      return -kEFAULT;
    }
    if (const i64 error = write_rusage(args.a3, spent); error != 0) {
      return error;
    }
  }
  return event.pid;
}

i64 sys_waitid(const SyscallArgs& args) {
  constexpr u64 kKnown =
      kNoHang | kStoppedToo | kEnded | kContinuedToo | kLeaveIt | kNoThread | kAnyClone | kCloneOnly;
  constexpr u64 kPAll = 0, kPPid = 1, kPPgid = 2, kPPidfd = 3;
  const u64 options = args.a3 & 0xffff'ffff;
  const auto id = static_cast<i32>(args.a1);
  if ((options & ~kKnown) != 0 || (options & (kEnded | kStoppedToo | kContinuedToo)) == 0) {
    return -kEINVAL;
  }
  WaitRequest request{.options = options};
  switch (args.a0 & 0xffff'ffff) {
    case kPAll:
      break;
    case kPPid:
      if (id <= 0) {
        return -kEINVAL;
      }
      request.which = Which::kPid;
      request.id = id;
      break;
    case kPPgid:
      if (id < 0) {
        return -kEINVAL;
      }
      request.which = Which::kGroup;
      request.id = id == 0 ? current_process().pgid : id;
      break;
    case kPPidfd:
      if (const i64 error = take_pidfd(id, request); error != 0) {
        return error;
      }
      break;
    default:
      return -kEINVAL;
  }
  if (args.a4 != 0) split_processor_time();
  request.tells_spent = args.a4 != 0;
  ChildEvent event;
  ChildSpent spent;
  if (const i64 error = wait_for_child(request, event, spent); error != 0) {
    return error;
  }
  if (event.pid == 0 && (options & kNoHang) == 0) {
    return -kEAGAIN;  // the descriptor does not block
  }
  if (const i64 error = event.pid != 0 ? write_rusage(args.a4, spent) : 0; error != 0) {
    return error;
  }
  if (args.a2 != 0) {
    UserSigInfo info;
    if (event.pid != 0) {
      info.signal = kSIGCHLD;
      info.code = event.code;
      info.from.pid = event.pid;
      info.from.uid = event.uid;
      info.from.status = event.status;
    }
    if (!arch::copy_to_user(Gva{args.a2}, &info, sizeof(info))) {
      return -kEFAULT;
    }
  }
  return 0;
}

}  // namespace nopte::guest
