// Locks on files: those of processes and of open files on bytes, and flock's. The same on Linux.
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "tests/boot/programs/file_checks.h"

namespace {

constexpr off_t kMost = 0x7fff'ffff'ffff'ffff;

struct flock range(int type, off_t start = 0, off_t bytes = 0, int whence = SEEK_SET) {
  struct flock lock{};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = static_cast<short>(whence);
  lock.l_start = start;
  lock.l_len = bytes;
  return lock;
}
int set(int file, int type, off_t start = 0, off_t bytes = 0, int how = F_SETLK) {
  struct flock lock = range(type, start, bytes);
  return fcntl(file, how, &lock);
}
int opened(int flags = O_RDWR, const char* path = "file") {
  const int file = open(path, flags | O_CREAT | O_CLOEXEC, 0644);
  CHECK(file >= 0);
  return file;
}
// How a process without locks sees the file's bytes: r, w or . for each.
std::string seen(int bytes) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(status_of_child([&] {
          const int file = opened();
          std::string text;
          for (int at = 0; at < bytes; ++at) {
            struct flock lock = range(F_WRLCK, at, 1);
            CHECK(fcntl(file, F_GETLK, &lock) == 0);
            text += lock.l_type == F_UNLCK ? '.' : lock.l_type == F_RDLCK ? 'r' : 'w';
            CHECK(lock.l_type == F_UNLCK || lock.l_whence == SEEK_SET);
          }
          CHECK(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        }) == 0);
  char text[64];
  const ssize_t got = read(ends[0], text, sizeof(text));
  CHECK(got == bytes && close(ends[0]) == 0 && close(ends[1]) == 0);
  return {text, static_cast<size_t>(got)};
}
#define SEES(picture) CHECK(seen(sizeof(picture) - 1) == (picture))

// Runs the body in a child that goes on living until end() is called.
struct Companion {
  int ready[2];
  int go[2];
  pid_t pid;
  template <class Body>
  explicit Companion(Body body) {
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    fflush(stdout);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      close(go[1]);
      body();
      CHECK(write(ready[1], "", 1) == 1);
      char c;
      read(go[0], &c, 1);
      _exit(0);
    }
  }
  void await() const {
    char c;
    CHECK(read(ready[0], &c, 1) == 1);
  }
  void await_sleep() const { await_state(pid, 'S'); }
  int end() {
    CHECK(write(go[1], "", 1) == 1);
    for (const int file : {ready[0], ready[1], go[0], go[1]}) CHECK(close(file) == 0);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
  }
};

void ranges_split_and_merge() {
  const int file = opened();
  CHECK(set(file, F_WRLCK, 2, 6) == 0);
  SEES("..wwwwww..");
  CHECK(set(file, F_UNLCK, 4, 2) == 0);
  SEES("..ww..ww..");
  CHECK(set(file, F_RDLCK, 3, 4) == 0);
  SEES("..wrrrrw..");
  CHECK(set(file, F_WRLCK, 4, 1) == 0);
  SEES("..wrwrrw..");
  CHECK(set(file, F_RDLCK, 1, 8) == 0);
  SEES(".rrrrrrrr.");
  CHECK(set(file, F_WRLCK, 0, 2) == 0 && set(file, F_WRLCK, 8, 0) == 0);
  SEES("wwrrrrrrwwww");
  CHECK(set(file, F_UNLCK, 1, 9) == 0);
  SEES("w.........ww");
  CHECK(set(file, F_UNLCK) == 0);
  SEES("............");
  // Neighbours are one, and so is what fills a gap: the child is told where it begins and ends.
  for (const off_t at : {1, 5, 3}) CHECK(set(file, F_WRLCK, at, 2) == 0);
  CHECK(status_of_child([&] {
          struct flock lock = range(F_RDLCK);
          CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_start == 1 &&
                lock.l_len == 6 && lock.l_pid == getppid());
        }) == 0);
  CHECK(close(file) == 0);
}

