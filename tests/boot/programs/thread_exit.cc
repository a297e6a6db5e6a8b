// The end of threads and of processes that have several: who ends, what is left, who is told.
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

void leader_first() {
  int status = status_of_child([] {
    static pid_t leader;
    leader = tid();
    auto body = [] {
      await_thread_state(leader, 'Z');
      CHECK(getpid() == leader && tid() != leader);
      CHECK(access("/proc/self/stat", F_OK) == 0);
      syscall(SYS_exit, 5);
    };
    start(body);
    syscall(SYS_exit, 7);
  });
  // Each said its own: the last one's counts.
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  status = status_of_child([] {
    static pid_t leader;
    leader = tid();
    auto body = [] {
      await_thread_state(leader, 'Z');
      _exit(9);
    };
    start(body);
    syscall(SYS_exit, 7);
  });
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 9);
  status = status_of_child([] {
    static pid_t leader;
    leader = tid();
    auto body = [] {
      await_thread_state(leader, 'Z');
      raise(SIGKILL);
    };
    start(body);
    pthread_exit(nullptr);
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// While threads are left the process is none that ended.
void waits_for_the_last() {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    static int in;
    in = pipes[0];
    close(pipes[1]);
    auto body = [] {
      char byte;
      (void)!read(in, &byte, 1);
      syscall(SYS_exit, 0);
    };
    start(body);
    syscall(SYS_exit, 3);
  }
  close(pipes[0]);
  await_state(child, 'Z');
  int status = 0;
  CHECK(waitpid(child, &status, WNOHANG) == 0);
  CHECK(kill(child, 0) == 0);
  siginfo_t info = {};
  CHECK(waitid(P_PID, child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0);
  close(pipes[1]);
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void exit_group_from_any() {
  const int status = status_of_child([] {
    auto sleeps = [] {
      for (;;) pause();
    };
    auto runs = [] {
      for (;;) {
      }
    };
    auto ends = [] { syscall(SYS_exit_group, 21); };
    start(sleeps);
    start(runs);
    start(ends);
    for (;;) pause();
  });
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 21);
}

// A child is the process's, whichever thread made it; __WNOTHREAD looks at one's own only.
void children_are_common() {
  static pid_t child;
  auto forks = [] {
    child = fork();
    if (child == 0) _exit(4);
  };
  join(start(forks));
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);

  static Flag made, waited;
  auto makes = [] {
    child = fork();
    if (child == 0) _exit(6);
    made.set();
    waited.await();
    int own = 0;
    CHECK(waitpid(child, &own, __WNOTHREAD) == child && WEXITSTATUS(own) == 6);
  };
  const pthread_t thread = start(makes);
  made.await();
  CHECK_ERRNO(waitpid(child, &status, __WNOTHREAD), ECHILD);
  waited.set();
  join(thread);
  // Threads are nobody's children.
  CHECK_ERRNO(waitpid(-1, nullptr, __WALL), ECHILD);
}

void cleared_word() {
  static pid_t word;
  auto body = [] {
    word = 77;
    CHECK(syscall(SYS_set_tid_address, &word) == tid());
    syscall(SYS_exit, 0);
  };
  pthread_t thread = start(body);
  while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != 0 || word == 77) {
    syscall(SYS_futex, &word, FUTEX_WAIT, 77, nullptr);
  }
  // The C library waits for its own word, which nobody clears now.
  pthread_detach(thread);
}

