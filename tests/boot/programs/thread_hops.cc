// Threads of one process, and two processes, that take turns. The spans are marked for the counters, where
// there is such a thing.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr int kHops = 1000;
int g_marks;

void mark(const char* text) {
  if (g_marks >= 0) CHECK(write(g_marks, text, strlen(text)) > 0);
}

// The turn goes to and fro between 0 and 1.
void take_turns(int* turn, int mine, int scope) {
  for (int hop = 0; hop < kHops / 2; ++hop) {
    while (__atomic_load_n(turn, __ATOMIC_SEQ_CST) != mine) {
      syscall(SYS_futex, turn, FUTEX_WAIT | scope, 1 - mine, nullptr);
    }
    __atomic_store_n(turn, 1 - mine, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, turn, FUTEX_WAKE | scope, 1);
  }
}

void threads() {
  static int turn = 1;
  static Flag there;
  auto other = [] {
    there.set();
    take_turns(&turn, 1, FUTEX_PRIVATE_FLAG);
  };
  const pthread_t thread = start(other);
  there.await();
  mark("begin threads");
  take_turns(&turn, 0, FUTEX_PRIVATE_FLAG);
  mark("end threads");
  join(thread);
}

void processes() {
  auto* const turn =
      static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  *turn = 1;
  const pid_t child = fork();
  if (child == 0) {
    take_turns(turn, 1, 0);
    _exit(0);
  }
  mark("begin processes");
  take_turns(turn, 0, 0);
  mark("end processes");
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

}  // namespace

int main() {
  g_marks = open("/dev/nopte-mark", O_WRONLY | O_CLOEXEC);
  check("threads take turns", threads);
  check("processes take turns", processes);
  return finish();
}
