// Locks of processes on bytes of files: what they cover, and when they go. The same on Linux.
#include <sys/mman.h>

#include "tests/boot/programs/lock_checks.h"

namespace {

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
  return finish();
}
