// What the boot tests of descriptors that are waited for share.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <string>

#include "tests/boot/programs/checks.h"

// What poll says of it now.
inline int events_of(int descriptor, int wanted = POLLIN | POLLOUT | POLLPRI) {
  pollfd entry = {descriptor, static_cast<short>(wanted), 0};
  CHECK(poll(&entry, 1, 0) >= 0);
  return entry.revents;
}

inline std::string link_of(int descriptor) {
  char text[128] = "";
  CHECK(readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), text, sizeof(text) - 1) > 0);
  return text;
}

// What holds for all that have no name: the link, the kind of inode, that it cannot be opened again.
inline void check_anonymous(int descriptor, const char* name) {
  struct stat info;
  CHECK(fstat(descriptor, &info) == 0 && (info.st_mode & S_IFMT) == 0 && info.st_size == 0);
  CHECK(link_of(descriptor) == std::string("anon_inode:[") + name + "]");
  CHECK_ERRNO(open(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), O_RDONLY), ENXIO);
  char byte = 0;
  CHECK_ERRNO(pread(descriptor, &byte, 1, 0), ESPIPE);
  CHECK_ERRNO(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, descriptor, 0), ENODEV);
  CHECK((fcntl(descriptor, F_GETFL) & O_ACCMODE) == O_RDWR);
}

// An address that cannot be written, and one that cannot be read either.
inline void* read_only_page() {
  void* const page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  return page;
}
inline void* bad_page() {
  void* const page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  return page;
}

// A handler for a signal that does not let interrupted calls go on.
inline volatile sig_atomic_t g_handled = 0;
inline void handle(int number) {
  struct sigaction action = {};
  action.sa_handler = [](int) { g_handled = g_handled + 1; };
  CHECK(sigaction(number, &action, nullptr) == 0);
}

inline sigset_t set_of(int number) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, number);
  return set;
}
inline void block(int number) {
  const sigset_t set = set_of(number);
  CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
}

inline void begin() {
  sigset_t none;
  sigemptyset(&none);
  CHECK(sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
  for (const int number : {SIGPIPE, SIGALRM, SIGCHLD, SIGUSR1, SIGUSR2}) {
    CHECK(signal(number, SIG_DFL) != SIG_ERR);
  }
  CHECK(close_range(3, ~0u, 0) == 0);
}

// Runs `act` in a child once this process sleeps, and `wait` here meanwhile; the child's end is waited for.
template <class Wait, class Act>
void while_asleep(Wait wait, Act act) {
  fflush(stdout);
  const pid_t self = getpid();
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    await_state(self, 'S');
    act(self);
    _exit(0);
  }
  wait();
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}
