// What the boot tests of job control share: signals that are noted, children in groups of their own, what a
// process knows of its terminal.
#pragma once

#include <string>

#include "tests/boot/programs/tty_checks.h"

inline constexpr int kAll[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGTTIN, SIGTTOU, SIGWINCH};
inline volatile sig_atomic_t g_came[65];
inline volatile sig_atomic_t g_code;

inline void note(int number, siginfo_t* info, void*) {
  g_came[number] = g_came[number] + 1;
  g_code = info->si_code;
}
inline void catch_all(int flags = 0) {
  for (const int number : kAll) {
    struct sigaction action = {};
    action.sa_sigaction = note;
    action.sa_flags = SA_SIGINFO | flags;
    CHECK(sigaction(number, &action, nullptr) == 0);
  }
}
// What came, and forgets it.
inline std::string came() {
  std::string names;
  for (const int number : kAll) {
    for (int times = g_came[number]; times > 0; --times) {
      names += std::string(" ") + sigabbrev_np(number);
    }
    g_came[number] = 0;
  }
  return names.empty() ? " nothing" : names;
}
inline void await_signal(int number) {
  while (g_came[number] == 0) {
    sched_yield();
  }
}

// A line that one process writes and another waits for.
struct Line {
  int ends[2];
  Line() { CHECK(pipe(ends) == 0); }
  void say() const { CHECK(write(ends[1], "x", 1) == 1); }
  void hear() const {
    char c;
    ssize_t got;
    do {
      got = read(ends[0], &c, 1);
    } while (got < 0 && errno == EINTR);
    CHECK(got == 1);
  }
};

// How a child ended or stopped.
inline void print_wait(const char* what, pid_t child) {
  int status = 0;
  pid_t got;
  do {
    got = waitpid(child, &status, WUNTRACED);
  } while (got < 0 && errno == EINTR);
  CHECK(got == child);
  if (WIFSTOPPED(status)) {
    printf("%s: stopped by %s\n", what, sigabbrev_np(WSTOPSIG(status)));
  } else if (WIFSIGNALED(status)) {
    printf("%s: killed by %s\n", what, sigabbrev_np(WTERMSIG(status)));
  } else {
    printf("%s: ended with %d\n", what, WEXITSTATUS(status));
  }
}

// The body in a child that has a process group of its own; it begins when that is so.
template <class Body>
pid_t start(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    setpgid(0, 0);
    body();
    fflush(stdout);
    _exit(0);
  }
  setpgid(child, child);
  return child;
}

// The leader's terminal.
inline Pair controlling_pair() {
  const Pair pair = open_pair();
  CHECK(ioctl(pair.terminal, TIOCSCTTY, 0) == 0);
  return pair;
}

struct InProc {
  int terminal;
  int foreground;
};
inline InProc in_proc(pid_t pid) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/stat", static_cast<int>(pid));
  FILE* const file = fopen(path, "r");
  InProc found = {};
  CHECK(file != nullptr &&
        fscanf(file, "%*d %*s %*c %*d %*d %*d %d %d", &found.terminal, &found.foreground) == 2);
  fclose(file);
  return found;
}

inline void print_ids(const char* what, int file) {
  pid_t session = -2;
  const int session_answer = ioctl(file, TIOCGSID, &session);
  const int session_error = errno;
  pid_t group = -2;
  const int group_answer = ioctl(file, TIOCGPGRP, &group);
  printf("%s: session %s, foreground %s\n", what,
         session_answer == 0 ? whose(session, getsid(0)) : strerrorname_np(session_error),
         group_answer == 0 ? whose(group, getpgrp()) : strerrorname_np(errno));
}
inline void print_own(const char* what) {
  const int own = open("/dev/tty", O_RDWR);
  print_answer(what, own < 0 ? own : 0);
  if (own >= 0) close(own);
}

template <class Body>
void in_session(const char* name, Body body) {
  check(name, [&] { CHECK(status_in_session(body) == 0); });
}
