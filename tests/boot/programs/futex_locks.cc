// Words that are owned (FUTEX_LOCK_PI and its kin): who gets them, what is refused, what the death of an
// owner does, and waiting that is moved to such a word.
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/boot/programs/show.h"
#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr unsigned kWaiters = FUTEX_WAITERS, kDied = FUTEX_OWNER_DIED, kTid = FUTEX_TID_MASK;
constexpr int kPrivate = FUTEX_PRIVATE_FLAG;
constexpr int kLock2 = 13;

long futex(void* word, int operation, unsigned value = 0, const void* fourth = nullptr,
           void* second = nullptr, unsigned third = 0) {
  return syscall(SYS_futex, word, operation, value, fourth, second, third);
}
const void* number(long value) { return reinterpret_cast<const void*>(value); }

timespec in(clockid_t clock, long ns) {
  timespec time;
  clock_gettime(clock, &time);
  time.tv_sec += (time.tv_nsec + ns) / 1'000'000'000;
  time.tv_nsec = (time.tv_nsec + ns) % 1'000'000'000;
  return time;
}

// What the word says, without numbers that differ.
void show_word(const char* name, unsigned word, pid_t owner) {
  const unsigned tid = word & kTid;
  printf("%s: %s%s%s\n", name,
         tid == 0                 ? "nobody's"
         : tid == unsigned(owner) ? "owned"
                                  : "another's",
         (word & kWaiters) != 0 ? ", waiters" : "", (word & kDied) != 0 ? ", owner died" : "");
}

unsigned g_word, g_other;

// A thread that locks the word and keeps it until it is told to go on.
struct Owner {
  explicit Owner(unsigned* which = &g_word, bool ends_locked = false) : word(which), dies(ends_locked) {
    thread = start(*this);
    while (number == 0 || !locked.is_set()) sched_yield();
  }
  void operator()() {
    number = tid();
    result = futex(word, FUTEX_LOCK_PI | kPrivate);
    locked.set();
    go_on.await();
    if (!dies) unlocked = futex(word, FUTEX_UNLOCK_PI | kPrivate);
  }
  void end() {
    go_on.set();
    join(thread);
  }
  unsigned* word;
  bool dies;
  volatile pid_t number = 0;
  Flag locked, go_on;
  long result = -1, unlocked = -1;
  pthread_t thread;
};

// A thread that wants the word, and sleeps.
struct Wanting {
  explicit Wanting(unsigned* which = &g_word) : word(which) {
    thread = start(*this);
    while (number == 0) sched_yield();
    await_thread_state(number, 'S');
  }
  void operator()() {
    number = tid();
    result = futex(word, FUTEX_LOCK_PI | kPrivate);
    error = errno;
    seen = *word;
    got.set();
    if (result == 0) unlocked = futex(word, FUTEX_UNLOCK_PI | kPrivate);
  }
  void end(const char* name) {
    join(thread);
    printf("%s: %ld %s, then %ld\n", name, result, result == 0 ? "" : strerrorname_np(error), unlocked);
    show_word(name, seen, number);
  }
  unsigned* word;
  volatile pid_t number = 0;
  Flag got;
  long result = -1, unlocked = -1;
  int error = 0;
  unsigned seen = 0;
  pthread_t thread;
};

void alone() {
  g_word = 0;
  SHOW(futex(&g_word, FUTEX_LOCK_PI));
  show_word("locked", g_word, tid());
  SHOW(futex(&g_word, FUTEX_LOCK_PI));
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI));
  SHOW(futex(&g_word, kLock2));
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI));
  show_word("unlocked", g_word, tid());
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI));
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI));
  show_word("tried", g_word, tid());
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI));
  g_word = kDied;
  SHOW(futex(&g_word, kLock2));
  show_word("of one that died", g_word, tid());
  g_word = kDied | kWaiters;
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI));
  show_word("of one that died", g_word, tid());
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI));
  show_word("unlocked", g_word, tid());
}

void refused() {
  auto* const gone = static_cast<char*>(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  SHOW(futex(gone, FUTEX_LOCK_PI));
  SHOW(futex(gone, FUTEX_LOCK_PI | kPrivate));
  SHOW(futex(gone, FUTEX_UNLOCK_PI | kPrivate));
  munmap(gone, 4096);
  for (const int operation : {FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI, kLock2}) {
    SHOW(futex(gone, operation));
    SHOW(futex(gone, operation | kPrivate));
    SHOW(futex(reinterpret_cast<char*>(&g_word) + 1, operation));
    SHOW(futex(&g_word, operation | FUTEX_CLOCK_REALTIME));
    g_word = 0;
  }
  g_word = 4'000'000;
  SHOW(futex(&g_word, FUTEX_LOCK_PI));
  printf("%x\n", g_word - 4'000'000);
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI));
  const pid_t child = fork();
  if (child == 0) _exit(0);
  await_state(child, 'Z');
  g_word = unsigned(child);
  SHOW(futex(&g_word, FUTEX_LOCK_PI));
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI));
  waitpid(child, nullptr, 0);
  const timespec bad{0, 1'000'000'000};
  SHOW(futex(&g_word, FUTEX_LOCK_PI, 0, &bad));
  SHOW(futex(&g_word, FUTEX_LOCK_PI, 0, number(8)));
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI, 0, number(8)));
}

