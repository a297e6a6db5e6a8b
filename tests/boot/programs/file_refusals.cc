// What calls on files refuse, and what their flags do. The same on Linux.
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "tests/boot/programs/file_checks.h"

namespace {

int opened(const char* path, int flags, int mode = 0644) {
  const int file = open(path, flags | O_CLOEXEC, mode);
  CHECK(file >= 0);
  return file;
}

void flags_that_nobody_knows() {
  put("file", "x");
  struct stat info;
  struct statx more;
  for (const int flag : {AT_SYMLINK_FOLLOW, AT_REMOVEDIR, 1, 0x10000}) {
    CHECK_ERRNO(fstatat(AT_FDCWD, "file", &info, flag), EINVAL);
    CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", flag, STATX_BASIC_STATS, &more), EINVAL);
    CHECK_ERRNO(fchownat(AT_FDCWD, "file", 0, 0, flag), EINVAL);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "file", nullptr, flag), EINVAL);
    if (flag != AT_SYMLINK_FOLLOW) CHECK_ERRNO(linkat(AT_FDCWD, "file", AT_FDCWD, "link", flag), EINVAL);
    if (flag != AT_REMOVEDIR) {
      CHECK_ERRNO(unlinkat(AT_FDCWD, "file", flag), EINVAL);
      CHECK_ERRNO(syscall(439, AT_FDCWD, "file", F_OK, flag), EINVAL);
    }
  }
  CHECK_ERRNO(linkat(AT_FDCWD, "file", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW), EINVAL);
  CHECK(fstatat(AT_FDCWD, "file", &info, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW) == 0 && info.st_size == 1);
  CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0x6000, STATX_BASIC_STATS, &more), EINVAL);
  CHECK_ERRNO(syscall(SYS_statx, AT_FDCWD, "file", 0, 0x80000000u, &more), EINVAL);
  CHECK(syscall(SYS_statx, AT_FDCWD, "file", 0x4000, STATX_BASIC_STATS, &more) == 0 && more.stx_size == 1);
  CHECK_ERRNO(faccessat(AT_FDCWD, "file", 8, 0), EINVAL);
  CHECK(unlink("file") == 0);
}