void places_are_counted_from_anywhere() {
  const int file = opened();
  CHECK(write(file, "0123456789", 10) == 10 && lseek(file, 4, SEEK_SET) == 4);
  struct flock lock = range(F_WRLCK, -1, 2, SEEK_CUR);
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  lock = range(F_RDLCK, -2, 1, SEEK_END);
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  SEES("...ww...r...");
  lock = range(F_WRLCK, 8, -2);
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  SEES("...ww.wwr...");
  CHECK(set(file, F_UNLCK) == 0);
  lock = range(F_WRLCK, 2, kMost - 1);
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  CHECK(status_of_child([&] {
          struct flock other = range(F_WRLCK, 7, 3);
          CHECK(fcntl(file, F_GETLK, &other) == 0 && other.l_start == 2 && other.l_len == 0);
        }) == 0);
  CHECK(close(file) == 0 && truncate("file", 0) == 0);
}

void bad_requests_are_refused() {
  const int file = opened();
  const int reader = opened(O_RDONLY);
  const int writer = opened(O_WRONLY);
  CHECK_ERRNO(set(reader, F_WRLCK), EBADF);
  CHECK_ERRNO(set(writer, F_RDLCK), EBADF);
  CHECK(set(reader, F_UNLCK) == 0);
  CHECK_ERRNO(set(99, F_RDLCK), EBADF);
  const auto refused = [&](struct flock lock, int error) {
    for (const int how : {F_SETLK, F_SETLKW, F_GETLK, F_OFD_SETLK, F_OFD_GETLK}) {
      struct flock copy = lock;
      CHECK_ERRNO(fcntl(file, how, &copy), error);
    }
  };
  refused(range(3), EINVAL);
  refused(range(-1), EINVAL);
  refused(range(F_RDLCK, 0, 0, 3), EINVAL);
  refused(range(F_RDLCK, 0, 0, -1), EINVAL);
  refused(range(F_RDLCK, -1, 0), EINVAL);
  refused(range(F_RDLCK, 1, -2), EINVAL);
  refused(range(F_RDLCK, kMost, 2), EOVERFLOW);
  CHECK(write(file, "abc", 3) == 3);
  refused(range(F_RDLCK, kMost, 0, SEEK_CUR), EOVERFLOW);
  refused(range(F_RDLCK, kMost, 0, SEEK_END), EOVERFLOW);
  refused(range(F_RDLCK, -4, 0, SEEK_END), EINVAL);
  struct flock lock = range(F_UNLCK);
  CHECK_ERRNO(fcntl(file, F_GETLK, &lock), EINVAL);
  lock = range(F_RDLCK);
  lock.l_pid = 1;
  CHECK(fcntl(file, F_SETLK, &lock) == 0);
  CHECK_ERRNO(fcntl(file, F_OFD_SETLK, &lock), EINVAL);
  CHECK_ERRNO(fcntl(file, F_OFD_SETLKW, &lock), EINVAL);
  CHECK_ERRNO(fcntl(file, F_OFD_GETLK, &lock), EINVAL);
  for (const int how : {F_SETLK, F_SETLKW, F_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK}) {
    CHECK_ERRNO(fcntl(file, how, reinterpret_cast<void*>(8)), EFAULT);
    CHECK_ERRNO(fcntl(99, how, reinterpret_cast<void*>(8)), EBADF);
  }
  const int path = open("file", O_PATH);
  CHECK(path >= 0);
  CHECK_ERRNO(set(path, F_UNLCK), EBADF);
  CHECK_ERRNO(flock(path, LOCK_SH), EBADF);
  CHECK_ERRNO(fcntl(path, F_SETFL, 0), EBADF);
  for (const int one : {path, file, reader, writer}) CHECK(close(one) == 0);
  CHECK(truncate("file", 0) == 0);
}

