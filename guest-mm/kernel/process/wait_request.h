// What wait4 and waitid ask for, and what they answer: between wait.cc and traced_wait.cc.
#pragma once

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

inline constexpr u64 kNoHang = 1, kStoppedToo = 2, kEnded = 4, kContinuedToo = 8, kLeaveIt = 0x100'0000,
                     kNoThread = 0x2000'0000, kAnyClone = 0x4000'0000, kCloneOnly = 0x8000'0000;

enum class Which { kAny, kPid, kGroup };

struct WaitRequest {
  Which which = Which::kAny;
  i32 id = 0;
  u64 options = 0;
  bool tells_spent = false;
};

// What happened to a child. pid 0: nothing yet (kNoHang).
struct ChildEvent {
  i32 pid = 0;
  i32 wait_status = 0;
  i32 code = 0;    // si_code
  i32 status = 0;  // si_status
  u32 uid = 0;
};

// What a child that has an event used, its children's with it.
struct ChildSpent {
  Spent spent{};
  u64 most_resident = 0;
  u64 faults = 0;
  bool as_self = false;
};

inline constexpr i32 kStoppedMark = 0x7f;

ChildSpent spent_with_children(const Process& child);

inline ChildEvent ended_event(const Process& child) {
  const i32 signal = child.exit_status & 0x7f;
  return {.pid = child.pid,
          .wait_status = child.exit_status,
          .code = code_of_end(child.exit_status),
          .status = signal != 0 ? signal : child.exit_status >> 8,
          .uid = identity_of(child.leader()).user.real};
}

// What those report that threads of the process trace: `event` is that of the first one that has any. Whether
// one may, or the process has children that ended and whom others trace still.
bool look_at_tracees(Process& self, const WaitRequest& request, ChildEvent& event, ChildSpent& spent);

}  // namespace nopte::guest
