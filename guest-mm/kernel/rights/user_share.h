// What one user has of what RLIMIT_NPROC and RLIMIT_SIGPENDING limit. Nobody keeps accounts: it is counted
// when all users together have so much that one of them may be over it.
#pragma once

#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

// Threads, ended ones included that nobody waited for yet.
u64 threads_of(u32 user);
// Signals with information of their own that wait, and POSIX timers.
u64 queued_signals_of(u32 user);

// Whether the user has more than the process's limit allows.
bool exceeds_processes(const Process& process, u32 user);
// Whether the running process's user may have one more.
bool has_room_for_thread_of_user(u64 limit);
inline bool has_room_for_thread(const Process& process) {
  const u64 limit = process.limits->of(Resource::kProcesses).now;
  return thread_count() < limit || has_room_for_thread_of_user(limit);
}
// Whether one more signal may wait for a user's process, or it may have another timer.
bool has_room_for_signal(const Process& process);

}  // namespace nopte::guest
