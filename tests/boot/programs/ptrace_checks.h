// What the programs about ptrace(2) share: tracees, and what their stops are called.
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

inline long trace(long request, pid_t pid, uintptr_t address = 0, uintptr_t data = 0) {
  return syscall(SYS_ptrace, request, pid, address, data);
}
template <class T>
long trace(long request, pid_t pid, uintptr_t address, T* data) {
  return trace(request, pid, address, reinterpret_cast<uintptr_t>(data));
}

// "stopped 5", "stopped 5 event 3", "exit 0", "signal 9".
inline void print_status(const char* what, int status) {
  if (WIFSTOPPED(status)) {
    printf("%s: stopped %d", what, WSTOPSIG(status));
    if (status >> 16 != 0) printf(" event %d", status >> 16);
    printf("\n");
  } else if (WIFEXITED(status)) {
    printf("%s: exit %d\n", what, WEXITSTATUS(status));
  } else if (WIFCONTINUED(status)) {
    printf("%s: goes on\n", what);
  } else {
    printf("%s: signal %d\n", what, WTERMSIG(status));
  }
}

// Waits for the next of it, and prints it.
inline int next_of(pid_t pid, const char* what, int options = __WALL) {
  int status = 0;
  CHECK(waitpid(pid, &status, options) == pid);
  print_status(what, status);
  return status;
}

inline void print_errno(const char* what, long result) {
  if (result == -1) {
    printf("%s: %s\n", what, strerrorname_np(errno));
  } else {
    printf("%s: %ld\n", what, result);
  }
}

// A child that does that once it is traced by its parent, and stopped by SIGSTOP.
template <class Body>
pid_t traced(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(trace(PTRACE_TRACEME, 0) == 0);
    raise(SIGSTOP);
    body();
    fflush(stdout);
    _exit(0);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  return child;
}

// A child that nobody traces yet.
template <class Body>
pid_t untraced(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    body();
    fflush(stdout);
    _exit(0);
  }
  return child;
}

inline void end_of(pid_t pid) {
  kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, __WALL) == pid && !WIFEXITED(status) && !WIFSIGNALED(status)) {
  }
}

inline void print_info(const char* what, pid_t pid) {
  siginfo_t info;
  memset(&info, 0, sizeof(info));
  if (trace(PTRACE_GETSIGINFO, pid, 0, &info) != 0) {
    printf("%s: no information, %s\n", what, strerrorname_np(errno));
    return;
  }
  printf("%s: signal %d code %d\n", what, info.si_signo, info.si_code);
}

inline struct user_regs_struct registers_of(pid_t pid) {
  struct user_regs_struct registers;
  CHECK(trace(PTRACE_GETREGS, pid, 0, &registers) == 0);
  return registers;
}

inline unsigned long message_of(pid_t pid) {
  unsigned long message = ~0ul;
  CHECK(trace(PTRACE_GETEVENTMSG, pid, 0, &message) == 0);
  return message;
}

// Another thread, which tells its number there and waits for ever.
inline void start_waiting_thread(int& to) {
  pthread_t thread;
  CHECK(pthread_create(
            &thread, nullptr,
            [](void* pipe_end) -> void* {
              const pid_t self = gettid();
              CHECK(write(*static_cast<int*>(pipe_end), &self, sizeof(self)) == sizeof(self));
              for (;;) pause();
            },
            &to) == 0);
}
