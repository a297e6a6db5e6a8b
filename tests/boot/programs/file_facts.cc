// What files say about themselves: statx, times, waiting for them, holes. The same on Linux.
#include <linux/close_range.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include <initializer_list>

#include "tests/boot/programs/answers.h"

namespace {

char* volatile g_bad = reinterpret_cast<char*>(8);

void what_statx_says() {
  put("file", "0123456789");
  CHECK(link("file", "other") == 0);
  struct statx info = {};
  SAY(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, &info));
  printf("  mask %x blocks of %u links %u mode %o size %llu blocks %llu attributes %llx\n", info.stx_mask,
         info.stx_blksize, info.stx_nlink, info.stx_mode, info.stx_size, info.stx_blocks,
         info.stx_attributes);
  SAY(info.stx_btime.tv_sec != 0);
  SAY(info.stx_btime.tv_sec <= info.stx_mtime.tv_sec);
  SAY(info.stx_mnt_id != 0);
  SAY(statx(AT_FDCWD, "file", 0, 0, &info));
  SAY(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC, STATX_SIZE, &info));
  SAY(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &info));
  SAY(statx(AT_FDCWD, "missing", 0, STATX_SIZE, &info));
  SAY(statx(-1, "file", 0, STATX_SIZE, &info));
  SAY(statx(AT_FDCWD, "", 0, STATX_SIZE, &info));
  SAY(statx(AT_FDCWD, "", AT_EMPTY_PATH, STATX_SIZE, &info));
  SAY(syscall(SYS_statx, AT_FDCWD, nullptr, AT_EMPTY_PATH, STATX_SIZE, &info));
  SAY(syscall(SYS_statx, AT_FDCWD, "file", 0, STATX_SIZE, 8));
  SAY(syscall(SYS_statx, AT_FDCWD, 8, 0, STATX_SIZE, &info));
  CHECK(symlink("file", "link") == 0);
  SAY(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info));
  SAY(info.stx_mode & S_IFMT);
  SAY(statx(AT_FDCWD, "/dev/null", 0, STATX_TYPE, &info));
  SAY(info.stx_rdev_major);
  SAY(info.stx_rdev_minor);
  SAY(statx(AT_FDCWD, "/proc", 0, STATX_BASIC_STATS, &info));
  SAY(info.stx_attributes_mask & info.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void times() {
  put("file", "text");
  timespec both[2] = {{1000, 5}, {2000, 6}};
  const auto told = [] {
    const struct stat info = stat_of("file");
    const bool now_read = info.st_atim.tv_sec > 1000000, now_written = info.st_mtim.tv_sec > 1000000;
    printf("  read %s written %s\n", now_read ? "now" : std::to_string(info.st_atim.tv_sec).c_str(),
           now_written ? "now" : std::to_string(info.st_mtim.tv_sec).c_str());
  };
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  told();
  both[0].tv_nsec = UTIME_NOW;
  both[1].tv_nsec = UTIME_OMIT;
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  told();
  both[0] = {500, UTIME_OMIT};
  both[1] = {700, 0};
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  told();
  both[0] = both[1] = {0, UTIME_OMIT};
  SAY(utimensat(AT_FDCWD, "missing", both, 0));
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  both[0] = {1, 1000000000};
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  both[0] = {1, -1};
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  SAY(syscall(SYS_utimensat, AT_FDCWD, "file", g_bad, 0));
  SAY(syscall(SYS_utimensat, AT_FDCWD, nullptr, nullptr, 0));
  SAY(syscall(SYS_utimensat, 99, nullptr, nullptr, 0));
  SAY(syscall(SYS_utimensat, AT_FDCWD, "file", nullptr, 7));
  SAY(syscall(SYS_utime, "file", g_bad));
  SAY(syscall(SYS_utimes, "file", g_bad));
  both[0] = {-5, 0};
  both[1] = {-6, 0};
  SAY(utimensat(AT_FDCWD, "file", both, 0));
  told();
  const int file = open("file", O_RDONLY);
  both[0] = {10, 0};
  both[1] = {20, 0};
  SAY(futimens(file, both));
  told();
  close(file);
  CHECK(chmod("file", 0666) == 0);
  both[0] = {10, 0};
  as_user(1, [&] {
    SAY(utimensat(AT_FDCWD, "file", nullptr, 0));
    SAY(utimensat(AT_FDCWD, "file", both, 0));
    both[0].tv_nsec = both[1].tv_nsec = UTIME_NOW;
    SAY(utimensat(AT_FDCWD, "file", both, 0));
    both[0].tv_nsec = UTIME_OMIT;
    SAY(utimensat(AT_FDCWD, "file", both, 0));
    both[1].tv_nsec = UTIME_OMIT;
    SAY(utimensat(AT_FDCWD, "file", both, 0));
  });
  CHECK(chmod("file", 0644) == 0);
  as_user(1, [&] { SAY(utimensat(AT_FDCWD, "file", nullptr, 0)); });
}

void waiting_for_files() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  timeval none = {0, 0};
  timespec little = {0, 1000};
  SAY(select(ends[0] + 1, &set, nullptr, nullptr, &none));
  SAY(select(-1, nullptr, nullptr, nullptr, &none));
  SAY(syscall(SYS_select, 4, g_bad, nullptr, nullptr, &none));
  SAY(syscall(SYS_select, 0, nullptr, nullptr, nullptr, g_bad));
  none.tv_sec = -1;
  SAY(select(0, nullptr, nullptr, nullptr, &none));
  none = {0, 0};
  FD_SET(100, &set);
  SAY(select(101, &set, nullptr, nullptr, &none));
  FD_ZERO(&set);
  FD_SET(ends[1], &set);
  SAY(pselect(ends[1] + 1, nullptr, &set, nullptr, &little, nullptr));
  SAY(little.tv_nsec);
  little.tv_nsec = -1;
  SAY(pselect(0, nullptr, nullptr, nullptr, &little, nullptr));
  pollfd polled[2] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 0}};
  SAY(poll(polled, 2, 0));
  polled[1].fd = 100;
  SAY(poll(polled, 2, 0));
  SAY(polled[1].revents);
  SAY(syscall(SYS_poll, g_bad, 1, 0));
  SAY(syscall(SYS_poll, g_bad, 0, 0));
  SAY(syscall(SYS_poll, polled, 1 << 21, 0));
  little = {0, 1000};
  SAY(syscall(SYS_ppoll, polled, 2, &little, nullptr, 8ul));
  SAY(syscall(SYS_ppoll, polled, 1, g_bad, nullptr, 8ul));
  sigset_t signals;
  sigemptyset(&signals);
  SAY(syscall(SYS_ppoll, polled, 1, &little, &signals, 7ul));
  little.tv_nsec = -1;
  SAY(syscall(SYS_ppoll, polled, 1, &little, &signals, 8ul));
  close_range(3, ~0u, 0);
}

