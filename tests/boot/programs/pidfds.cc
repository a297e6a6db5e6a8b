// pidfd_open, pidfd_send_signal, pidfd_getfd, CLONE_PIDFD, waitid(P_PIDFD), poll.
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr int kWaitForPidfd = 3;  // P_PIDFD

int open_pid(pid_t pid, unsigned flags = 0) { return static_cast<int>(syscall(SYS_pidfd_open, pid, flags)); }
long send(int pidfd, int signal, const void* info = nullptr, unsigned flags = 0) {
  return syscall(SYS_pidfd_send_signal, pidfd, signal, info, flags);
}
long get(int pidfd, int descriptor, unsigned flags = 0) {
  return syscall(SYS_pidfd_getfd, pidfd, descriptor, flags);
}
int events_of(int file, int timeout) {
  pollfd entry = {file, POLLIN, 0};
  CHECK(poll(&entry, 1, timeout) >= 0);
  return entry.revents;
}
// A child that waits for the signal that kills it.
pid_t waiting_child() {
  fflush(stdout);
  const pid_t child = fork();
  while (child == 0) pause();
  CHECK(child > 0);
  return child;
}
void kill_and_reap(pid_t child) { CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child); }

volatile int g_value;
volatile int g_code;
volatile int g_error;
volatile uid_t g_uid;

void opening() {
  check("open", [] {
    const int self = open_pid(getpid());
    CHECK(self >= 0 && fcntl(self, F_GETFD) == FD_CLOEXEC && (fcntl(self, F_GETFL) & O_ACCMODE) == O_RDWR);
    CHECK(events_of(self, 0) == 0);
    char byte;
    CHECK_ERRNO(read(self, &byte, 1), EINVAL);
    CHECK_ERRNO(write(self, "x", 1), EINVAL);
    close(self);
    const int quiet = open_pid(getpid(), O_NONBLOCK);
    CHECK(quiet >= 0 && (fcntl(quiet, F_GETFL) & O_NONBLOCK) != 0);
    close(quiet);
  });
  check("open: errors", [] {
    CHECK_ERRNO(open_pid(0), EINVAL);
    CHECK_ERRNO(open_pid(-1), EINVAL);
    CHECK_ERRNO(open_pid(getpid(), 1), EINVAL);
    CHECK_ERRNO(open_pid(getpid(), ~0u), EINVAL);
    const pid_t child = waiting_child();
    kill_and_reap(child);
    CHECK_ERRNO(open_pid(child), ESRCH);
  });
}

void sending() {
  check("send", [] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      g_value = info->si_value.sival_int;
      g_code = info->si_code;
      g_error = info->si_errno;
      g_uid = info->si_uid;
    };
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    const int self = open_pid(getpid());
    g_code = 77;
    CHECK(send(self, SIGUSR1) == 0 && g_code == SI_USER);
    siginfo_t info = {};
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 4711;
    info.si_errno = 99;
    info.si_uid = 1234;
    CHECK(send(self, SIGUSR1, &info) == 0 && g_code == SI_QUEUE && g_value == 4711);
    CHECK(g_error == 99 && g_uid == 1234);
    CHECK_ERRNO(send(self, SIGUSR2, &info), EINVAL);
    CHECK_ERRNO(send(self, SIGUSR1, reinterpret_cast<void*>(8)), EFAULT);
    CHECK_ERRNO(send(self, SIGUSR1, nullptr, 8), EINVAL);
    CHECK_ERRNO(send(self, 65), EINVAL);
    CHECK_ERRNO(send(self, -1), EINVAL);
    CHECK(send(self, 0) == 0);
    CHECK_ERRNO(send(-1, SIGUSR1), EBADF);
    CHECK_ERRNO(send(1, SIGUSR1), EBADF);
    const int file = open("/tmp", O_RDONLY);
    CHECK_ERRNO(send(file, 0), EBADF);
    close(file);
    const int directory = open("/proc/self", O_DIRECTORY | O_RDONLY);
    CHECK(send(directory, SIGUSR1) == 0 && g_code == SI_USER);
    close(directory);
    close(self);
  });
  check("send to a child", [] {
    const pid_t child = waiting_child();
    const int pidfd = open_pid(child);
    siginfo_t info = {};
    info.si_signo = SIGTERM;
    info.si_code = SI_USER;
    CHECK_ERRNO(send(pidfd, SIGTERM, &info), EPERM);
    CHECK(send(pidfd, SIGTERM) == 0);
    int status = 0;
    CHECK(events_of(pidfd, -1) == POLLIN);
    CHECK(send(pidfd, SIGTERM) == 0);  // it was not waited for
    CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
    CHECK(events_of(pidfd, 0) == (POLLIN | POLLHUP));
    CHECK_ERRNO(send(pidfd, SIGTERM), ESRCH);
    CHECK_ERRNO(send(pidfd, 0), ESRCH);
    CHECK_ERRNO(get(pidfd, 0), ESRCH);
    close(pidfd);
  });
}

