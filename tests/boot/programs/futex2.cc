// futex_waitv, futex_wake, futex_wait and futex_requeue: flags, clocks, and which of several words woke.
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/boot/programs/show.h"
#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr unsigned k32 = 2, kPrivate = 128;
constexpr unsigned long kAll = 0xffffffff;

struct Word {
  unsigned long value, address;
  unsigned flags, reserved;
};
unsigned g_words[200];
Word g_list[200];

long waitv(const void* list, unsigned count, unsigned flags = 0, const timespec* time = nullptr,
           int clock = CLOCK_MONOTONIC) {
  return syscall(449, list, count, flags, time, clock);
}
long wake(const void* word, unsigned long mask, int count, unsigned flags) {
  return syscall(454, word, mask, count, flags);
}
long wait(const void* word, unsigned long value, unsigned long mask, unsigned flags,
          const timespec* time = nullptr, int clock = CLOCK_MONOTONIC) {
  return syscall(455, word, value, mask, flags, time, clock);
}
long requeue(const void* pair, unsigned flags, int wakes, int moves) {
  return syscall(456, pair, flags, wakes, moves);
}

timespec in(clockid_t clock, long ns) {
  timespec time;
  clock_gettime(clock, &time);
  time.tv_sec += (time.tv_nsec + ns) / 1'000'000'000;
  time.tv_nsec = (time.tv_nsec + ns) % 1'000'000'000;
  return time;
}

void fresh(unsigned flags = k32 | kPrivate) {
  for (int i = 0; i < 200; ++i) {
    g_words[i] = 0;
    g_list[i] = {0, reinterpret_cast<unsigned long>(&g_words[i]), flags, 0};
  }
}

void refused() {
  fresh();
  SHOW(waitv(g_list, 0));
  SHOW(waitv(g_list, 129));
  SHOW(waitv(nullptr, 1));
  SHOW(waitv(g_list, 1, 1));
  SHOW(waitv(reinterpret_cast<void*>(8), 1));
  timespec time = in(CLOCK_MONOTONIC, 1'000'000);
  SHOW(waitv(g_list, 2, 0, &time));
  SHOW(waitv(g_list, 128, 0, &time));
  SHOW(waitv(g_list, 2, 0, &time, CLOCK_BOOTTIME));
  time = in(CLOCK_REALTIME, 1'000'000);
  SHOW(waitv(g_list, 2, 0, &time, CLOCK_REALTIME));
  time.tv_nsec = -1;
  SHOW(waitv(g_list, 2, 0, &time));
  SHOW(waitv(g_list, 2, 0, reinterpret_cast<timespec*>(8)));
  g_words[1] = 1;
  SHOW(waitv(g_list, 2));
  fresh();
  g_list[1].flags = kPrivate;
  SHOW(waitv(g_list, 2));
  g_list[1].flags = 3 | kPrivate;
  SHOW(waitv(g_list, 2));
  g_list[1].flags = 0x1000 | k32;
  SHOW(waitv(g_list, 2));
  fresh();
  g_list[1].reserved = 1;
  SHOW(waitv(g_list, 2));
  fresh();
  g_list[1].value = 0x100000000;
  SHOW(waitv(g_list, 2));
  fresh();
  g_list[1].address += 1;
  SHOW(waitv(g_list, 2));
  fresh();
  g_list[1].address = 0;
  SHOW(waitv(g_list, 2));
  SHOW(wake(g_words, kAll, 1, k32));
  SHOW(wake(g_words, 0, 1, k32));
  SHOW(wake(g_words, 0, 0, k32));
  SHOW(wake(g_words, kAll, 0, k32));
  SHOW(wake(nullptr, kAll, 0, k32));
  SHOW(wake(nullptr, kAll, 1, k32));
  SHOW(wake(g_words, kAll + 1, 1, k32));
  SHOW(wake(g_words, kAll, 1, 1));
  SHOW(wake(g_words, kAll, 1, k32 | 0x40));
  SHOW(wait(g_words, 1, kAll, k32));
  SHOW(wait(g_words, kAll + 1, kAll, k32));
  SHOW(wait(g_words, 0, kAll + 1, k32));
  SHOW(wait(g_words, 0, 0, k32));
  SHOW(wait(g_words, 0, kAll, 0));
  time = in(CLOCK_MONOTONIC, 1'000'000);
  SHOW(wait(g_words, 0, kAll, k32, &time));
  SHOW(wait(g_words, 0, kAll, k32, &time, 5));
  SHOW(requeue(nullptr, 0, 1, 1));
  SHOW(requeue(reinterpret_cast<void*>(8), 0, 1, 1));
  fresh();
  SHOW(requeue(g_list, 1, 1, 1));
  SHOW(requeue(g_list, 0, -1, 1));
  SHOW(requeue(g_list, 0, 1, -1));
  SHOW(requeue(g_list, 0, 1, 1));
  g_words[0] = 3;
  SHOW(requeue(g_list, 0, 1, 1));
}

