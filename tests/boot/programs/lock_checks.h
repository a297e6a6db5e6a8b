// What tests of locks share: requests, and other processes that look or hold.
#pragma once

#include <sys/file.h>

#include "tests/boot/programs/file_checks.h"

inline constexpr off_t kMost = 0x7fff'ffff'ffff'ffff;

inline struct flock range(int type, off_t start = 0, off_t bytes = 0, int whence = SEEK_SET) {
  struct flock lock{};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = static_cast<short>(whence);
  lock.l_start = start;
  lock.l_len = bytes;
  return lock;
}
inline int set(int file, int type, off_t start = 0, off_t bytes = 0, int how = F_SETLK) {
  struct flock lock = range(type, start, bytes);
  return fcntl(file, how, &lock);
}
inline int opened(int flags = O_RDWR, const char* path = "file") {
  const int file = open(path, flags | O_CREAT | O_CLOEXEC, 0644);
  CHECK(file >= 0);
  return file;
}
// How a process without locks sees the file's bytes: r, w or . for each.
inline std::string seen(int bytes) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(status_of_child([&] {
          const int file = opened();
          std::string text;
          for (int at = 0; at < bytes; ++at) {
            struct flock lock = range(F_WRLCK, at, 1);
            CHECK(fcntl(file, F_GETLK, &lock) == 0);
            text += lock.l_type == F_UNLCK ? '.' : lock.l_type == F_RDLCK ? 'r' : 'w';
            CHECK(lock.l_type == F_UNLCK || lock.l_whence == SEEK_SET);
          }
          CHECK(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        }) == 0);
  char text[64];
  const ssize_t got = read(ends[0], text, sizeof(text));
  CHECK(got == bytes && close(ends[0]) == 0 && close(ends[1]) == 0);
  return {text, static_cast<size_t>(got)};
}
#define SEES(picture) CHECK(seen(sizeof(picture) - 1) == (picture))

// Runs the body in a child that goes on living until end() is called.
struct Companion {
  int ready[2];
  int go[2];
  pid_t pid;
  template <class Body>
  explicit Companion(Body body) {
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      close(go[1]);
      body();
      CHECK(write(ready[1], "", 1) == 1);
      char c;
      read(go[0], &c, 1);
      _exit(0);
    }
  }
  void await() const {
    char c;
    CHECK(read(ready[0], &c, 1) == 1);
  }
  void await_sleep() const { await_state(pid, 'S'); }
  int end() {
    CHECK(write(go[1], "", 1) == 1);
    for (const int file : {ready[0], ready[1], go[0], go[1]}) CHECK(close(file) == 0);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
  }
};