void descriptors() {
  check("getfd", [] {
    int ends[2], word[2];
    CHECK(pipe(word) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      CHECK(pipe(ends) == 0 && write(ends[1], "from there", 10) == 10);
      CHECK(write(word[1], ends, sizeof(ends)) == sizeof(ends));
      for (;;) pause();
    }
    CHECK(read(word[0], ends, sizeof(ends)) == sizeof(ends));
    const int pidfd = open_pid(child);
    const int end = static_cast<int>(get(pidfd, ends[0]));
    char text[16] = {};
    CHECK(end >= 0 && fcntl(end, F_GETFD) == FD_CLOEXEC);
    CHECK(read(end, text, sizeof(text)) == 10 && strcmp(text, "from there") == 0);
    CHECK_ERRNO(get(pidfd, 900), EBADF);
    CHECK_ERRNO(get(pidfd, -1), EBADF);
    CHECK_ERRNO(get(pidfd, ends[0], 1), EINVAL);
    CHECK_ERRNO(get(-1, ends[0]), EBADF);
    CHECK_ERRNO(get(end, ends[0]), EBADF);
    CHECK(kill(child, SIGKILL) == 0 && events_of(pidfd, -1) == POLLIN);
    CHECK_ERRNO(get(pidfd, ends[0]), ESRCH);
    CHECK(waitpid(child, nullptr, 0) == child);
    close(end);
    close(pidfd);
    close(word[0]);
    close(word[1]);
  });
}

void waiting() {
  check("waitid", [] {
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) _exit(21);
    const int pidfd = open_pid(child);
    siginfo_t info = {};
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == child && info.si_status == 21 && info.si_code == CLD_EXITED);
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED) == 0 && info.si_pid == child);
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED), ECHILD);
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(-1), &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(900), &info, WEXITED), EBADF);
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(0), &info, WEXITED), EBADF);
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, 0), EINVAL);
    close(pidfd);
    const int self = open_pid(getpid());
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(self), &info, WEXITED), ECHILD);
    close(self);
  });
  check("waitid without blocking", [] {
    const pid_t child = waiting_child();
    const int pidfd = open_pid(child, O_NONBLOCK);
    siginfo_t info = {};
    CHECK_ERRNO(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED), EAGAIN);
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK(kill(child, SIGKILL) == 0 && events_of(pidfd, -1) == POLLIN);
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED) == 0 && info.si_pid == child);
    close(pidfd);
  });
  check("poll sleeps until the end", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      char byte;
      close(ends[1]);
      CHECK(read(ends[0], &byte, 1) == 0);
      _exit(0);
    }
    const int pidfd = open_pid(child);
    CHECK(events_of(pidfd, 0) == 0);
    close(ends[1]);
    CHECK(events_of(pidfd, -1) == POLLIN);
    CHECK(waitpid(child, nullptr, 0) == child);
    close(pidfd);
    close(ends[0]);
  });
}

void clones() {
  check("clone with CLONE_PIDFD", [] {
    int pidfd = -7;
    fflush(stdout);
    const long child = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, 0);
    if (child == 0) _exit(pidfd == -7 ? 3 : 4);
    CHECK(child > 0 && pidfd >= 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
    siginfo_t info = {};
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED) == 0);
    CHECK(info.si_pid == child && info.si_status == 3);
    close(pidfd);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, nullptr, &pidfd, nullptr, 0),
                EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, nullptr, &pidfd, nullptr, 0),
                EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, nullptr, nullptr, 0), EFAULT);
    CHECK_ERRNO(waitpid(-1, nullptr, 0), ECHILD);
  });
  check("clone3 with CLONE_PIDFD", [] {
    int pidfd = -7;
    int tid = 0;
    clone_args arguments = {};
    arguments.flags = CLONE_PIDFD | CLONE_PARENT_SETTID;
    arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    arguments.parent_tid = reinterpret_cast<uint64_t>(&tid);
    arguments.exit_signal = SIGCHLD;
    const long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
    if (child == 0) _exit(5);
    CHECK(child > 0 && tid == child && pidfd >= 0);
    siginfo_t info = {};
    CHECK(waitid(idtype_t(kWaitForPidfd), id_t(pidfd), &info, WEXITED) == 0 && info.si_status == 5);
    close(pidfd);
    arguments.parent_tid = arguments.pidfd;
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, sizeof(arguments)), EINVAL);
    arguments.parent_tid = reinterpret_cast<uint64_t>(&tid);
    arguments.pidfd = 0;
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, sizeof(arguments)), EFAULT);
    CHECK_ERRNO(waitpid(-1, nullptr, 0), ECHILD);
  });
}

}  // namespace

int main() {
  CHECK(close_range(3, ~0u, 0) == 0);
  opening();
  sending();
  descriptors();
  waiting();
  clones();
  return finish();
}
