// FUTEX_WAKE_OP with every operation and comparison, what is refused, and threads on one word: the rest of
// futexes.cc.
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr unsigned kShift = 8;

long futex(void* word, int operation, unsigned value, unsigned long fourth = 0, void* second = nullptr,
           unsigned third = 0) {
  const long result = syscall(SYS_futex, word, operation, value, fourth, second, third);
  return result < 0 ? -errno : result;
}
constexpr unsigned code(unsigned operation, int argument, unsigned comparison, int limit) {
  return operation << 28 | comparison << 24 | (static_cast<unsigned>(argument) & 0xfff) << 12 |
         (static_cast<unsigned>(limit) & 0xfff);
}
long wake_op(int* first, int* second, unsigned what, int scope = FUTEX_PRIVATE_FLAG) {
  return futex(first, FUTEX_WAKE_OP | scope, 1, 1, second, what);
}

void operations() {
  int first = 0, second;
  const struct {
    unsigned operation;
    int argument, before, after;
  } kCases[] = {{FUTEX_OP_SET, 5, 9, 5},
                {FUTEX_OP_SET, -1, 9, -1},
                {FUTEX_OP_ADD, 7, 3, 10},
                {FUTEX_OP_ADD, -4, 3, -1},
                {FUTEX_OP_OR, 6, 9, 15},
                {FUTEX_OP_ANDN, 6, 15, 9},
                {FUTEX_OP_XOR, 5, 3, 6},
                {FUTEX_OP_SET | kShift, 4, 0, 16},
                {FUTEX_OP_OR | kShift, 31, 0, static_cast<int>(0x80000000)},
                {FUTEX_OP_ADD | kShift, 10, 1, 1025}};
  for (const auto& at : kCases) {
    second = at.before;
    CHECK(wake_op(&first, &second, code(at.operation, at.argument, FUTEX_OP_CMP_EQ, 0)) == 0);
    CHECK(second == at.after);
  }
  CHECK(wake_op(&first, &second, code(5, 0, 0, 0)) == -ENOSYS);
  CHECK(wake_op(&first, &second, code(7, 0, 0, 0)) == -ENOSYS);
  second = 1;
  CHECK(wake_op(&first, &second, code(FUTEX_OP_SET, 8, 6, 0)) == -ENOSYS);
}

// Threads that wait on a word each; how many the call wakes.
int g_words[2];
struct Waiting {
  explicit Waiting(int which) : word(&g_words[which]) {
    thread = start(*this);
    while (number == 0) sched_yield();
    await_thread_state(number, 'S');
  }
  void operator()() {
    number = tid();
    result = futex(word, FUTEX_WAIT_PRIVATE, 0);
  }
  int* word;
  volatile pid_t number = 0;
  long result = -1;
  pthread_t thread;
};

void comparisons() {
  const struct {
    unsigned comparison;
    int before, limit;
    bool holds;
  } kCases[] = {
      {FUTEX_OP_CMP_EQ, 3, 3, true},  {FUTEX_OP_CMP_EQ, 3, 4, false},  {FUTEX_OP_CMP_NE, 3, 4, true},
      {FUTEX_OP_CMP_NE, 3, 3, false}, {FUTEX_OP_CMP_LT, -5, -4, true}, {FUTEX_OP_CMP_LT, 3, 3, false},
      {FUTEX_OP_CMP_LE, 3, 3, true},  {FUTEX_OP_CMP_LE, 4, 3, false},  {FUTEX_OP_CMP_GT, 0, -1, true},
      {FUTEX_OP_CMP_GT, 3, 3, false}, {FUTEX_OP_CMP_GE, 3, 3, true},   {FUTEX_OP_CMP_GE, 2, 3, false}};
  for (const auto& at : kCases) {
    g_words[0] = g_words[1] = 0;
    Waiting first(0), second(1);
    g_words[1] = at.before;
    CHECK(wake_op(&g_words[0], &g_words[1], code(FUTEX_OP_ADD, 0, at.comparison, at.limit)) ==
          (at.holds ? 2 : 1));
    join(first.thread);
    CHECK(futex(&g_words[1], FUTEX_WAKE_PRIVATE, 9) == (at.holds ? 0 : 1));
    join(second.thread);
    CHECK(first.result == 0 && second.result == 0);
  }
}

