// getrusage's ru_maxrss: the most that a process, or any child that was waited for, had in memory. Within
// some MiB, and so that nothing depends on what a program has without asking for it. The same on Linux.
#include <sys/resource.h>

#include "tests/boot/programs/memory_checks.h"

namespace {

char g_self[4096];

long most(int who) {
  rusage usage;
  CHECK(getrusage(static_cast<__rusage_who>(who), &usage) == 0);
  return usage.ru_maxrss >> 10;
}
bool near(long mib, long expected) { return expected - 6 <= mib && mib <= expected + 12; }
void consume(size_t mib) {
  const size_t pages = mib << 20 >> 12;
  memset(map(pages), 1, pages * kPage);
}
pid_t child_that_consumes(size_t mib) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    consume(mib);
    _exit(0);
  }
  return child;
}
long usage_of(pid_t child) {
  rusage usage;
  int status;
  CHECK(wait4(child, &status, 0, &usage) == child && status == 0);
  return usage.ru_maxrss >> 10;
}

void none_before_a_child_was_waited_for() { CHECK(most(RUSAGE_CHILDREN) == 0); }

void an_ended_child_counts_once_it_is_waited_for() {
  const pid_t child = child_that_consumes(40);
  await_state(child, 'Z');
  CHECK(most(RUSAGE_CHILDREN) == 0);
  siginfo_t info;
  CHECK(waitid(P_PID, id_t(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(most(RUSAGE_CHILDREN) == 0);
  CHECK(near(usage_of(child), 40));
  CHECK(near(most(RUSAGE_CHILDREN), 40));
  CHECK(near(most(RUSAGE_SELF), 2));
}

void the_largest_counts_and_not_the_sum() {
  CHECK(near(usage_of(child_that_consumes(20)), 20));
  CHECK(near(most(RUSAGE_CHILDREN), 40));
}

void a_grandchild_counts() {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    if (most(RUSAGE_CHILDREN) != 0) _exit(1);
    _exit(near(usage_of(child_that_consumes(60)), 60) ? 0 : 2);
  }
  CHECK(near(usage_of(child), 60));
  CHECK(near(most(RUSAGE_CHILDREN), 60));
}

void what_nobody_waits_for_does_not() {
  CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
  const pid_t child = child_that_consumes(80);
  int status;
  CHECK_ERRNO(waitpid(child, &status, 0), ECHILD);
  CHECK(near(most(RUSAGE_CHILDREN), 60));
  CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
}

void what_was_given_back_counts_once_it_was_seen() {
  CHECK(in_child([] {
    char* at = map(7680);
    memset(at, 1, 7680 * kPage);
    const bool there = near(most(RUSAGE_SELF), 30);
    unmap(at, 7680);
    return there && near(most(RUSAGE_SELF), 30);
  }));
}

void promises_alone_do_not_count() {
  CHECK(in_child([] {
    map(10240);
    return near(most(RUSAGE_SELF), 2);
  }));
}

void a_child_has_what_it_was_forked_with() {
  CHECK(in_child([] {
    consume(30);
    if (most(RUSAGE_CHILDREN) != 0) return false;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(near(most(RUSAGE_SELF), 30) ? 0 : 1);
    if (!near(usage_of(child), 30)) return false;
    const pid_t silent = fork();
    if (silent == 0) _exit(0);
    return near(usage_of(silent), 30) && near(most(RUSAGE_CHILDREN), 30);
  }));
}

void exec_keeps_it() {
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    consume(30);
    execl(g_self, g_self, "after", nullptr);
    _exit(9);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void all() {
  check("none_before_a_child_was_waited_for", none_before_a_child_was_waited_for);
  check("an_ended_child_counts_once_it_is_waited_for", an_ended_child_counts_once_it_is_waited_for);
  check("the_largest_counts_and_not_the_sum", the_largest_counts_and_not_the_sum);
  check("a_grandchild_counts", a_grandchild_counts);
  check("what_nobody_waits_for_does_not", what_nobody_waits_for_does_not);
  check("what_was_given_back_counts_once_it_was_seen", what_was_given_back_counts_once_it_was_seen);
  check("promises_alone_do_not_count", promises_alone_do_not_count);
  check("a_child_has_what_it_was_forked_with", a_child_has_what_it_was_forked_with);
  check("exec_keeps_it", exec_keeps_it);
}

}  // namespace

int main(int argc, char**) {
  start();
  if (argc > 1) {
    CHECK(near(most(RUSAGE_SELF), 30) && most(RUSAGE_CHILDREN) == 0);
    return 0;
  }
  CHECK(readlink("/proc/self/exe", g_self, sizeof g_self - 1) > 0);
  // An exec keeps what was resident before it: a child begins anew.
  return in_child([] {
    all();
    return finish() == 0;
  })
             ? 0
             : 1;
}