void conflicts_are_told() {
  const int file = opened();
  CHECK(set(file, F_RDLCK, 0, 10) == 0 && set(file, F_WRLCK, 20, 10) == 0);
  CHECK(status_of_child([&] {
          CHECK(set(file, F_RDLCK, 5, 10) == 0);
          CHECK_ERRNO(set(file, F_WRLCK, 5, 1), EAGAIN);
          CHECK_ERRNO(set(file, F_RDLCK, 15, 6), EAGAIN);
          CHECK(set(file, F_WRLCK, 10, 10) == 0);
          struct flock lock = range(F_RDLCK, 0, 25);
          lock.l_pid = 7;
          CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_WRLCK && lock.l_start == 20 &&
                lock.l_len == 10 && lock.l_pid == getppid());
          // What is in nobody's way comes back as it was.
          lock = range(F_RDLCK, 3, 5, SEEK_END);
          lock.l_pid = 7;
          CHECK(fcntl(file, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK && lock.l_start == 3 &&
                lock.l_len == 5 && lock.l_whence == SEEK_END && lock.l_pid == 7);
          CHECK(set(file, F_UNLCK) == 0);
        }) == 0);
  SEES("rrrrrrrrrr..........wwwwwwwwww..");
  CHECK(close(file) == 0);
}

void any_close_lets_go() {
  const int file = opened();
  const auto lock = [&] { CHECK(set(file, F_WRLCK, 0, 2) == 0); };
  lock();
  SEES("ww.");
  CHECK(close(dup(file)) == 0);
  SEES("...");
  lock();
  CHECK(close(opened(O_RDONLY)) == 0);
  SEES("...");
  lock();
  const int path = open("file", O_PATH);
  CHECK(path >= 0 && close(path) == 0);
  SEES("ww.");
  CHECK(close(opened(O_RDWR, "other")) == 0);
  SEES("ww.");
  const int over = opened();
  const int null = open("/dev/null", O_RDONLY);
  CHECK(null >= 0 && dup2(null, over) == over);
  SEES("...");
  lock();
  CHECK(close(null) == 0 && close(over) == 0);
  // The child has none of it, and its closes let go of nothing.
  CHECK(status_of_child([&] {
          CHECK_ERRNO(set(file, F_RDLCK, 0, 1), EAGAIN);
          CHECK(close(file) == 0);
        }) == 0);
  SEES("ww.");
  CHECK(close(file) == 0);
  SEES("...");
}

void the_end_of_a_process_lets_go() {
  const int file = opened();
  Companion other([&] { CHECK(set(file, F_WRLCK, 0, 2) == 0); });
  other.await();
  SEES("ww.");
  CHECK_ERRNO(set(file, F_WRLCK, 1, 1), EAGAIN);
  CHECK(kill(other.pid, SIGKILL) == 0);
  CHECK(set(file, F_WRLCK, 1, 1, F_SETLKW) == 0);
  CHECK(WTERMSIG(other.end()) == SIGKILL);
  SEES(".w.");
  CHECK(close(file) == 0);
}

void exec_keeps_them() {
  const int file = open("file", O_RDWR);
  CHECK(file >= 0);
  int ends[2];
  int stay[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0 && pipe(stay) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    CHECK(set(file, F_WRLCK, 0, 2) == 0 && close(stay[1]) == 0);
    char number[16];
    snprintf(number, sizeof(number), "%d", stay[0]);
    execl("/proc/self/exe", "file_locks", "stay", number, nullptr);
    _exit(1);
  }
  char c;
  CHECK(close(ends[1]) == 0 && read(ends[0], &c, 1) == 0);  // the exec closed it
  SEES("ww.");
  CHECK(close(stay[0]) == 0 && close(stay[1]) == 0);
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  SEES("...");
  CHECK(close(file) == 0 && close(ends[0]) == 0);
}

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

int main(int count, char** arguments) {
  if (count == 3) {
    char c;
    return read(atoi(arguments[2]), &c, 1) == 0 ? 0 : 1;
  }
  begin_with_fresh_directory();
  check("ranges split and merge", ranges_split_and_merge);
  check("places are counted from anywhere", places_are_counted_from_anywhere);
  check("bad requests are refused", bad_requests_are_refused);
  check("conflicts are told", conflicts_are_told);
  check("any close lets go", any_close_lets_go);
  check("the end of a process lets go", the_end_of_a_process_lets_go);
  check("exec keeps them", exec_keeps_them);
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
