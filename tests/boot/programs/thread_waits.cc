// What threads wait for each other by, as a C library makes it of futexes: mutexes, conditions and their
// timeouts, barriers, rwlocks, semaphores, once; and cancellation.
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

constexpr int kFew = 8;

timespec in_ms(clockid_t clock, long ms) {
  timespec time;
  CHECK(clock_gettime(clock, &time) == 0);
  time.tv_nsec += ms * 1'000'000;
  time.tv_sec += time.tv_nsec / 1'000'000'000;
  time.tv_nsec %= 1'000'000'000;
  return time;
}

void mutual_exclusion() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static long sum;
  auto body = [] {
    for (int i = 0; i < 2000; ++i) {
      pthread_mutex_lock(&mutex);
      const long before = sum;
      if (i % 50 == 0) sched_yield();
      sum = before + 1;
      pthread_mutex_unlock(&mutex);
    }
  };
  pthread_t threads[kFew];
  for (pthread_t& thread : threads) thread = start(body);
  for (pthread_t thread : threads) join(thread);
  CHECK(sum == 2000 * kFew);
}

void conditions() {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  static int turn = 0;
  static int next_number = 0;
  auto body = [] {
    pthread_mutex_lock(&mutex);
    const int mine = next_number++;
    for (int round = 0; round < 20; ++round) {
      while (turn % kFew != mine) pthread_cond_wait(&condition, &mutex);
      ++turn;
      pthread_cond_broadcast(&condition);
    }
    pthread_mutex_unlock(&mutex);
  };
  pthread_t threads[kFew];
  for (pthread_t& thread : threads) thread = start(body);
  for (pthread_t thread : threads) join(thread);
  CHECK(turn == 20 * kFew);

  pthread_mutex_lock(&mutex);
  const timespec soon = in_ms(CLOCK_REALTIME, 5);
  CHECK(pthread_cond_timedwait(&condition, &mutex, &soon) == ETIMEDOUT);
  const timespec later = in_ms(CLOCK_MONOTONIC, 5);
  CHECK(pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &later) == ETIMEDOUT);
  pthread_mutex_unlock(&mutex);
}

void barriers() {
  static pthread_barrier_t barrier;
  static int arrived[3], serial;
  CHECK(pthread_barrier_init(&barrier, nullptr, kFew) == 0);
  auto body = [] {
    for (int& count : arrived) {
      __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST);
      const int result = pthread_barrier_wait(&barrier);
      if (result == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
      CHECK(__atomic_load_n(&count, __ATOMIC_SEQ_CST) == kFew);
    }
  };
  pthread_t threads[kFew];
  for (pthread_t& thread : threads) thread = start(body);
  for (pthread_t thread : threads) join(thread);
  CHECK(serial == 3);
}

void readers_and_writers() {
  static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
  static int a, b;
  auto body = [] {
    for (int i = 0; i < 300; ++i) {
      if (i % 10 == 0) {
        pthread_rwlock_wrlock(&lock);
        ++a;
        if (i % 50 == 0) sched_yield();
        ++b;
      } else {
        pthread_rwlock_rdlock(&lock);
        CHECK(a == b);
        if (i % 50 == 1) sched_yield();
      }
      pthread_rwlock_unlock(&lock);
    }
  };
  pthread_t threads[kFew];
  for (pthread_t& thread : threads) thread = start(body);
  for (pthread_t thread : threads) join(thread);
  CHECK(a == 30 * kFew && b == a);
  pthread_rwlock_wrlock(&lock);
  auto refused = [] {
    const timespec soon = in_ms(CLOCK_REALTIME, 3);
    CHECK(pthread_rwlock_timedrdlock(&lock, &soon) == ETIMEDOUT);
    CHECK(pthread_rwlock_tryrdlock(&lock) == EBUSY);
  };
  join(start(refused));
  pthread_rwlock_unlock(&lock);
}

void semaphores() {
  static sem_t full, empty;
  static int slot, sum;
  CHECK(sem_init(&full, 0, 0) == 0 && sem_init(&empty, 0, 1) == 0);
  auto consumer = [] {
    for (int i = 0; i < 500; ++i) {
      while (sem_wait(&full) != 0) {
      }
      sum += slot;
      sem_post(&empty);
    }
  };
  const pthread_t thread = start(consumer);
  for (int i = 0; i < 500; ++i) {
    while (sem_wait(&empty) != 0) {
    }
    slot = i;
    sem_post(&full);
  }
  join(thread);
  CHECK(sum == 499 * 500 / 2);
  const timespec soon = in_ms(CLOCK_REALTIME, 3);
  CHECK_ERRNO(sem_timedwait(&full, &soon), ETIMEDOUT);
}

// In shared memory, between processes.
void shared_semaphore() {
  auto* const both =
      static_cast<sem_t*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  CHECK(sem_init(&both[0], 1, 0) == 0 && sem_init(&both[1], 1, 0) == 0);
  const int status = status_of_child([&] {
    auto body = [&] {
      sem_wait(&both[0]);
      sem_post(&both[1]);
    };
    const pid_t child = fork();
    if (child == 0) {
      join(start(body));
      _exit(0);
    }
    sem_post(&both[0]);
    sem_wait(&both[1]);
    waitpid(child, nullptr, 0);
  });
  CHECK(status == 0);
  munmap(both, 4096);
}

void once_and_detached() {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  static int ran;
  static sem_t done;
  CHECK(sem_init(&done, 0, 0) == 0);
  auto body = [] {
    pthread_once(&once, [] { ++ran; });
    sem_post(&done);
  };
  for (int i = 0; i < kFew; ++i) CHECK(pthread_detach(start(body)) == 0);
  for (int i = 0; i < kFew; ++i) sem_wait(&done);
  CHECK(ran == 1);
}

void cancellation() {
  static int pipes[2];
  static volatile bool cleaned = false;
  CHECK(pipe(pipes) == 0);
  auto body = [] {
    pthread_cleanup_push([](void*) { cleaned = true; }, nullptr);
    char byte;
    (void)!read(pipes[0], &byte, 1);
    pthread_cleanup_pop(0);
  };
  const pthread_t thread = start(body);
  sched_yield();
  CHECK(pthread_cancel(thread) == 0);
  void* result = nullptr;
  CHECK(pthread_join(thread, &result) == 0);
  CHECK(result == PTHREAD_CANCELED && cleaned);
  close(pipes[0]);
  close(pipes[1]);
}

}  // namespace

int main() {
  check("a mutex excludes", mutual_exclusion);
  check("conditions, and their timeouts on both clocks", conditions);
  check("barriers", barriers);
  check("readers and writers", readers_and_writers);
  check("semaphores", semaphores);
  check("a semaphore between processes", shared_semaphore);
  check("once, and detached", once_and_detached);
  check("cancellation", cancellation);
  return finish();
}