void holes() {
  const int file = open("holes", O_CREAT | O_RDWR, 0644);
  SAY(pwrite(file, "a", 1, 3 * 4096));
  SAY(lseek(file, 0, SEEK_DATA));
  SAY(lseek(file, 0, SEEK_HOLE));
  SAY(lseek(file, 3 * 4096, SEEK_HOLE));
  SAY(lseek(file, 3 * 4096 + 1, SEEK_DATA));
  SAY(lseek(file, -1, SEEK_DATA));
  SAY(pwrite(file, "a", 1, 0));
  SAY(lseek(file, 0, SEEK_HOLE));
  SAY(lseek(file, 1, SEEK_DATA));
  SAY(lseek(file, 4096, SEEK_DATA));
  SAY(ftruncate(file, 10 * 4096));
  SAY(lseek(file, 4 * 4096, SEEK_DATA));
  SAY(lseek(file, 4 * 4096, SEEK_HOLE));
  SAY(lseek(file, 10 * 4096, SEEK_HOLE));
  SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 3 * 4096, 4096));
  SAY(lseek(file, 0x7fffffffffffffff, SEEK_SET));
  SAY(lseek(file, 1, SEEK_CUR));
  SAY(write(file, "a", 1));
  SAY(pread(file, g_bad, 1, 0x7fffffffffffffff));
  close(file);
}

void unnamed_files_tell_their_flags() {
  const int file = open(".", O_TMPFILE | O_RDWR, 0600);
  printf("%x\n", static_cast<unsigned>(fcntl(file, F_GETFL)));
  close(file);
}

// Another process has the same descriptors: what is closed, or is to be closed at exec, is so in a copy
// alone.
void close_range_in_a_copy() {
  for (const unsigned flags : {CLOSE_RANGE_UNSHARE, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC}) {
    const int file = open(".", O_RDONLY);
    const long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) {
      const bool done = close_range(static_cast<unsigned>(file), ~0u, flags) == 0;
      const int here = fcntl(file, F_GETFD);
      _exit(done && here == (flags == CLOSE_RANGE_UNSHARE ? -1 : FD_CLOEXEC) ? 0 : 1);
    }
    int status = -1;
    SAY(waitpid(static_cast<pid_t>(child), &status, 0) == child);
    SAY(status);
    SAY(fcntl(file, F_GETFD));
    close(file);
  }
}

}  // namespace

int main() {
  begin_in_tmpfs();
  check("what statx says", what_statx_says);
  check("times", times);
  check("waiting for files", waiting_for_files);
  check("holes", holes);
  check("unnamed files tell their flags", unnamed_files_tell_their_flags);
  check("close_range in a copy", close_range_in_a_copy);
  return finish();
}