struct Waiting {
  explicit Waiting(unsigned how_many) : count(how_many) {
    thread = start(*this);
    while (number == 0) sched_yield();
    await_thread_state(number, 'S');
  }
  void operator()() {
    number = tid();
    result = count != 0 ? waitv(g_list, count) : wait(&g_words[0], 0, 6, g_list[0].flags);
    error = errno;
  }
  void end(const char* name) {
    join(thread);
    printf("%s: %ld %s\n", name, result, result < 0 ? strerrorname_np(error) : "");
  }
  unsigned count;
  volatile pid_t number = 0;
  long result = -7;
  int error = 0;
  pthread_t thread;
};

void woken() {
  for (const unsigned flags : {k32, k32 | kPrivate}) {
    fresh(flags);
    Waiting many(100);
    SHOW(wake(&g_words[100], kAll, 1, flags));
    SHOW(wake(&g_words[99], kAll, 1, flags ^ kPrivate));
    SHOW(wake(&g_words[99], kAll, 1, flags));
    many.end("the last one");
    Waiting again(2);
    SHOW(syscall(SYS_futex, &g_words[0], FUTEX_WAKE | (flags & kPrivate), 1));
    again.end("the first one");
    Waiting with_mask(0);
    SHOW(wake(&g_words[0], 1, 1, flags));
    SHOW(wake(&g_words[0], 0, 1, flags));
    SHOW(wake(&g_words[0], kAll, 0, flags));
    SHOW(wake(&g_words[0], 4, 1, flags));
    with_mask.end("by a bit");
    Waiting first(0), second(0), third(0);
    Word pair[2] = {g_list[0], g_list[1]};
    SHOW(requeue(pair, 0, 1, 1));
    first.end("woken");
    SHOW(wake(&g_words[0], kAll, 5, flags));
    third.end("left");
    SHOW(wake(&g_words[1], kAll, 5, flags));
    second.end("moved");
  }
}

// Words of both kinds in one wait, and in one requeue, which that refuses.
void kinds() {
  fresh();
  g_list[1].flags = k32;
  SHOW(requeue(g_list, 0, 0, 1));
  Waiting both(2);
  SHOW(wake(&g_words[1], kAll, 1, k32));
  both.end("the shared one");
}

void interrupted() {
  fresh();
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  Waiting many(3);
  pthread_kill(many.thread, SIGUSR1);
  many.end("several, interrupted");
  Waiting one(0);
  pthread_kill(one.thread, SIGUSR1);
  one.end("one, interrupted");
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  Waiting goes_on(3), goes_on_too(0);
  pthread_kill(goes_on.thread, SIGUSR1);
  pthread_kill(goes_on_too.thread, SIGUSR1);
  usleep(1000);
  await_thread_state(goes_on.number, 'S');
  await_thread_state(goes_on_too.number, 'S');
  SHOW(wake(&g_words[2], kAll, 1, k32 | kPrivate));
  goes_on.end("several, restarted");
  SHOW(wake(&g_words[0], kAll, 1, k32 | kPrivate));
  goes_on_too.end("one, restarted");
}

}  // namespace

int main() {
  show_lines();
  check("refused", refused);
  check("woken", woken);
  check("two kinds of words", kinds);
  check("interrupted", interrupted);
  return finish();
}
