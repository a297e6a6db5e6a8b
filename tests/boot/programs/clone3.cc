// clone3(2): the structure's sizes, what must be zero, and what it checks beyond clone.
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include <initializer_list>

#include "tests/boot/programs/thread_checks.h"

// glibc's sched.h says the same.
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

namespace {

constexpr size_t kVersion0 = 64, kVersion1 = 80, kVersion2 = 88;
static_assert(sizeof(clone_args) == kVersion2);

// Returns twice; the child ends.
long raw(const void* arguments, size_t bytes) {
  fflush(stdout);
  const long result = syscall(SYS_clone3, arguments, bytes);
  if (result == 0) _exit(7);
  return result;
}
long raw(const clone_args& arguments, size_t bytes = sizeof(clone_args)) { return raw(&arguments, bytes); }
void check_child(long child) {
  int status = 0;
  CHECK(child > 0 && waitpid(static_cast<pid_t>(child), &status, __WALL) == child &&
        WEXITSTATUS(status) == 7);
}

void sizes() {
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  for (const size_t bytes : {kVersion0, kVersion1, kVersion2}) check_child(raw(arguments, bytes));
  check_child(raw(arguments, kVersion0 + 8));
  CHECK_ERRNO(raw(arguments, 0), EINVAL);
  CHECK_ERRNO(raw(arguments, kVersion0 - 1), EINVAL);
  CHECK_ERRNO(raw(arguments, 4097), E2BIG);
  alignas(8) static char large[4096];
  memcpy(large, &arguments, sizeof(arguments));
  check_child(raw(large, sizeof(large)));
  large[kVersion2] = 1;
  CHECK_ERRNO(raw(large, sizeof(large)), E2BIG);
  CHECK_ERRNO(raw(large, kVersion2 + 1), E2BIG);
  check_child(raw(large, kVersion2));
  large[kVersion2] = 0;
  large[4095] = 1;
  CHECK_ERRNO(raw(large, sizeof(large)), E2BIG);
  CHECK_ERRNO(raw(nullptr, kVersion0), EFAULT);
  CHECK_ERRNO(raw(reinterpret_cast<void*>(0xffff800000000000), kVersion0), EFAULT);
  auto* const page =
      static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(page + 4096, 4096);
  memcpy(page + 4096 - kVersion0, &arguments, kVersion0);
  check_child(raw(page + 4096 - kVersion0, kVersion0));
  CHECK_ERRNO(raw(page + 4096 - kVersion0, kVersion1), EFAULT);
}

void flags() {
  const auto refused = [](uint64_t flags, uint64_t exit_signal) {
    clone_args arguments = {};
    arguments.flags = flags;
    arguments.exit_signal = exit_signal;
    CHECK_ERRNO(raw(arguments), EINVAL);
  };
  refused(SIGCHLD, 0);  // the signal has a place of its own
  refused(1, SIGCHLD);
  refused(0x400000 /* CLONE_DETACHED */, SIGCHLD);
  refused(1ull << 40, SIGCHLD);
  refused(1ull << 63, SIGCHLD);
  refused(0, 65);
  refused(0, 256 + SIGCHLD);
  refused(0, 1ull << 32);
  refused(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, SIGCHLD);
  refused(CLONE_PARENT, SIGCHLD);
  refused(CLONE_THREAD, 0);
  refused(CLONE_SIGHAND, SIGCHLD);
  refused(CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND, SIGCHLD);
  clone_args arguments = {};
  signal(64, SIG_IGN);
  arguments.exit_signal = 64;
  check_child(raw(arguments));
  arguments.exit_signal = 0;
  check_child(raw(arguments));
}

void stacks() {
  static char stack[1 << 14];
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.stack = reinterpret_cast<uint64_t>(stack);
  CHECK_ERRNO(raw(arguments), EINVAL);  // no size
  arguments.stack = 0;
  arguments.stack_size = sizeof(stack);
  CHECK_ERRNO(raw(arguments), EINVAL);  // no place
  arguments.stack = 0x7fff'ffff'f000;
  arguments.stack_size = 1 << 20;
  CHECK_ERRNO(raw(arguments), EINVAL);  // beyond what a program has
  arguments.stack = ~0ull - 4096;
  arguments.stack_size = 8192;
  CHECK_ERRNO(raw(arguments), EINVAL);  // around the end
}

void chosen_numbers() {
  pid_t wanted[2] = {0, 0};
  clone_args arguments = {};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<uint64_t>(wanted);
  CHECK_ERRNO(raw(arguments), EINVAL);
  arguments.set_tid = 0;
  arguments.set_tid_size = 1;
  CHECK_ERRNO(raw(arguments), EINVAL);
  arguments.set_tid = reinterpret_cast<uint64_t>(wanted);
  arguments.set_tid_size = 33;
  CHECK_ERRNO(raw(arguments), EINVAL);
  arguments.set_tid_size = 1;
  CHECK_ERRNO(raw(arguments), EINVAL);  // no number is 0
}

void cleared_handlers() {
  signal(SIGUSR1, [](int) {});
  signal(SIGUSR2, SIG_IGN);
  clone_args arguments = {};
  arguments.flags = CLONE_CLEAR_SIGHAND;
  arguments.exit_signal = SIGCHLD;
  fflush(stdout);
  const long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (child == 0) {
    struct sigaction first, second;
    CHECK(sigaction(SIGUSR1, nullptr, &first) == 0 && sigaction(SIGUSR2, nullptr, &second) == 0);
    _exit(first.sa_handler == SIG_DFL && second.sa_handler == SIG_IGN ? 7 : 1);
  }
  check_child(child);
  signal(SIGUSR1, SIG_DFL);
  signal(SIGUSR2, SIG_DFL);
}

void words() {
  static int parent_word, child_word;
  clone_args arguments = {};
  arguments.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  arguments.exit_signal = SIGCHLD;
  arguments.parent_tid = reinterpret_cast<uint64_t>(&parent_word);
  arguments.child_tid = reinterpret_cast<uint64_t>(&child_word);
  fflush(stdout);
  const long child = syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (child == 0) _exit(child_word == getpid() ? 7 : 1);
  CHECK(parent_word == child);
  check_child(child);
}

}  // namespace

int main() {
  check("sizes", sizes);
  check("flags", flags);
  check("stacks", stacks);
  check("chosen numbers", chosen_numbers);
  check("cleared handlers", cleared_handlers);
  check("words", words);
  return finish();
}