void bad_words() {
  int word = 0;
  auto* const page =
      static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  munmap(page, 4096);
  auto* const gone = reinterpret_cast<int*>(page);
  auto* const odd = reinterpret_cast<int*>(reinterpret_cast<char*>(&word) + 2);
  auto* const kernel = reinterpret_cast<int*>(0xffff800000000000);
  const unsigned nothing = code(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0);
  CHECK(wake_op(odd, &word, nothing) == -EINVAL && wake_op(&word, odd, nothing) == -EINVAL);
  CHECK(wake_op(&word, gone, nothing) == -EFAULT && wake_op(&word, gone, nothing, 0) == -EFAULT);
  CHECK(wake_op(kernel, &word, nothing) == -EFAULT && wake_op(&word, kernel, nothing) == -EFAULT);
  CHECK(wake_op(gone, &word, nothing) == 0 && wake_op(gone, &word, nothing, 0) == -EFAULT);
  // A wake at a bad address: private ones never look.
  CHECK(futex(gone, FUTEX_WAKE, 1) == -EFAULT && futex(gone, FUTEX_WAKE_PRIVATE, 1) == 0);
  CHECK(futex(kernel, FUTEX_WAKE, 1) == -EFAULT && futex(kernel, FUTEX_WAKE_PRIVATE, 1) == -EFAULT);
  CHECK(futex(nullptr, FUTEX_WAKE, 1) == -EFAULT);
  CHECK(futex(odd, FUTEX_WAKE, 1) == -EINVAL && futex(odd, FUTEX_WAIT, 0) == -EINVAL);
  CHECK(futex(gone, FUTEX_WAIT_PRIVATE, 0) == -EFAULT);
  CHECK(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, odd, 0) == -EINVAL);
  CHECK(futex(&word, 99, 0) == -ENOSYS && futex(&word, 2 /* FUTEX_FD */, 0) == -ENOSYS);
  CHECK(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0) == -ENOSYS);
}

void read_only_word() {
  auto* const word = static_cast<int*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  int other = 0;
  CHECK(wake_op(&other, word, code(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0)) == -EFAULT);
  munmap(word, 4096);
}

timespec from_now(clockid_t clock, long ns) {
  timespec time;
  CHECK(clock_gettime(clock, &time) == 0);
  time.tv_nsec += ns;
  if (time.tv_nsec >= 1'000'000'000) {
    time.tv_nsec -= 1'000'000'000;
    ++time.tv_sec;
  }
  return time;
}

void timeouts() {
  int word = 0;
  const auto wait = [&](int operation, const timespec& time, unsigned bits) {
    return futex(&word, operation, 0, reinterpret_cast<unsigned long>(&time), nullptr, bits);
  };
  CHECK(wait(FUTEX_WAIT_PRIVATE, {0, 2'000'000}, 0) == -ETIMEDOUT);
  CHECK(wait(FUTEX_WAIT_PRIVATE, {0, 1'000'000'000}, 0) == -EINVAL);
  CHECK(wait(FUTEX_WAIT_PRIVATE, {-1, 0}, 0) == -EINVAL);
  CHECK(wait(FUTEX_WAIT_BITSET_PRIVATE, from_now(CLOCK_MONOTONIC, 2'000'000), ~0u) == -ETIMEDOUT);
  CHECK(wait(FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, from_now(CLOCK_REALTIME, 2'000'000), ~0u) ==
        -ETIMEDOUT);
  CHECK(wait(FUTEX_WAIT_BITSET_PRIVATE, {0, 0}, ~0u) == -ETIMEDOUT);
  CHECK(wait(FUTEX_WAIT_BITSET_PRIVATE, {0, 0}, 0) == -EINVAL);
  CHECK(futex(&word, FUTEX_WAIT_PRIVATE, 0, 8) == -EFAULT);
}

// By process and page: a private word is known to all threads, whichever way it is mapped to none else.
void private_words() {
  g_words[0] = g_words[1] = 0;
  Waiting a(0), b(0), c(0);
  CHECK(futex(&g_words[0], FUTEX_WAKE, 9) == 0);  // a shared operation is another word
  CHECK(futex(&g_words[0], FUTEX_WAKE_PRIVATE, 1) == 1);
  CHECK(futex(&g_words[0], FUTEX_CMP_REQUEUE_PRIVATE, 1, 9, &g_words[1], 5) == -EAGAIN);
  CHECK(futex(&g_words[0], FUTEX_CMP_REQUEUE_PRIVATE, 0, 9, &g_words[1], 0) == 2);
  CHECK(futex(&g_words[0], FUTEX_WAKE_PRIVATE, 9) == 0);
  CHECK(futex(&g_words[1], FUTEX_WAKE_PRIVATE, 9) == 2);
  join(a.thread);
  join(b.thread);
  join(c.thread);
}

// A shared word by its object: two mappings of it, in two processes.
void shared_words() {
  const int file = memfd_create("words", 0);
  CHECK(file >= 0 && ftruncate(file, 8192) == 0);
  const auto map = [&] {
    return static_cast<int*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  };
  int* const here = map();
  const pid_t child = fork();
  if (child == 0) {
    int* const there = map();
    const pid_t own = getpid();
    (void)own;
    _exit(futex(&there[1024], FUTEX_WAIT, 0) == 0 ? 17 : 1);
  }
  await_state(child, 'S');
  CHECK(futex(&here[0], FUTEX_WAKE, 9) == 0);
  CHECK(futex(&here[1024], FUTEX_WAKE_PRIVATE, 9) == 0);
  CHECK(futex(&here[1024], FUTEX_WAKE, 9) == 1);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 17);
  munmap(here, 8192);
  close(file);
}

}  // namespace

int main() {
  check("operations", operations);
  check("comparisons", comparisons);
  check("bad words", bad_words);
  check("a word that cannot be written", read_only_word);
  check("timeouts", timeouts);
  check("private words", private_words);
  check("shared words", shared_words);
  return finish();
}
