// What the boot tests of memory share: what an access raises, and mappings to try it on.
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include "tests/boot/programs/checks.h"

inline constexpr size_t kPage = 4096;

struct Fault {
  int signal = 0;
  int code = 0;
  void* address = nullptr;
};
inline sigjmp_buf g_return;
inline volatile sig_atomic_t g_signal;
inline volatile int g_code;
inline void* volatile g_address;

inline void on_fault(int signal, siginfo_t* info, void*) {
  g_signal = signal;
  g_code = info->si_code;
  g_address = info->si_addr;
  siglongjmp(g_return, 1);
}

inline void catch_faults() {
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(SIGSEGV, &action, nullptr) == 0);
  CHECK(sigaction(SIGBUS, &action, nullptr) == 0);
}

// What an access raised; signal 0: nothing.
template <class Access>
inline Fault fault_of(Access access) {
  g_signal = 0;
  if (sigsetjmp(g_return, 1) == 0) {
    access();
    return {};
  }
  return {g_signal, g_code, g_address};
}
inline Fault fault_of_read(const volatile char* at) {
  return fault_of([at] { (void)*at; });
}
inline Fault fault_of_write(volatile char* at) {
  return fault_of([at] { *at = 1; });
}
inline bool readable(const char* at) { return fault_of_read(at).signal == 0; }
inline bool segv(const Fault& fault, int code, const void* address) {
  return fault.signal == SIGSEGV && fault.code == code && fault.address == address;
}

inline char* map(size_t pages, int prot = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE) {
  void* at = mmap(nullptr, pages * kPage, prot, flags | MAP_ANONYMOUS, -1, 0);
  CHECK(at != MAP_FAILED);
  return static_cast<char*>(at);
}
inline void unmap(char* at, size_t pages) { CHECK(munmap(at, pages * kPage) == 0); }
inline bool zero(const char* at, size_t bytes = kPage) {
  for (size_t i = 0; i < bytes; ++i) {
    if (at[i] != 0) return false;
  }
  return true;
}

// Runs in a child; true when it returned true.
template <class Body>
inline bool in_child(Body body) {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) _exit(body() ? 0 : 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

inline char g_path[64];
// A file of `pages` pages; page n is filled with 'a' + n.
inline int new_file(size_t pages) {
  snprintf(g_path, sizeof g_path, "/tmp/memory-%d", int(getpid()));
  int file = open(g_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (file < 0) {
    snprintf(g_path, sizeof g_path, "/memory-%d", int(getpid()));
    file = open(g_path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  }
  CHECK(file >= 0);
  static char page[kPage];
  for (size_t i = 0; i < pages; ++i) {
    memset(page, int('a' + i), kPage);
    CHECK(write(file, page, kPage) == ssize_t(kPage));
  }
  return file;
}
inline void end_file(int file) {
  CHECK(close(file) == 0);
  CHECK(unlink(g_path) == 0);
}
inline char* map_file(int file, size_t pages, int prot, int flags, size_t first_page = 0) {
  void* at = mmap(nullptr, pages * kPage, prot, flags, file, off_t(first_page * kPage));
  CHECK(at != MAP_FAILED);
  return static_cast<char*>(at);
}

// Begins a program: its output is seen line by line, and faults are caught.
inline void start() {
  setvbuf(stdout, nullptr, _IOLBF, 4096);
  catch_faults();
}
