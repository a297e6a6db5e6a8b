// Signals to init: what is not handled does nothing, whoever sends it, but a fault of its own. In the guest
// the program is init; on Linux it becomes that of a namespace.
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

volatile sig_atomic_t g_got = 0;

void own_signals() {
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGALRM, SIGSEGV, SIGBUS, SIGABRT, SIGSTOP,
                           SIGTSTP, SIGKILL, SIGRTMIN}) {
    SHOW(kill(getpid(), number));
    SHOW(syscall(SYS_tgkill, getpid(), getpid(), number));
  }
  alarm(0);
  sigset_t all, pending;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  SHOW(kill(getpid(), SIGUSR1));
  sigpending(&pending);
  SHOW(sigismember(&pending, SIGUSR1));
  sigprocmask(SIG_UNBLOCK, &all, nullptr);
  sigpending(&pending);
  SHOW(sigismember(&pending, SIGUSR1));
}

void others_signals() {
  const int status = status_of_child([] {
    for (int number = 1; number < 65; ++number) {
      if (number != SIGUSR2 && kill(1, number) != 0) _exit(number);
    }
  });
  SHOW(status);
  const int group = status_of_child([] {
    setpgid(0, 0);
    _exit(kill(1, SIGKILL) == 0 && kill(-1, SIGKILL) != 0 && errno == ESRCH ? 0 : 1);
  });
  SHOW(group);
}

void handled_signals() {
  signal(SIGTERM, [](int) { g_got = g_got + 1; });
  SHOW(kill(getpid(), SIGTERM));
  SHOW(g_got);
  const int status = status_of_child([] { _exit(kill(1, SIGTERM) == 0 ? 0 : 1); });
  SHOW(status);
  SHOW(g_got);
  signal(SIGTERM, SIG_DFL);
  SHOW(kill(getpid(), SIGTERM));
}

// What its children get is as everywhere.
void children() {
  SHOW(status_of_child([] { raise(SIGTERM); }));
  SHOW(status_of_child([] { raise(SIGKILL); }));
  SHOW(status_of_child([] {
         *static_cast<volatile char*>(mmap(nullptr, 4096, 0, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
       }) &
       0x7f);
}

int init() {
  show_lines();
  check("its own signals", own_signals);
  check("others' signals", others_signals);
  check("signals that it handles", handled_signals);
  check("signals of its children", children);
  return finish();
}

}  // namespace

int main() {
  if (getpid() == 1) return init();
  CHECK(syscall(SYS_unshare, 0x20000000 /* CLONE_NEWPID */) == 0);
  const pid_t child = fork();
  if (child == 0) _exit(init());
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WEXITSTATUS(status);
}
