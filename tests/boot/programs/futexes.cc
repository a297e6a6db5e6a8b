// Futexes: which words are the same one, who wakes up and in which order, what is refused.
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

constexpr size_t kPage = 4096;
constexpr int kChildStatus = 33;
const char* g_self;
constexpr size_t kWordsInPage = kPage / sizeof(int);
constexpr int kAnyBit = -1;

// What the call answers: a count, or a negative errno.
long futex(void* word, int operation, int value, const void* timeout = nullptr, void* second = nullptr,
           int third = 0) {
  const long result = syscall(SYS_futex, word, operation, value, timeout, second, third);
  return result < 0 ? -errno : result;
}
long requeue(int* from, int operation, int wake, long move, int* to, int expected = 0) {
  return futex(from, operation, wake, reinterpret_cast<void*>(move), to, expected);
}

int* map(int prot, int flags, int file = -1, size_t pages = 1) {
  void* const at = mmap(nullptr, pages * kPage, prot, file < 0 ? flags | MAP_ANONYMOUS : flags, file, 0);
  CHECK(at != MAP_FAILED);
  return static_cast<int*>(at);
}

// A child that waits on the word while it is 0; it leaves with 0 once it is woken.
pid_t waiter(int* word, int operation = FUTEX_WAIT, int bits = kAnyBit) {
  const pid_t child = fork();
  if (child == 0) _exit(futex(word, operation, 0, nullptr, nullptr, bits) == 0 ? 0 : 1);
  return child;
}
// Returns once so many wait there: requeueing a word's waiters to itself counts them.
void await_waiters(int* word, long waiters, int scope = 0) {
  long now = 0;
  do {
    sched_yield();
    now = requeue(word, FUTEX_CMP_REQUEUE | scope, 0, 1000, word, *word);
    CHECK(now >= 0);
  } while (now != waiters);
}
pid_t settled_waiter(int* word, long waiters, int operation = FUTEX_WAIT, int bits = kAnyBit) {
  const pid_t child = waiter(word, operation, bits);
  await_waiters(word, waiters);
  return child;
}
void check_woken(pid_t child) {
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}
void end(pid_t child) { CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child); }

void sameness() {
  check("shared_memory_across_fork", [] {
    int* const words = map(PROT_READ | PROT_WRITE, MAP_SHARED, -1, 2);
    int* const word = words + kWordsInPage + 3;
    const pid_t child = settled_waiter(word, 1);
    CHECK(futex(words + 3, FUTEX_WAKE, 1) == 0);  // the same place in another page
    CHECK(futex(word, FUTEX_WAKE_PRIVATE, 1) == 0);
    CHECK(futex(word, FUTEX_WAKE, 1) == 1);
    check_woken(child);
    munmap(words, 2 * kPage);
  });
  check("file_at_different_addresses", [] {
    char name[] = "/tmp/futexes-XXXXXX";
    const int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && ftruncate(file, 2 * kPage) == 0);
    int* const whole = map(PROT_READ | PROT_WRITE, MAP_SHARED, file, 2);
    void* const second = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, kPage);
    CHECK(second != MAP_FAILED);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      munmap(whole, 2 * kPage);
      _exit(futex(static_cast<int*>(second) + 1, FUTEX_WAIT, 0) == 0 ? 0 : 1);
    }
    await_waiters(whole + kWordsInPage + 1, 1);
    CHECK(futex(whole + 1, FUTEX_WAKE, 1) == 0);
    CHECK(futex(whole + kWordsInPage + 1, FUTEX_WAKE, 1) == 1);
    check_woken(child);
    // Whoever wrote to a private mapping has a page of its own.
    int* const own = map(PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 2);
    const pid_t other = settled_waiter(whole, 1);
    CHECK(futex(own, FUTEX_WAKE, 1) == 0 && futex(whole, FUTEX_WAKE, 1) == 1);
    check_woken(other);
    close(file);
  });
  check("private_memory_across_fork", [] {
    int* const word = map(PROT_READ | PROT_WRITE, MAP_PRIVATE);
    for (const int scope : {0, FUTEX_PRIVATE_FLAG}) {
      const pid_t child = waiter(word, FUTEX_WAIT | scope);
      await_state(child, 'S');
      CHECK(futex(word, FUTEX_WAKE | scope, 1) == 0);
      end(child);
    }
    munmap(word, kPage);
  });
  check("shared_space", [] {
    static char stack[64 << 10];
    static int word, operation;
    for (const int scope : {0, FUTEX_PRIVATE_FLAG}) {
      operation = FUTEX_WAIT | scope;
      const auto body = [](void*) { return syscall(SYS_futex, &word, operation, 0, nullptr) == 0 ? 0 : 1; };
      const pid_t child = clone(body, stack + sizeof(stack), CLONE_VM | SIGCHLD, nullptr);
      CHECK(child > 0);
      await_waiters(&word, 1, scope);
      CHECK(futex(&word, FUTEX_WAKE | (scope ^ FUTEX_PRIVATE_FLAG), 1) == 0);
      CHECK(futex(&word, FUTEX_WAKE | scope, 1) == 1);
      check_woken(child);
    }
  });
  // The word that exit clears: only where others see the space still.
  check("cleared_at_exit", [] {
    static char stack[64 << 10];
    int* const word = map(PROT_READ | PROT_WRITE, MAP_SHARED);
    for (const int flags : {0, CLONE_VM}) {
      *word = 77;
      const auto body = [](void*) { return 0; };
      const pid_t child = clone(body, stack + sizeof(stack), flags | SIGCHLD | CLONE_CHILD_CLEARTID, nullptr,
                                nullptr, nullptr, word);
      CHECK(child > 0);
      if (flags != 0) {
        const long waited = futex(word, FUTEX_WAIT, 77);
        CHECK(waited == 0 || waited == -EAGAIN);
      }
      check_woken(child);
      CHECK(*word == (flags == 0 ? 77 : 0));
    }
    munmap(word, kPage);
  });
}

