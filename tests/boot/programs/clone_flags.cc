// clone(2): which flags go together, what each shares, and what is refused with which errno.
#include <fcntl.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <initializer_list>

#include "tests/boot/programs/thread_checks.h"

namespace {

char g_stack[1 << 16];
constexpr unsigned long kThread =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

// The raw call, which returns twice like fork.
long raw(unsigned long flags, void* parent_tid = nullptr, void* child_tid = nullptr, unsigned long tls = 0) {
  const long result = syscall(SYS_clone, flags, nullptr, parent_tid, child_tid, tls);
  if (result == 0) _exit(0);
  return result;
}

// A child with a stack of its own that runs the body; its wait status.
template <class Body>
int status_with(unsigned long flags, Body body) {
  static Body* now;
  now = &body;
  const int child = clone(
      [](void*) {
        (*now)();
        return 0;
      },
      g_stack + sizeof(g_stack), static_cast<int>(flags | SIGCHLD), nullptr);
  CHECK(child > 0);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return status;
}

void refused_together() {
  CHECK_ERRNO(raw(CLONE_THREAD | SIGCHLD), EINVAL);
  CHECK_ERRNO(raw(CLONE_THREAD | CLONE_VM), EINVAL);
  CHECK_ERRNO(raw(CLONE_THREAD | CLONE_SIGHAND), EINVAL);
  CHECK_ERRNO(raw(CLONE_SIGHAND | SIGCHLD), EINVAL);
  CHECK_ERRNO(raw(CLONE_SIGHAND | CLONE_FS | CLONE_FILES | SIGCHLD), EINVAL);
  CHECK_ERRNO(raw(CLONE_NEWNS | CLONE_FS | SIGCHLD), EINVAL);
  CHECK_ERRNO(raw(CLONE_NEWUSER | CLONE_FS | SIGCHLD), EINVAL);
  CHECK_ERRNO(raw(CLONE_NEWUSER | kThread), EINVAL);
  CHECK_ERRNO(raw(CLONE_NEWPID | kThread), EINVAL);
  CHECK_ERRNO(raw(CLONE_SETTLS | SIGCHLD, nullptr, nullptr, ~0ul), EPERM);
  CHECK_ERRNO(raw(CLONE_SETTLS | SIGCHLD, nullptr, nullptr, 0x8000'0000'0000), EPERM);
}

// Who has not the right to make any.
void namespaces_refused() {
  const int status = status_of_child([] {
    CHECK(setuid(65534) == 0);
    for (const unsigned long flag :
         {static_cast<unsigned long>(CLONE_NEWPID), static_cast<unsigned long>(CLONE_NEWNS),
          static_cast<unsigned long>(CLONE_NEWIPC), static_cast<unsigned long>(CLONE_NEWUTS),
          static_cast<unsigned long>(CLONE_NEWNET), static_cast<unsigned long>(CLONE_NEWCGROUP)}) {
      CHECK_ERRNO(raw(flag | SIGCHLD), EPERM);
    }
    CHECK_ERRNO(raw(CLONE_NEWNS | CLONE_FS | SIGCHLD), EINVAL);
    CHECK_ERRNO(raw(CLONE_NEWPID | kThread), EINVAL);
    CHECK_ERRNO(raw(CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD), EPERM);
  });
  CHECK(status == 0);
}

// Without effect, or with one that cannot be seen.
void accepted() {
  for (const unsigned long flags :
       {0ul, static_cast<unsigned long>(CLONE_SYSVSEM), static_cast<unsigned long>(CLONE_IO),
        static_cast<unsigned long>(CLONE_UNTRACED), 0x400000ul /* CLONE_DETACHED */,
        static_cast<unsigned long>(CLONE_PTRACE), 1ul << 40}) {
    fflush(stdout);
    const long child = raw(flags | SIGCHLD);
    CHECK(child > 0);
    int status = -1;
    CHECK(waitpid(static_cast<pid_t>(child), &status, 0) == child && status == 0);
  }
}

void own_copies() {
  static int value;
  value = 1;
  const int file = open("/dev/null", O_RDONLY);
  CHECK(chdir("/") == 0);
  umask(022);
  signal(SIGUSR1, SIG_DFL);
  CHECK(status_with(0, [&] {
          value = 2;
          close(file);
          CHECK(chdir("/tmp") == 0);
          umask(077);
          signal(SIGUSR1, SIG_IGN);
        }) == 0);
  char here[32];
  struct sigaction action;
  CHECK(value == 1 && fcntl(file, F_GETFD) == 0 && strcmp(getcwd(here, sizeof(here)), "/") == 0);
  CHECK(umask(022) == 022 && sigaction(SIGUSR1, nullptr, &action) == 0 && action.sa_handler == SIG_DFL);
  close(file);
}

void shared_memory() {
  static int value;
  value = 1;
  CHECK(status_with(CLONE_VM, [] { value = 2; }) == 0);
  CHECK(value == 2);
}

// Descriptors alone, directories alone.
void shared_files() {
  const int file = open("/dev/null", O_RDONLY);
  CHECK(chdir("/") == 0);
  CHECK(status_with(CLONE_FILES, [&] {
          close(file);
          CHECK(chdir("/tmp") == 0);
        }) == 0);
  char here[32];
  CHECK_ERRNO(fcntl(file, F_GETFD), EBADF);
  CHECK(strcmp(getcwd(here, sizeof(here)), "/") == 0);
}
void shared_directories() {
  const int file = open("/dev/null", O_RDONLY);
  CHECK(chdir("/") == 0);
  umask(022);
  CHECK(status_with(CLONE_FS, [&] {
          close(file);
          CHECK(chdir("/tmp") == 0);
          umask(077);
        }) == 0);
  char here[32];
  CHECK(fcntl(file, F_GETFD) == 0 && strcmp(getcwd(here, sizeof(here)), "/tmp") == 0 && umask(022) == 077);
  close(file);
  CHECK(chdir("/") == 0);
}
// And taken apart again.
void unshared() {
  const int file = open("/dev/null", O_RDONLY);
  CHECK(status_with(CLONE_FILES | CLONE_FS, [&] {
          CHECK(unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM) == 0);
          close(file);
          CHECK(chdir("/tmp") == 0);
        }) == 0);
  char here[32];
  CHECK(fcntl(file, F_GETFD) == 0 && strcmp(getcwd(here, sizeof(here)), "/") == 0);
  close(file);
  CHECK(unshare(0) == 0 && unshare(CLONE_THREAD) == 0 && unshare(CLONE_SIGHAND) == 0 &&
        unshare(CLONE_VM) == 0);
  CHECK_ERRNO(unshare(SIGCHLD), EINVAL);
  static int failed;
  auto body = [] { failed = unshare(CLONE_THREAD) == -1 ? errno : 0; };
  join(start(body));
  CHECK(failed == EINVAL);
}