void contended() {
  g_word = 0;
  Owner owner;
  show_word("the owner's", g_word, owner.number);
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI | kPrivate));
  show_word("tried", g_word, owner.number);
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI | kPrivate));
  timespec time = in(CLOCK_REALTIME, 2'000'000);
  SHOW(futex(&g_word, FUTEX_LOCK_PI | kPrivate, 0, &time));
  time = in(CLOCK_MONOTONIC, 2'000'000);
  SHOW(futex(&g_word, kLock2 | kPrivate, 0, &time));
  time = in(CLOCK_REALTIME, 2'000'000);
  SHOW(futex(&g_word, kLock2 | kPrivate | FUTEX_CLOCK_REALTIME, 0, &time));
  Wanting first, second;
  show_word("wanted", g_word, owner.number);
  SHOW(futex(&g_word, FUTEX_WAKE_PRIVATE, 1));
  SHOW(futex(&g_word, FUTEX_REQUEUE_PRIVATE, 1, number(1), &g_other));
  SHOW(futex(&g_other, FUTEX_REQUEUE_PRIVATE, 1, number(1), &g_word));
  const unsigned before = g_word;
  g_word = (before & ~kTid) | unsigned(tid());
  SHOW(futex(&g_word, FUTEX_UNLOCK_PI | kPrivate));
  g_word = (before & ~kTid) | 4'000'000;
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI | kPrivate));
  g_word = before;
  owner.end();
  SHOW(owner.unlocked);
  first.end("first");
  second.end("second");
  show_word("at the end", g_word, 0);
}

void circle() {
  g_word = g_other = 0;
  SHOW(futex(&g_other, FUTEX_LOCK_PI | kPrivate));
  struct Both {
    void operator()() {
      number = tid();
      futex(&g_word, FUTEX_LOCK_PI | kPrivate);
      has.set();
      result = futex(&g_other, FUTEX_LOCK_PI | kPrivate);
      futex(&g_other, FUTEX_UNLOCK_PI | kPrivate);
      futex(&g_word, FUTEX_UNLOCK_PI | kPrivate);
    }
    volatile pid_t number = 0;
    Flag has;
    long result = -1;
  } both;
  const pthread_t thread = start(both);
  both.has.await();
  await_thread_state(both.number, 'S');
  SHOW(futex(&g_word, FUTEX_LOCK_PI | kPrivate));
  SHOW(futex(&g_word, FUTEX_TRYLOCK_PI | kPrivate));
  SHOW(futex(&g_other, FUTEX_UNLOCK_PI | kPrivate));
  join(thread);
  SHOW(both.result);
}

void deaths() {
  g_word = 0;
  Owner owner(&g_word, true);
  Wanting first, second;
  owner.end();
  first.end("first");
  second.end("second");
  // Nobody waited: the word names who is gone.
  g_word = 0;
  Owner again(&g_word, true);
  const pid_t number = again.number;
  again.end();
  show_word("left locked", g_word, number);
  SHOW(futex(&g_word, FUTEX_LOCK_PI | kPrivate));
}

// The words of processes: one that is shared, its owner killed.
void processes() {
  auto* const word =
      static_cast<unsigned*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t owner = fork();
  if (owner == 0) {
    futex(word, FUTEX_LOCK_PI);
    for (;;) pause();
  }
  while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0) sched_yield();
  const pid_t wants = fork();
  if (wants == 0) {
    const long result = futex(word, FUTEX_LOCK_PI);
    show_word("after the owner", *word, tid());
    _exit(result == 0 ? 7 : 1);
  }
  await_state(wants, 'S');
  show_word("owned by a process", *word, owner);
  kill(owner, SIGKILL);
  int status = 0;
  waitpid(owner, &status, 0);
  waitpid(wants, &status, 0);
  SHOW(WEXITSTATUS(status));
  show_word("left", *word, wants);
}

