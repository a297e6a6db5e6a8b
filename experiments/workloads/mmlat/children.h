// Child processes of the rows.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include "experiments/workloads/mmlat/measure.h"

namespace mmlat {

// Runs `body` in a child, which then exits with status 0.
template <typename Body>
pid_t spawn(Body body) {
  const pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    body();
    _exit(0);
  }
  return child;
}

// Waits for `child`; any status but 0 ends the row.
inline void reap(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) fail("waitpid");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail("the child failed");
}

// The row of `ops` forks whose children exit at once.
inline void fork_exit_wait(const char* name, uint64_t ops) {
  const auto cycle = [] { reap(spawn([] {})); };
  cycle();
  cycle();
  begin_span(name);
  for (uint64_t i = 0; i < ops; ++i) cycle();
  end_span(ops);
}

}  // namespace mmlat
