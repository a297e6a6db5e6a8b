// Who takes turns: a byte goes round a ring of pipes, or a word in memory round a ring of futexes.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

#include "experiments/workloads/mmlat/measure.h"

namespace curves {

struct Pipe {
  int read_end;
  int write_end;
};

inline Pipe make_pipe() {
  int ends[2];
  mmlat::expect(pipe(ends) == 0, "pipe");
  return {ends[0], ends[1]};
}

inline void send(int fd) {
  const char byte = 'x';
  mmlat::expect(write(fd, &byte, 1) == 1, "write to a pipe");
}

// False at the end of the pipe.
inline bool receive(int fd) {
  char byte = 0;
  const ssize_t count = read(fd, &byte, 1);
  mmlat::expect(count >= 0, "read from a pipe");
  return count == 1;
}

// A word that one thread waits for and another gives, each on a line of its own.
struct alignas(64) Baton {
  std::atomic<uint32_t> word;

  void give(uint32_t what) {
    word.store(what);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  uint32_t take() {
    uint32_t what;
    while ((what = word.exchange(0)) == 0)
      syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    return what;
  }
};

}  // namespace curves