void shared_actions() {
  signal(SIGUSR1, SIG_DFL);
  CHECK(status_with(CLONE_VM | CLONE_SIGHAND, [] { signal(SIGUSR1, SIG_IGN); }) == 0);
  struct sigaction action;
  CHECK(sigaction(SIGUSR1, nullptr, &action) == 0 && action.sa_handler == SIG_IGN);
  signal(SIGUSR1, SIG_DFL);
  // What is pending is not shared.
  sigset_t set, pending;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
  CHECK(status_with(CLONE_VM | CLONE_SIGHAND, [] { syscall(SYS_kill, syscall(SYS_getpid), SIGUSR1); }) == 0);
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 0);
  CHECK(sigprocmask(SIG_UNBLOCK, &set, nullptr) == 0);
}

void siblings() {
  static pid_t parent;
  fflush(stdout);
  int numbers[2];
  CHECK(pipe(numbers) == 0);
  const int status = status_of_child([&] {
    parent = static_cast<pid_t>(syscall(SYS_getppid));
    const long child = syscall(SYS_clone, CLONE_PARENT | SIGUSR2, nullptr, nullptr, nullptr, 0);
    if (child == 0) {
      _exit(syscall(SYS_getppid) == parent ? 8 : 1);
    }
    CHECK_ERRNO(waitpid(static_cast<pid_t>(child), nullptr, __WALL), ECHILD);
    CHECK(write(numbers[1], &child, sizeof(child)) == sizeof(child));
  });
  CHECK(status == 0);
  long child = 0;
  CHECK(read(numbers[0], &child, sizeof(child)) == sizeof(child));
  int own = 0;
  // The signal is the caller's own, so that it is an ordinary child.
  CHECK(waitpid(static_cast<pid_t>(child), &own, 0) == child && WEXITSTATUS(own) == 8);
  close(numbers[0]);
  close(numbers[1]);
}

void signals_at_the_end() {
  static volatile int got;
  signal(SIGUSR1, [](int signal) { got = signal; });
  long child = raw(SIGUSR1);
  CHECK(child > 0);
  CHECK_ERRNO(waitpid(static_cast<pid_t>(child), nullptr, 0), ECHILD);
  CHECK(waitpid(static_cast<pid_t>(child), nullptr, __WCLONE) == child);
  CHECK(got == SIGUSR1);
  got = 0;
  child = raw(0);
  CHECK(waitpid(static_cast<pid_t>(child), nullptr, __WALL) == child && got == 0);
  signal(SIGUSR1, SIG_DFL);
}

void numbers() {
  static int parent_word, child_word;
  long child = raw(CLONE_PARENT_SETTID | SIGCHLD, &parent_word);
  CHECK(child > 0 && parent_word == child);
  CHECK(waitpid(static_cast<pid_t>(child), nullptr, 0) == child);
  // Bad addresses are the program's affair.
  child = raw(CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD,
              reinterpret_cast<void*>(8), reinterpret_cast<void*>(8));
  int status = -1;
  CHECK(child > 0 && waitpid(static_cast<pid_t>(child), &status, 0) == child && status == 0);
  child = syscall(SYS_clone, CLONE_CHILD_SETTID | SIGCHLD, nullptr, nullptr, &child_word, 0);
  if (child == 0) _exit(child_word == getpid() ? 0 : 1);
  CHECK(waitpid(static_cast<pid_t>(child), &status, 0) == child && status == 0 && child_word == 0);
  // Cleared in memory that others see.
  child_word = 99;
  CHECK(status_with(CLONE_VM, [] { syscall(SYS_set_tid_address, &child_word); }) == 0);
  CHECK(child_word == 0);
}

void barriers() {
  const int commands = static_cast<int>(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0));
  CHECK((commands & MEMBARRIER_CMD_GLOBAL) != 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 &&
        (commands & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0);
  CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0);
  CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), EPERM);
  CHECK_ERRNO(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 8, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_membarrier, 1 << 20, 0, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_membarrier, 3, 0, 0), EINVAL);
  CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
  CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
  const int status =
      status_of_child([] { CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0); });
  CHECK(status == 0);
}

}  // namespace

int main() {
  check("refused together", refused_together);
  check("namespaces", namespaces_refused);
  check("accepted", accepted);
  check("nothing shared", own_copies);
  check("memory", shared_memory);
  check("descriptors alone", shared_files);
  check("directories alone", shared_directories);
  check("unshare", unshared);
  check("signal actions", shared_actions);
  check("a sibling", siblings);
  check("the signal at the end", signals_at_the_end);
  check("numbers written", numbers);
  check("membarrier", barriers);
  return finish();
}