pthread_mutex_t robust_mutex(int shared) {
  pthread_mutexattr_t attributes;
  pthread_mutex_t mutex;
  CHECK(pthread_mutexattr_init(&attributes) == 0);
  CHECK(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  CHECK(pthread_mutexattr_setpshared(&attributes, shared) == 0);
  CHECK(pthread_mutex_init(&mutex, &attributes) == 0);
  return mutex;
}

void owner_dead() {
  static pthread_mutex_t mutex;
  mutex = robust_mutex(PTHREAD_PROCESS_PRIVATE);
  auto dies = [] { CHECK(pthread_mutex_lock(&mutex) == 0); };
  join(start(dies));
  CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD);
  CHECK(pthread_mutex_consistent(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);
  CHECK(pthread_mutex_lock(&mutex) == 0 && pthread_mutex_unlock(&mutex) == 0);

  // One who waits is woken.
  static Flag locked;
  static volatile pid_t waiter;
  auto waits_to_die = [] {
    CHECK(pthread_mutex_lock(&mutex) == 0);
    locked.set();
    while (waiter == 0) sched_yield();
    await_thread_state(waiter, 'S');
  };
  const pthread_t thread = start(waits_to_die);
  locked.await();
  waiter = tid();
  CHECK(pthread_mutex_lock(&mutex) == EOWNERDEAD);
  CHECK(pthread_mutex_unlock(&mutex) == 0);  // not made consistent: for ever
  CHECK(pthread_mutex_lock(&mutex) == ENOTRECOVERABLE);
  join(thread);
}

// Locked by a thread of a process that is killed.
void owner_dead_elsewhere() {
  auto* const mutex = static_cast<pthread_mutex_t*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  CHECK(mutex != MAP_FAILED);
  *mutex = robust_mutex(PTHREAD_PROCESS_SHARED);
  const int status = status_of_child([&] {
    auto locks = [&] {
      CHECK(pthread_mutex_lock(mutex) == 0);
      for (;;) pause();
    };
    start(locks);
    while (pthread_mutex_trylock(mutex) == 0) {
      pthread_mutex_unlock(mutex);
      sched_yield();
    }
    kill(getpid(), SIGKILL);
  });
  CHECK(WIFSIGNALED(status));
  CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
  munmap(mutex, 4096);
}

// Memory and descriptors go with the last one who has them.
void last_one_closes() {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    close(pipes[0]);
    auto body = [] {
      const timespec nap = {0, 2'000'000};
      nanosleep(&nap, nullptr);
      syscall(SYS_exit, 0);
    };
    start(body);
    syscall(SYS_exit, 0);
  }
  close(pipes[1]);
  char byte;
  CHECK(read(pipes[0], &byte, 1) == 0);
  close(pipes[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void ignored_children_vanish() {
  const int status = status_of_child([] {
    signal(SIGCHLD, SIG_IGN);
    const pid_t child = fork();
    if (child == 0) {
      auto body = [] { syscall(SYS_exit, 0); };
      start(body);
      syscall(SYS_exit, 0);
    }
    CHECK_ERRNO(waitpid(child, nullptr, 0), ECHILD);
  });
  CHECK(status == 0);
}

// Thousands one after the other, and as many at once as there may be: what ends leaves nothing behind.
void bomb() {
  auto nothing = [] {};
  for (int i = 0; i < 2000; ++i) join(start(nothing));
  const int status = status_of_child([] {
    static char stacks[64][4096];
    static int go;
    int started = 0;
    for (; started < 64; ++started) {
      const int result = clone(
          [](void*) {
            while (__atomic_load_n(&go, __ATOMIC_SEQ_CST) == 0)
              syscall(SYS_futex, &go, FUTEX_WAIT, 0, nullptr);
            syscall(SYS_exit, 0);
            return 0;
          },
          stacks[started] + sizeof(stacks[started]),
          CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, nullptr);
      CHECK(result > 0);
    }
    __atomic_store_n(&go, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &go, FUTEX_WAKE, 1000);
  });
  CHECK(status == 0);
}

}  // namespace

int main() {
  check("the leader first", leader_first);
  check("a process ends with its last thread", waits_for_the_last);
  check("exit_group from any", exit_group_from_any);
  check("children are the process's", children_are_common);
  check("the cleared word", cleared_word);
  check("a mutex whose owner died", owner_dead);
  check("and in another process", owner_dead_elsewhere);
  check("the last one closes", last_one_closes);
  check("children that nobody waits for", ignored_children_vanish);
  check("many threads", bomb);
  return finish();
}
