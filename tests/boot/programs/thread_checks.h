// What the boot tests of threads share.
#pragma once

#include <pthread.h>
#include <sys/syscall.h>

#include "tests/boot/programs/checks.h"

inline pid_t tid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// Runs the body, which outlives the thread, in a thread.
template <class Body>
pthread_t start(Body& body) {
  pthread_t thread;
  CHECK(pthread_create(
            &thread, nullptr,
            [](void* argument) -> void* {
              (*static_cast<Body*>(argument))();
              return nullptr;
            },
            &body) == 0);
  return thread;
}
inline void join(pthread_t thread) { CHECK(pthread_join(thread, nullptr) == 0); }

// Returns once /proc calls the thread of this process by this letter.
inline void await_thread_state(pid_t thread, char state) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/self/task/%d/stat", static_cast<int>(thread));
  await_state_in(path, state);
}

// A word that one thread sets and another waits for.
class Flag {
 public:
  void set() { __atomic_store_n(&value_, 1, __ATOMIC_SEQ_CST); }
  [[nodiscard]] bool is_set() const { return __atomic_load_n(&value_, __ATOMIC_SEQ_CST) != 0; }
  void await() const {
    while (!is_set()) sched_yield();
  }

 private:
  int value_ = 0;
};
