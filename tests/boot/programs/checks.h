// What the boot test programs share. Each is an ordinary static Linux program: it prints one PASS line per
// check and "ok" at the end, on Linux as in the guest; the first failure ends it with status 1.
#pragma once

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

inline const char* g_check = "start";

#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      printf("FAIL %s: %s (line %d, errno %d %s)\n", g_check, #condition, __LINE__, errno, strerror(errno)); \
      fflush(stdout);                                                                                        \
      _exit(1);                                                                                              \
    }                                                                                                        \
  } while (false)

#define CHECK_ERRNO(expression, expected) \
  do {                                    \
    errno = 0;                            \
    CHECK(long(expression) == -1);        \
    CHECK(errno == (expected));           \
  } while (false)

template <class Body>
void check(const char* name, Body body) {
  g_check = name;
  body();
  printf("PASS %s\n", name);
  fflush(stdout);
}

inline int finish() {
  printf("ok\n");
  fflush(stdout);
  return 0;
}

// Runs the body in a child; its wait status.
template <class Body>
int status_of_child(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  pid_t got;
  do {
    got = waitpid(child, &status, 0);
  } while (got < 0 && errno == EINTR);
  CHECK(got == child);
  return status;
}

// Returns once such a file in /proc calls the state by this letter ('S': it sleeps).
inline void await_state_in(const char* path, char state) {
  char now = 0;
  do {
    sched_yield();
    FILE* const file = fopen(path, "r");
    CHECK(file != nullptr && fscanf(file, "%*d %*s %c", &now) == 1);
    fclose(file);
  } while (now != state);
}
inline void await_state(pid_t pid, char state) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/%d/stat", static_cast<int>(pid));
  await_state_in(path, state);
}
