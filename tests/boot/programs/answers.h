// For boot tests that print what each call answers: a line with the call's text, and its value or error.
#pragma once

#include <grp.h>

#include "tests/boot/programs/file_checks.h"

inline long say(const char* what, long value) {
  const int error = errno;
  if (value == -1 && error != 0) {
    printf("  %s: %s\n", what, strerrorname_np(error));
  } else {
    printf("  %s: %ld\n", what, value);
  }
  errno = 0;
  return value;
}
#define SAY(expression) say(#expression, (errno = 0, static_cast<long>(expression)))
// The same, for what one error or another may come from.
#define SAY_OF(name, expression) say(name, (errno = 0, static_cast<long>(expression)))

// Runs the body in a child that is that user.
template <class Body>
void as_user(uid_t user, Body body) {
  const int status = status_of_child([&] {
    CHECK(setgroups(0, nullptr) == 0 && setresgid(user, user, user) == 0 && setresuid(user, user, user) == 0);
    body();
    fflush(stdout);
  });
  CHECK(status == 0);
}

// A fresh directory of a tmpfs, on Linux and in the guest.
inline void begin_in_tmpfs() {
  begin_with_fresh_directory();
  char folder[] = "/dev/shm/nopte-files-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr && chdir(folder) == 0 && chmod(".", 0755) == 0);
}