void order() {
  check("first_come_first_woken", [] {
    int* const word = map(PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t children[3];
    for (int i = 0; i < 3; ++i) children[i] = settled_waiter(word, i + 1);
    for (const pid_t child : children) {
      CHECK(futex(word, FUTEX_WAKE, 0) == 1);  // one at least
      check_woken(child);
    }
    CHECK(futex(word, FUTEX_WAKE, 1) == 0);
    munmap(word, kPage);
  });
  check("bits", [] {
    int* const word = map(PROT_READ | PROT_WRITE, MAP_SHARED);
    const pid_t any = settled_waiter(word, 1);
    const pid_t two = settled_waiter(word, 2, FUTEX_WAIT_BITSET, 2);
    const pid_t six = settled_waiter(word, 3, FUTEX_WAIT_BITSET, 6);
    CHECK(futex(word, FUTEX_WAKE_BITSET, 9, nullptr, nullptr, 8) == 1);
    check_woken(any);
    CHECK(futex(word, FUTEX_WAKE_BITSET, 9, nullptr, nullptr, 4) == 1);
    check_woken(six);
    CHECK(futex(word, FUTEX_WAKE, 9) == 1);
    check_woken(two);
    munmap(word, kPage);
  });
  check("requeue", [] {
    int* const words = map(PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t children[4];
    for (int i = 0; i < 4; ++i) children[i] = settled_waiter(words, i + 1);
    CHECK(requeue(words, FUTEX_CMP_REQUEUE, 1, 2, words + 1, 5) == -EAGAIN);
    CHECK(requeue(words, FUTEX_REQUEUE, 1, 2, words + 1) == 3);
    check_woken(children[0]);
    CHECK(futex(words, FUTEX_WAKE, 9) == 1);
    check_woken(children[3]);
    for (const pid_t child : {children[1], children[2]}) {
      CHECK(futex(words + 1, FUTEX_WAKE, 1) == 1);
      check_woken(child);
    }
    CHECK(requeue(words, FUTEX_REQUEUE, -1, 1, words + 1) == -EINVAL);
    CHECK(requeue(words, FUTEX_REQUEUE, 1, -1, words + 1) == -EINVAL);
    munmap(words, kPage);
  });
}

void refusals() {
  check("times", [] {
    int word = 0;
    const timespec soon{0, 1'000'000}, past{0, 0}, bad{0, 1'000'000'000};
    CHECK(futex(&word, FUTEX_WAIT, 1) == -EAGAIN);
    CHECK(futex(&word, FUTEX_WAIT, 0, &soon) == -ETIMEDOUT);
    CHECK(futex(&word, FUTEX_WAIT, 0, &bad) == -EINVAL);
    for (const int clock : {0, FUTEX_CLOCK_REALTIME}) {
      CHECK(futex(&word, FUTEX_WAIT_BITSET | clock, 0, &past, nullptr, kAnyBit) == -ETIMEDOUT);
    }
    CHECK(futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1) == -ENOSYS);
    CHECK(futex(&word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1) == -ENOSYS);
  });
  check("arguments", [] {
    int words[2] = {};
    CHECK(futex(words, 2, 0) == -ENOSYS && futex(words, 50, 0) == -ENOSYS);
    CHECK(futex(reinterpret_cast<char*>(words) + 1, FUTEX_WAKE, 1) == -EINVAL);
    CHECK(futex(words, FUTEX_WAIT_BITSET, 0) == -EINVAL && futex(words, FUTEX_WAKE_BITSET, 1) == -EINVAL);
  });
  check("memory", [] {
    void* const unmapped = reinterpret_cast<void*>(0x1000);
    void* const kernel = reinterpret_cast<void*>(0xffff'8000'0000'0000);
    CHECK(futex(unmapped, FUTEX_WAKE_PRIVATE, 1) == 0 && futex(unmapped, FUTEX_WAKE, 1) == -EFAULT);
    CHECK(futex(kernel, FUTEX_WAKE_PRIVATE, 1) == -EFAULT && futex(kernel, FUTEX_WAKE, 1) == -EFAULT);
    CHECK(futex(unmapped, FUTEX_WAIT_PRIVATE, 0) == -EFAULT && futex(unmapped, FUTEX_WAIT, 0) == -EFAULT);
    // Memory that can never change is no futex.
    int* const constant = map(PROT_READ, MAP_PRIVATE);
    CHECK(futex(constant, FUTEX_WAKE, 1) == -EFAULT && futex(constant, FUTEX_WAKE_PRIVATE, 1) == 0);
    int* const shown = map(PROT_READ, MAP_SHARED);
    CHECK(futex(shown, FUTEX_WAKE, 1) == 0);
    int* const hidden = map(PROT_NONE, MAP_SHARED);
    CHECK(futex(hidden, FUTEX_WAKE, 1) == -EFAULT && futex(hidden, FUTEX_WAKE_PRIVATE, 1) == 0);
    char name[] = "/tmp/futexes-XXXXXX";
    const int file = mkstemp(name);
    CHECK(file >= 0 && unlink(name) == 0 && ftruncate(file, kPage) == 0);
    int* const words = map(PROT_READ, MAP_SHARED, file, 2);
    CHECK(futex(words, FUTEX_WAKE, 1) == 0 && futex(words + kWordsInPage, FUTEX_WAKE, 1) == -EFAULT);
    CHECK(futex(words + kWordsInPage, FUTEX_WAIT, 0) == -EFAULT);
    close(file);
  });
}

// In shared memory.
pthread_mutex_t* robust_mutex() {
  auto* const mutex = reinterpret_cast<pthread_mutex_t*>(map(PROT_READ | PROT_WRITE, MAP_SHARED));
  pthread_mutexattr_t attributes;
  CHECK(pthread_mutexattr_init(&attributes) == 0);
  CHECK(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  CHECK(pthread_mutex_init(mutex, &attributes) == 0);
  return mutex;
}

// A mutex whose owner ended: the next one gets it, and is told.
void deaths() {
  check("robust_mutex", [] {
    pthread_mutex_t* const mutex = robust_mutex();
    CHECK(status_of_child([=] { CHECK(pthread_mutex_lock(mutex) == 0); }) == 0);
    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD && pthread_mutex_consistent(mutex) == 0);
    CHECK(pthread_mutex_unlock(mutex) == 0);
    // And while somebody waits for it.
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
      CHECK(pthread_mutex_lock(mutex) == 0 && write(ends[1], "l", 1) == 1);
      await_state(parent, 'S');
      kill(getpid(), SIGKILL);
    }
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD && pthread_mutex_consistent(mutex) == 0);
    CHECK(pthread_mutex_unlock(mutex) == 0 && waitpid(child, nullptr, 0) == child);
    close(ends[0]);
    close(ends[1]);
  });
  check("robust_mutex_at_exec", [] {
    pthread_mutex_t* const mutex = robust_mutex();
    const int status = status_of_child([=] {
      CHECK(pthread_mutex_lock(mutex) == 0);
      execl("/nowhere", "nowhere", nullptr);
      CHECK(pthread_mutex_unlock(mutex) == 0 && pthread_mutex_lock(mutex) == 0);  // held still
      execl(g_self, g_self, "child", nullptr);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == kChildStatus);
    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD && pthread_mutex_consistent(mutex) == 0);
    CHECK(pthread_mutex_unlock(mutex) == 0);
  });
  check("robust_list", [] {
    void* head = nullptr;
    size_t bytes = 0;
    CHECK(syscall(SYS_get_robust_list, 0, &head, &bytes) == 0 && head != nullptr && bytes == 24);
    CHECK_ERRNO(syscall(SYS_set_robust_list, head, 23), EINVAL);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 999'999, &head, &bytes), ESRCH);
    // Lists that lead nowhere, or round and round.
    CHECK(status_of_child([] { CHECK(syscall(SYS_set_robust_list, 8, 24) == 0); }) == 0);
    static void* other[2] = {other, nullptr};
    static void* loop[3] = {other, nullptr, nullptr};
    CHECK(status_of_child([] { CHECK(syscall(SYS_set_robust_list, loop, 24) == 0); }) == 0);
  });
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) return kChildStatus;
  g_self = arguments[0];
  sameness();
  order();
  deaths();
  refusals();
  return finish();
}
