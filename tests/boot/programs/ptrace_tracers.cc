// ptrace(2): who may trace whom, tracers that come and go, and what a parent hears of a child that another
// traces. Prints the same on Linux.
#include <sys/prctl.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

void refusals() {
  print_errno("attach to oneself", trace(PTRACE_ATTACH, getpid()));
  print_errno("to nobody", trace(PTRACE_ATTACH, 999999));
  print_errno("of nobody", trace(PTRACE_CONT, 999999));
  const pid_t other = untraced([] { pause(); });
  print_errno("a request about an untraced one", trace(PTRACE_CONT, other));
  end_of(other);
  const pid_t child = traced([] {
    print_errno("traced twice", trace(PTRACE_TRACEME, 0));
    pause();
  });
  print_errno("attached to again", trace(PTRACE_ATTACH, child));
  CHECK(trace(PTRACE_CONT, child) == 0);
  await_state(child, 'S');
  print_errno("asked while it runs", trace(PTRACE_PEEKUSER, child));
  print_errno("resumed while it runs", trace(PTRACE_CONT, child));
  print_errno("interrupted, but not seized", trace(PTRACE_INTERRUPT, child));
  print_errno("an unknown request", trace(0x5555, child));
  print_errno("killed", trace(PTRACE_KILL, child));
  next_of(child, "the end");
  CHECK_ERRNO(trace(PTRACE_KILL, child), ESRCH);
  fflush(stdout);
  const pid_t user = untraced([] {
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    print_errno("another user's", trace(PTRACE_ATTACH, getppid()));
    print_errno("init", trace(PTRACE_ATTACH, 1));
  });
  next_of(user, "another user");
  const pid_t hidden = untraced([] {
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    prctl(PR_SET_DUMPABLE, 0);
    raise(SIGSTOP);
  });
  next_of(hidden, "who hides", WUNTRACED);
  const pid_t equal = untraced([hidden] {
    CHECK(setgid(65534) == 0 && setuid(65534) == 0);
    print_errno("who hides from its user", trace(PTRACE_ATTACH, hidden));
  });
  next_of(equal, "its user");
  end_of(hidden);
}

// A grandchild's parent hears of its end when its tracer has.
void of_another_parent() {
  int grandchild[2];
  int ended[2];
  CHECK(pipe(grandchild) == 0 && pipe(ended) == 0);
  const pid_t parent = untraced([&] {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    CHECK(write(grandchild[1], &child, sizeof(child)) == sizeof(child));
    char byte;
    CHECK(read(ended[0], &byte, 1) == 1);
    int status = 0;
    print_errno("the parent, before the tracer", waitpid(child, &status, WNOHANG));
    CHECK(write(grandchild[1], &child, sizeof(child)) == sizeof(child));
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(read(ended[0], &byte, 1) == 1);
    print_status("the parent", status);
  });
  pid_t child = 0;
  CHECK(read(grandchild[0], &child, sizeof(child)) == sizeof(child));
  CHECK(trace(PTRACE_ATTACH, child) == 0);
  next_of(child, "a grandchild");
  char path[64];
  char line[128];
  snprintf(path, sizeof(path), "/proc/%d/status", child);
  FILE* const file = fopen(path, "r");
  CHECK(file != nullptr);
  while (fgets(line, sizeof(line), file) != nullptr) {
    if (strncmp(line, "State:", 6) == 0) fputs(line, stdout);
    int pid = 0;
    if (sscanf(line, "TracerPid: %d", &pid) == 1) printf("its tracer is this: %d\n", pid == getpid());
    if (sscanf(line, "PPid: %d", &pid) == 1) printf("its parent is not: %d\n", pid == parent);
  }
  fclose(file);
  CHECK(trace(PTRACE_CONT, child, 0, SIGTERM) == 0);
  siginfo_t info;
  CHECK(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  CHECK(write(ended[1], "", 1) == 1);
  CHECK(read(grandchild[0], &child, sizeof(child)) == sizeof(child));
  next_of(child, "its tracer");
  CHECK(write(ended[1], "", 1) == 1);
  next_of(parent, "the parent ended");
}

// Who is let go because its tracer ends, and who is killed.
void without_tracer() {
  for (const bool kills : {false, true}) {
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = untraced([] {
      for (;;) pause();
    });
    await_state(child, 'S');
    const pid_t tracer = untraced([&] {
      CHECK(trace(PTRACE_SEIZE, child, 0, kills ? uintptr_t{PTRACE_O_EXITKILL} : 0) == 0);
      CHECK(trace(PTRACE_INTERRUPT, child) == 0);
      int status = 0;
      CHECK(waitpid(child, &status, __WALL) == child);
    });
    next_of(tracer, "the tracer ends");
    if (kills) {
      next_of(child, "killed with it");
    } else {
      await_state(child, 'S');
      end_of(child);
      printf("the other goes on\n");
    }
  }
}

// Somebody attaches to a stopped one and leaves it, again and again.
void many_tracers() {
  const pid_t child = untraced([] {
    raise(SIGSTOP);
    _exit(3);
  });
  next_of(child, "stopped", WUNTRACED);
  for (int i = 0; i < 200; ++i) {
    CHECK(trace(PTRACE_SEIZE, child) == 0);
    CHECK(trace(PTRACE_DETACH, child) == 0);
    await_state(child, 'T');
  }
  kill(child, SIGCONT);
  next_of(child, "seized and let go 200 times");
}

}  // namespace

int main() {
  show_lines();
  refusals();
  of_another_parent();
  without_tracer();
  many_tracers();
  return finish();
}
