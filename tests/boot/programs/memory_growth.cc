// Memory that grows by itself or by brk, as a program sees it: the heap, the stack. The same on Linux.
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "tests/boot/programs/memory_checks.h"

namespace {

// --- brk, stack ----------------------------------------------------------------------------------------

void brk_grows_and_shrinks() {
  const auto set = [](uintptr_t end) { return uintptr_t(syscall(SYS_brk, end)); };
  const uintptr_t start = set(0);
  CHECK(start != 0);
  CHECK(set(start + 10 * kPage) == start + 10 * kPage);
  char* heap = reinterpret_cast<char*>((start + kPage - 1) & ~(kPage - 1));
  CHECK(zero(heap, 9 * kPage));
  memset(heap, 2, 9 * kPage);
  CHECK(set(start + 3 * kPage) == start + 3 * kPage);
  CHECK(!readable(heap + 4 * kPage));
  CHECK(set(start + 10 * kPage) == start + 10 * kPage);
  CHECK(heap[kPage] == 2 && zero(heap + 4 * kPage, 5 * kPage));
  CHECK(set(1) == start + 10 * kPage);
  CHECK(set(start) == start);
}

[[gnu::noinline]] size_t use_stack(size_t pages) {
  volatile char frame[kPage];
  frame[0] = char(pages);
  const size_t deeper = pages == 0 ? 0 : use_stack(pages - 1);
  return deeper + (frame[0] == char(pages));
}

void the_stack_grows() { CHECK(use_stack(1000) == 1001); }

void the_stack_ends() {
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    const rlimit limit{8 << 20, 8 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    _exit(use_stack(4000) != 0 ? 3 : 4);
  }
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

void grows_down_mappings_grow() {
  char* at = map(1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_GROWSDOWN);
  CHECK(fault_of_write(at - 1).signal == 0);
  CHECK(fault_of_write(at - 2 * kPage).signal == 0);
  CHECK(at[-1] == 1);
  unmap(at - 2 * kPage, 3);
}

}  // namespace

int main() {
  start();
  check("brk_grows_and_shrinks", brk_grows_and_shrinks);
  check("the_stack_grows", the_stack_grows);
  check("the_stack_ends", the_stack_ends);
  check("grows_down_mappings_grow", grows_down_mappings_grow);
  return finish();
}
