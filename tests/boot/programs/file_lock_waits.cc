// Who waits for locks on files, open files' and flock's. The same on Linux.
#include <pthread.h>
#include <sys/mman.h>

#include "tests/boot/programs/lock_checks.h"

namespace {

void who_waits_gets_it() {
  const int file = opened();
  CHECK(set(file, F_WRLCK, 0, 4) == 0);
  Companion one([&] { CHECK(set(file, F_WRLCK, 0, 1, F_SETLKW) == 0); });
  Companion two([&] { CHECK(set(file, F_RDLCK, 2, 1, F_SETLKW) == 0); });
  one.await_sleep();
  two.await_sleep();
  CHECK(set(file, F_UNLCK, 0, 1) == 0);
  one.await();
  SEES("wwww.");
  CHECK(set(file, F_RDLCK, 2, 2) == 0);
  two.await();
  SEES("wwrr.");
  CHECK(one.end() == 0 && two.end() == 0);
  SEES(".wrr.");
  CHECK(close(file) == 0);
}

volatile sig_atomic_t g_heard = 0;
void hear(int) { g_heard = 1; }

void signals_interrupt_or_not(int how) {
  const int file = opened();
  CHECK(how == LOCK_EX ? flock(file, LOCK_EX) == 0 : set(file, F_WRLCK, 0, 0, how) == 0);
  for (const int flags : {0, SA_RESTART}) {
    Companion other([&] {
      struct sigaction action{};
      action.sa_handler = hear;
      action.sa_flags = flags;
      CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
      const int own = opened();
      const int got = how == LOCK_EX ? flock(own, LOCK_EX) : set(own, F_WRLCK, 0, 0, how);
      CHECK(flags == SA_RESTART ? got == 0 : got == -1 && errno == EINTR);
      CHECK(g_heard == 1);
    });
    other.await_sleep();
    CHECK(kill(other.pid, SIGUSR1) == 0);
    if (flags == SA_RESTART) {
      CHECK(how == LOCK_EX ? flock(file, LOCK_UN) == 0 : set(file, F_UNLCK, 0, 0, how) == 0);
    }
    other.await();
    CHECK(other.end() == 0);
  }
  CHECK(close(file) == 0);
}

void circles_are_refused() {
  const int file = opened();
  const int second = opened(O_RDWR, "other");
  CHECK(set(file, F_WRLCK, 0, 1) == 0);
  // Two, over two files.
  Companion other([&] {
    CHECK(set(second, F_WRLCK, 0, 1) == 0);
    CHECK(set(file, F_WRLCK, 0, 1, F_SETLKW) == 0);
  });
  other.await_sleep();
  CHECK_ERRNO(set(second, F_RDLCK, 0, 1, F_SETLKW), EDEADLK);
  CHECK_ERRNO(set(second, F_RDLCK, 0, 1, F_SETLK), EAGAIN);
  CHECK(set(file, F_UNLCK) == 0);
  other.await();
  CHECK(other.end() == 0);
  // Three of one file.
  CHECK(set(file, F_WRLCK, 0, 1) == 0);
  Companion one([&] {
    CHECK(set(file, F_WRLCK, 1, 1) == 0);
    CHECK(set(file, F_WRLCK, 0, 1, F_SETLKW) == 0);
  });
  one.await_sleep();
  Companion two([&] {
    CHECK(set(file, F_WRLCK, 2, 1) == 0);
    CHECK(set(file, F_WRLCK, 1, 1, F_SETLKW) == 0);
  });
  two.await_sleep();
  CHECK_ERRNO(set(file, F_WRLCK, 2, 1, F_SETLKW), EDEADLK);
  CHECK(set(file, F_UNLCK) == 0);
  one.await();
  CHECK(one.end() == 0);
  two.await();
  CHECK(two.end() == 0);
  CHECK(close(file) == 0 && close(second) == 0);
}

void open_files_own_locks() {
  const int file = opened();
  const int again = opened();
  const int same = dup(file);
  CHECK(set(file, F_WRLCK, 0, 4, F_OFD_SETLK) == 0);
  CHECK(set(same, F_RDLCK, 1, 1, F_OFD_SETLK) == 0);
  SEES("wrww.");
  CHECK_ERRNO(set(again, F_RDLCK, 0, 1, F_OFD_SETLK), EAGAIN);
  CHECK_ERRNO(set(file, F_RDLCK, 0, 1), EAGAIN);  // the process is someone else
  struct flock lock = range(F_WRLCK);
  CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_pid == -1 && lock.l_len == 1);
  lock = range(F_WRLCK);
  CHECK(fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
  lock = range(F_UNLCK, 1, 1);
  CHECK(fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_RDLCK && lock.l_start == 1);
  lock = range(F_UNLCK, 1, 1);
  CHECK(fcntl(again, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
  // A fork shares it, and it goes with the last of them.
  CHECK(status_of_child([&] { CHECK(set(file, F_WRLCK, 1, 1, F_OFD_SETLK) == 0); }) == 0);
  SEES("wwww.");
  CHECK(close(file) == 0);
  SEES("wwww.");
  Companion other([&] {
    CHECK(close(same) == 0);
    CHECK(set(again, F_WRLCK, 0, 0, F_OFD_SETLKW) == 0);
  });
  other.await_sleep();
  CHECK(close(same) == 0);
  other.await();
  SEES("wwwww");
  CHECK(other.end() == 0);
  SEES("wwwww");
  CHECK(close(again) == 0);
  SEES(".....");
}

void threads_are_one() {
  const int file = opened();
  CHECK(set(file, F_WRLCK, 0, 2) == 0);
  pthread_t thread;
  CHECK(pthread_create(
            &thread, nullptr,
            [](void* given) -> void* {
              const int number = *static_cast<int*>(given);
              CHECK(set(number, F_WRLCK, 1, 2, F_SETLKW) == 0);
              struct flock lock = range(F_WRLCK);
              CHECK(fcntl(number, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
              return nullptr;
            },
            const_cast<int*>(&file)) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
  SEES("www.");
  CHECK(close(file) == 0);
}

void whole_files() {
  const int file = opened();
  const int again = opened(O_RDONLY);
  const int same = dup(file);
  CHECK_ERRNO(flock(99, LOCK_SH), EBADF);
  for (const int bad : {0, LOCK_NB, LOCK_SH | LOCK_EX, 16, LOCK_UN | LOCK_SH})
    CHECK_ERRNO(flock(file, bad), EINVAL);
  CHECK_ERRNO(flock(99, 16), EINVAL);
  CHECK(flock(file, LOCK_UN) == 0 && flock(file, LOCK_SH) == 0 && flock(again, LOCK_SH) == 0);
  CHECK(flock(file, LOCK_SH | LOCK_NB) == 0);
  // What fails to become more is lost.
  CHECK_ERRNO(flock(file, LOCK_EX | LOCK_NB), EAGAIN);
  CHECK(flock(again, LOCK_EX | LOCK_NB) == 0);
  CHECK_ERRNO(flock(same, LOCK_SH | LOCK_NB), EAGAIN);
  CHECK(flock(again, LOCK_SH | LOCK_NB) == 0 && flock(same, LOCK_SH | LOCK_NB) == 0);
  CHECK(flock(again, LOCK_UN) == 0 && flock(file, LOCK_EX | LOCK_NB) == 0);
  // Bytes are another matter.
  SEES("..");
  CHECK(set(file, F_WRLCK) == 0 && set(file, F_UNLCK) == 0);
  // A close lets go with the last descriptor alone; a child has the same open file.
  CHECK(close(same) == 0);
  CHECK_ERRNO(flock(again, LOCK_SH | LOCK_NB), EAGAIN);
  CHECK(status_of_child([&] {
          CHECK(flock(file, LOCK_EX | LOCK_NB) == 0);
          CHECK_ERRNO(flock(again, LOCK_SH | LOCK_NB), EAGAIN);
        }) == 0);
  CHECK_ERRNO(flock(again, LOCK_SH | LOCK_NB), EAGAIN);
  Companion other([&] {
    CHECK(close(file) == 0);
    CHECK(flock(again, LOCK_EX) == 0);
  });
  other.await_sleep();
  CHECK(close(file) == 0);
  other.await();
  const int third = opened();
  CHECK_ERRNO(flock(third, LOCK_SH | LOCK_NB), EAGAIN);
  CHECK(flock(again, LOCK_UN) == 0 && flock(third, LOCK_SH | LOCK_NB) == 0);
  CHECK(other.end() == 0 && close(again) == 0 && close(third) == 0);
}

void anything_can_be_locked() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(set(ends[0], F_RDLCK) == 0 && flock(ends[1], LOCK_EX) == 0);
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  const int directory = open(".", O_RDONLY | O_DIRECTORY);
  CHECK(directory >= 0 && flock(directory, LOCK_EX) == 0 && set(directory, F_RDLCK) == 0);
  CHECK(close(directory) == 0);
  CHECK(unlink("file") == 0 && unlink("other") == 0);
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  check("who waits gets it", who_waits_gets_it);
  check("signals interrupt a process's lock", [] { signals_interrupt_or_not(F_SETLKW); });
  check("signals interrupt an open file's lock", [] { signals_interrupt_or_not(F_OFD_SETLKW); });
  check("signals interrupt flock", [] { signals_interrupt_or_not(LOCK_EX); });
  check("circles are refused", circles_are_refused);
  check("open files own locks", open_files_own_locks);
  check("threads are one", threads_are_one);
  check("whole files", whole_files);
  check("anything can be locked", anything_can_be_locked);
  return finish();
}
