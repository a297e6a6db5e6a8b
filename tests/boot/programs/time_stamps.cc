// prctl(PR_SET_TSC): who may not read the time stamp counter, who inherits that, and who reads it meanwhile.
// A kernel at ring 3 cannot take it away from its programs.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

int time_stamps() {
  int word = 0;
  CHECK(prctl(PR_GET_TSC, &word) == 0);
  return word;
}

void time_stamps_fault() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int outer = status_of_child([&] {
    SHOW(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
    SHOW(time_stamps());
    const int inherits = status_of_child([] {
      SHOW(time_stamps());
      fflush(stdout);
      SHOW(__builtin_ia32_rdtsc() != 0);
    });
    SHOW(inherits);
    // Who does not ask reads it, also between two that may not.
    const pid_t reader = fork();
    if (reader == 0) {
      SHOW(prctl(PR_SET_TSC, PR_TSC_ENABLE));
      for (int i = 0; i < 20; ++i) {
        CHECK(__builtin_ia32_rdtsc() != 0 && write(ends[1], "x", 1) == 1);
        sched_yield();
      }
      SHOW(time_stamps());
      fflush(stdout);
      _exit(0);
    }
    char byte;
    for (int i = 0; i < 20; ++i) CHECK(read(ends[0], &byte, 1) == 1);
    int status = 0;
    CHECK(waitpid(reader, &status, 0) == reader);
    SHOW(status);
    SHOW(time_stamps());
    fflush(stdout);
    SHOW(__builtin_ia32_rdtsc() != 0);
  });
  SHOW(outer);
  SHOW(time_stamps());
  SHOW(__builtin_ia32_rdtsc() != 0);
}

}  // namespace

int main() {
  show_lines();
  const rlimit no_core{0, 0};
  CHECK(setrlimit(RLIMIT_CORE, &no_core) == 0);
  check("time stamps fault", time_stamps_fault);
  return finish();
}