void modes_without_following() {
  put("file", "x");
  CHECK(symlink("file", "link") == 0);
  CHECK(syscall(452, AT_FDCWD, "link", 0600, 0) == 0 && (stat_of("file").st_mode & 0777) == 0600);
  CHECK_ERRNO(syscall(452, AT_FDCWD, "link", 0640, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
  CHECK(syscall(452, AT_FDCWD, "file", 0640, AT_SYMLINK_NOFOLLOW) == 0);
  const int file = opened("file", O_PATH);
  CHECK(syscall(452, file, "", 0604, AT_EMPTY_PATH) == 0 && (stat_of("file").st_mode & 0777) == 0604);
  CHECK_ERRNO(syscall(452, file, "", 0604, 0), ENOENT);
  CHECK_ERRNO(syscall(452, AT_FDCWD, "file", 0604, 1), EINVAL);
  CHECK(close(file) == 0 && unlink("file") == 0 && unlink("link") == 0);
}

int renamed(const char* from, const char* to, unsigned flags) {
  return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}

void names_change_places() {
  put("one", "1");
  put("two", "2");
  CHECK(mkdir("folder", 0755) == 0 && mkdir("folder/inner", 0755) == 0 && mkdir("empty", 0755) == 0);
  CHECK_ERRNO(renamed("one", "two", 8), EINVAL);
  CHECK_ERRNO(renamed("one", "two", RENAME_NOREPLACE | RENAME_EXCHANGE), EINVAL);
  CHECK_ERRNO(renamed("one", "two", RENAME_WHITEOUT | RENAME_EXCHANGE), EINVAL);
  CHECK_ERRNO(renamed("one", "two", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(renamed("one", ".", RENAME_NOREPLACE), EEXIST);
  CHECK_ERRNO(renamed("one", ".", 0), EBUSY);
  CHECK_ERRNO(renamed(".", "two", 0), EBUSY);
  CHECK_ERRNO(renamed("one", "three", RENAME_EXCHANGE), ENOENT);
  CHECK_ERRNO(renamed("three", "one", RENAME_EXCHANGE), ENOENT);
  CHECK(renamed("one", "two", RENAME_EXCHANGE) == 0 && contents("one") == "2" && contents("two") == "1");
  CHECK(renamed("one", "one", RENAME_EXCHANGE) == 0 && contents("one") == "2");
  // A file for a folder, which takes its place in another.
  CHECK(renamed("two", "folder/inner", RENAME_EXCHANGE) == 0 && contents("folder/inner") == "1");
  CHECK(stat_of("two").st_ino != 0 && S_ISDIR(stat_of("two").st_mode));
  CHECK(stat_of("folder").st_nlink == 2 && stat_of(".").st_nlink == 5);
  CHECK(stat_of("two/..").st_ino == stat_of(".").st_ino);
  CHECK_ERRNO(renamed("folder", "folder/inner", RENAME_EXCHANGE), EINVAL);
  CHECK_ERRNO(renamed("folder/inner", "folder", RENAME_EXCHANGE), EINVAL);
  CHECK_ERRNO(renamed("one/", "folder", RENAME_EXCHANGE), ENOTDIR);
  CHECK(renamed("one", "folder", RENAME_EXCHANGE) == 0 && contents("folder") == "2");
  CHECK(contents("one/inner") == "1");
  CHECK(renamed("one/inner", "three", RENAME_NOREPLACE) == 0 && contents("three") == "1");
  CHECK(unlink("folder") == 0 && unlink("three") == 0);
  for (const char* folder : {"one", "two", "empty"}) CHECK(rmdir(folder) == 0);
}

void folders_are_not_written() {
  CHECK(mkdir("folder", 0755) == 0);
  for (const int flags : {O_WRONLY, O_RDWR, O_TRUNC, O_CREAT, O_TRUNC | O_CREAT | O_WRONLY}) {
    CHECK_ERRNO(open("folder", flags, 0644), EISDIR);
  }
  CHECK_ERRNO(open("folder", O_CREAT | O_EXCL, 0644), EEXIST);
  CHECK_ERRNO(open("folder", O_CREAT | O_DIRECTORY, 0644), EINVAL);
  CHECK_ERRNO(open("none", O_CREAT | O_DIRECTORY, 0644), EINVAL);
  CHECK_ERRNO(open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0644), EINVAL);
  CHECK_ERRNO(open("none", O_PATH | O_CREAT, 0644), ENOENT);
  CHECK(close(opened("folder", O_PATH | O_CREAT | O_DIRECTORY)) == 0);
  CHECK(rmdir("folder") == 0);
}

void not_everything_is_synchronised() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int file = opened("file", O_CREAT | O_RDWR);
  const int path = opened("file", O_PATH);
  const int folder = opened(".", O_RDONLY);
  const int null = opened("/dev/null", O_RDWR);
  for (const int number : {SYS_fsync, SYS_fdatasync}) {
    CHECK(syscall(number, file) == 0 && syscall(number, folder) == 0);
    for (const int end : ends) CHECK_ERRNO(syscall(number, end), EINVAL);
    CHECK_ERRNO(syscall(number, null), EINVAL);
    CHECK_ERRNO(syscall(number, path), EBADF);
    CHECK_ERRNO(syscall(number, -1), EBADF);
  }
  CHECK(syncfs(file) == 0 && syncfs(folder) == 0);
  CHECK_ERRNO(syncfs(path), EBADF);
  CHECK(posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  CHECK(posix_fadvise(ends[0], 0, 0, POSIX_FADV_NORMAL) == ESPIPE);
  CHECK(posix_fadvise(file, 0, 0, 6) == EINVAL && posix_fadvise(file, 0, -1, 0) == EINVAL);
  CHECK(posix_fadvise(path, 0, 0, 0) == EBADF && posix_fadvise(99, 0, 0, 0) == EBADF);
  for (const int one : {ends[0], ends[1], file, path, folder, null}) CHECK(close(one) == 0);
  CHECK(unlink("file") == 0);
}

void vectors_are_looked_at_first() {
  put("file", "0123456789");
  const int file = opened("file", O_RDWR);
  char buffer[8] = {};
  iovec vectors[12];
  for (iovec& vector : vectors) vector = {buffer, 2};
  // Where the kernel is: before anything moves.
  vectors[1].iov_base = reinterpret_cast<void*>(~0ul << 32);
  CHECK_ERRNO(readv(file, vectors, 2), EFAULT);
  CHECK_ERRNO(readv(file, vectors, 12), EFAULT);
  CHECK_ERRNO(writev(file, vectors, 2), EFAULT);
  CHECK_ERRNO(preadv(file, vectors, 2, 0), EFAULT);
  vectors[1].iov_len = 0;
  CHECK_ERRNO(readv(file, vectors, 2), EFAULT);
  vectors[1] = {buffer, ~size_t{0} >> 1};
  CHECK_ERRNO(readv(file, vectors, 2), EFAULT);
  vectors[1].iov_len = ~size_t{0};
  CHECK_ERRNO(readv(file, vectors, 2), EINVAL);
  CHECK_ERRNO(writev(file, vectors, 12), EINVAL);
  CHECK(lseek(file, 0, SEEK_CUR) == 0 && contents("file") == "0123456789");
  // Where nothing is: what came before moved.
  vectors[1] = {reinterpret_cast<void*>(16), 2};
  CHECK(readv(file, vectors, 2) == 2 && lseek(file, 0, SEEK_CUR) == 2);
  vectors[1] = {buffer + 2, 2};
  CHECK(readv(file, vectors, 12) == 8 && lseek(file, 0, SEEK_CUR) == 10);
  CHECK_ERRNO(syscall(SYS_readv, file, vectors, 1025), EINVAL);
  CHECK_ERRNO(syscall(SYS_readv, file, vectors, -1), EINVAL);
  CHECK_ERRNO(syscall(SYS_readv, file, 8, 2), EFAULT);
  CHECK(syscall(SYS_readv, file, 8, 0) == 0);
  CHECK(close(file) == 0 && unlink("file") == 0);
}

void transfers_with_flags() {
  put("file", "0123456789");
  const int file = opened("file", O_RDWR);
  char buffer[16] = {};
  iovec vector = {buffer, 2};
  CHECK(preadv2(file, &vector, 1, 4, 0) == 2 && memcmp(buffer, "45", 2) == 0);
  CHECK(lseek(file, 0, SEEK_CUR) == 0);
  CHECK(preadv2(file, &vector, 1, -1, 0) == 2 && memcmp(buffer, "01", 2) == 0);
  CHECK(lseek(file, 0, SEEK_CUR) == 2);
  CHECK_ERRNO(preadv2(file, &vector, 1, -2, 0), EINVAL);
  CHECK_ERRNO(preadv2(99, &vector, 1, -2, 0), EINVAL);
  CHECK_ERRNO(preadv2(99, &vector, 1, 0, 0), EBADF);
  CHECK_ERRNO(preadv2(file, &vector, 1, 0, 1 << 30), EOPNOTSUPP);
  CHECK_ERRNO(pwritev2(file, &vector, 1, 0, 1 << 30), EOPNOTSUPP);
  CHECK_ERRNO(pwritev2(file, &vector, 1, 0, 0x30), EINVAL);
  memcpy(buffer, "ab", 2);
  CHECK(pwritev2(file, &vector, 1, 0, RWF_DSYNC | RWF_SYNC) == 2 && contents("file") == "ab23456789");
  CHECK(pwritev2(file, &vector, 1, 0, RWF_APPEND) == 2 && contents("file") == "ab23456789ab");
  CHECK(lseek(file, 0, SEEK_CUR) == 2);
  CHECK(pwritev2(file, &vector, 1, -1, RWF_APPEND) == 2 && contents("file") == "ab23456789abab");
  CHECK(lseek(file, 0, SEEK_CUR) == 14 && (fcntl(file, F_GETFL) & O_APPEND) == 0);
  const int adder = opened("file", O_WRONLY | O_APPEND);
  CHECK(pwritev2(adder, &vector, 1, 2, 0x20) == 2 && contents("file") == "abab456789abab");
  CHECK(pwritev2(adder, &vector, 1, 2, 0) == 2 && contents("file") == "abab456789ababab");
  CHECK_ERRNO(preadv2(adder, &vector, 1, 0, 0), EBADF);
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK_ERRNO(preadv2(ends[0], &vector, 1, 0, 0), ESPIPE);
  CHECK_ERRNO(preadv(ends[1], &vector, 1, 0), ESPIPE);
  CHECK_ERRNO(pread(ends[1], buffer, 1, 0), ESPIPE);
  CHECK_ERRNO(pread(ends[1], buffer, 1, -1), EINVAL);
  CHECK_ERRNO(pread(-1, buffer, 1, -1), EINVAL);
  CHECK(pwritev2(ends[1], &vector, 1, -1, 0) == 2 && preadv2(ends[0], &vector, 1, -1, 0) == 2);
  for (const int one : {file, adder, ends[0], ends[1]}) CHECK(close(one) == 0);
  CHECK(unlink("file") == 0);
}

// What knows RWF_NOWAIT, and what it says then.
void transfers_that_may_not_wait() {
  const auto read_from = [](int file) {
    char buffer[16];
    const iovec vector = {buffer, 8};
    errno = 0;
    const ssize_t got = preadv2(file, &vector, 1, -1, RWF_NOWAIT);
    CHECK((fcntl(file, F_GETFL) & O_NONBLOCK) == 0);
    return got < 0 ? -errno : got;
  };
  const auto write_to = [](int file) {
    char buffer[8] = {1};
    const iovec vector = {buffer, 8};
    errno = 0;
    const ssize_t got = pwritev2(file, &vector, 1, -1, RWF_NOWAIT);
    return got < 0 ? -errno : got;
  };
  int ends[2], pair[2];
  CHECK(pipe(ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(read_from(ends[0]) == -EAGAIN && write_to(ends[1]) == 8 && read_from(ends[0]) == 8);
  CHECK(read_from(pair[0]) == -EAGAIN && write_to(pair[1]) == 8 && read_from(pair[0]) == 8);
  const int counter = eventfd(0, 0), timer = timerfd_create(CLOCK_MONOTONIC, 0), watcher = inotify_init();
  CHECK(read_from(counter) == -EAGAIN && write_to(counter) == -EOPNOTSUPP && read_from(timer) == -EAGAIN);
  CHECK(read_from(watcher) == -EOPNOTSUPP);
  CHECK(mkfifo("fifo", 0600) == 0);
  const int fifo = opened("fifo", O_RDWR), terminal = opened("/dev/ptmx", O_RDWR | O_NOCTTY);
  CHECK(read_from(fifo) == -EOPNOTSUPP && write_to(fifo) == -EOPNOTSUPP);
  CHECK(read_from(terminal) == -EOPNOTSUPP && write_to(terminal) == -EOPNOTSUPP);
  const int null = opened("/dev/null", O_RDWR), zero = opened("/dev/zero", O_RDWR),
            full = opened("/dev/full", O_RDWR), random = opened("/dev/urandom", O_RDONLY);
  CHECK(read_from(null) == 0 && write_to(null) == 8 && read_from(zero) == 8 && read_from(random) == 8);
  CHECK(read_from(full) == -EOPNOTSUPP);
  for (const int one : {ends[0], ends[1], pair[0], pair[1], counter, timer, watcher, fifo, terminal, null,
                        zero, full, random}) {
    CHECK(close(one) == 0);
  }
  CHECK(unlink("fifo") == 0);
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  check("flags that nobody knows", flags_that_nobody_knows);
  check("modes without following", modes_without_following);
  check("names change places", names_change_places);
  check("folders are not written", folders_are_not_written);
  check("not everything is synchronised", not_everything_is_synchronised);
  check("vectors are looked at first", vectors_are_looked_at_first);
  check("transfers with flags", transfers_with_flags);
  check("transfers that may not wait", transfers_that_may_not_wait);
  return finish();
}
