// Stopping as a group, for those who end: what they count in it, and whom they leave stopped.
#pragma once

#include "guest-mm/kernel/process/process.h"
#include "guest-mm/kernel/rights/credentials.h"

namespace nopte::guest {

extern u64 g_stopped_processes;  // stop.cc
inline bool any_stopped() { return g_stopped_processes != 0; }

// All threads of it have stopped.
void report_stop(Process& process);
// It is stopped no more. Whether it was.
inline bool forget_stop(Process& process) {
  const bool was = std::exchange(process.stopped, false);
  g_stopped_processes -= was ? 1 : 0;
  return was;
}
// `tie` or its parent ends, which is `leaving`: if the group has no other tie to its session, those of it
// that are stopped are told and go on (POSIX, _exit).
void release_orphans(const Process& tie, const Process& leaving);

// What the parent's signal says.
inline SignalInfo child_info(const Process& process, i32 code, i32 status) {
  return {.code = code,
          .pid = process.pid,
          .value = static_cast<u64>(status),
          .uid = identity_of(process.leader()).user.real};
}

}  // namespace nopte::guest