void interrupted() {
  g_word = 0;
  Owner owner;
  struct sigaction action{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
  Wanting wanting;
  pthread_kill(wanting.thread, SIGUSR1);
  usleep(1000);
  await_thread_state(wanting.number, 'S');
  owner.end();
  wanting.end("a signal does not end it");
}

// A thread that waits for g_other, to own g_word.
struct Moving {
  explicit Moving(const timespec* until = nullptr) : time(until) {
    thread = start(*this);
    while (number == 0) sched_yield();
    await_thread_state(number, 'S');
  }
  void operator()() {
    number = tid();
    result = futex(&g_other, FUTEX_WAIT_REQUEUE_PI | kPrivate, 0, time, &g_word);
    error = errno;
    seen = g_word;
    if (result == 0) futex(&g_word, FUTEX_UNLOCK_PI | kPrivate);
  }
  void end(const char* name) {
    join(thread);
    printf("%s: %ld %s\n", name, result, result == 0 ? "" : strerrorname_np(error));
    if (result == 0) show_word(name, seen, number);
  }
  const timespec* time;
  volatile pid_t number = 0;
  long result = -1;
  int error = 0;
  unsigned seen = 0;
  pthread_t thread;
};
long move_to_word(unsigned wake, long most, unsigned expected) {
  return futex(&g_other, FUTEX_CMP_REQUEUE_PI | kPrivate, wake, number(most), &g_word, expected);
}

void moved() {
  g_word = g_other = 0;
  SHOW(move_to_word(1, 5, 0));
  SHOW(move_to_word(2, 5, 0));
  SHOW(move_to_word(0, 5, 0));
  SHOW(move_to_word(1, -1, 0));
  SHOW(move_to_word(1, 5, 1));
  SHOW(futex(&g_other, FUTEX_CMP_REQUEUE_PI | kPrivate, 1, number(1), &g_other, 0));
  SHOW(futex(&g_other, FUTEX_WAIT_REQUEUE_PI | kPrivate, 0, nullptr, &g_other));
  SHOW(futex(&g_other, FUTEX_WAIT_REQUEUE_PI | kPrivate, 1, nullptr, &g_word));
  timespec time = in(CLOCK_MONOTONIC, 2'000'000);
  SHOW(futex(&g_other, FUTEX_WAIT_REQUEUE_PI | kPrivate, 0, &time, &g_word));
  {
    Moving one, two, three;
    SHOW(futex(&g_other, FUTEX_WAKE_PRIVATE, 1));
    SHOW(futex(&g_other, FUTEX_CMP_REQUEUE_PI | kPrivate, 1, number(1), &time, 0));
    SHOW(move_to_word(1, 5, 0));
    one.end("one");
    two.end("two");
    three.end("three");
    show_word("at the end", g_word, 0);
  }
  {
    Owner owner;
    Moving one, two, three;
    SHOW(move_to_word(1, 0, 0));
    SHOW(move_to_word(1, 5, 0));
    show_word("moved to", g_word, owner.number);
    owner.end();
    one.end("one");
    two.end("two");
    three.end("three");
    show_word("at the end", g_word, 0);
  }
  {
    Owner owner;
    Moving one;
    SHOW(move_to_word(1, 5, 0));
    pthread_kill(one.thread, SIGUSR1);
    one.end("a signal after it was moved");
    owner.end();
  }
}

void mutexes() {
  pthread_mutexattr_t kind;
  pthread_mutexattr_init(&kind);
  SHOW(pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT));
  SHOW(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST));
  static pthread_mutex_t mutex;
  SHOW(pthread_mutex_init(&mutex, &kind));
  struct Dying {
    void operator()() {
      pthread_mutex_lock(&mutex);
      has.set();
      go_on.await();
    }
    Flag has, go_on;
  } dying;
  const pthread_t thread = start(dying);
  dying.has.await();
  SHOW(pthread_mutex_trylock(&mutex));
  struct After {
    void operator()() {
      number = tid();
      result = pthread_mutex_lock(&mutex);
      if (result == EOWNERDEAD) pthread_mutex_consistent(&mutex);
      pthread_mutex_unlock(&mutex);
    }
    volatile pid_t number = 0;
    int result = 0;
  } after;
  const pthread_t second = start(after);
  while (after.number == 0) sched_yield();
  await_thread_state(after.number, 'S');
  dying.go_on.set();
  join(thread);
  join(second);
  SHOW(after.result == EOWNERDEAD);
  SHOW(pthread_mutex_lock(&mutex));
  SHOW(pthread_mutex_unlock(&mutex));
}

}  // namespace

int main() {
  show_lines();
  check("alone", alone);
  check("refused", refused);
  check("contended", contended);
  check("a circle", circle);
  check("owners that die", deaths);
  check("processes", processes);
  check("interrupted", interrupted);
  check("moved to a word", moved);
  check("mutexes", mutexes);
  return finish();
}
