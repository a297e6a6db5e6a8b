// Rules about files that several calls share: set-group-ID folders, sticky ones, bits that a change takes
// away, files without a name, programs that run, limits, statx. The same on Linux.
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "tests/boot/programs/answers.h"

namespace {

const char* g_self;
char* volatile g_bad = reinterpret_cast<char*>(8);

void show(const char* path) {
  struct stat info;
  if (lstat(path, &info) != 0) {
    printf("  %s: %s\n", path, strerrorname_np(errno));
    return;
  }
  printf("  %s: mode %o owner %u group %u links %lu size %ld\n", path, info.st_mode, info.st_uid, info.st_gid,
         static_cast<unsigned long>(info.st_nlink), static_cast<long>(info.st_size));
}

void groups_of_new_files() {
  CHECK(mkdir("plain", 0777) == 0 && mkdir("group", 0777) == 0);
  CHECK(chmod("plain", 0777) == 0 && chown("group", 0, 777) == 0 && chmod("group", 02777) == 0);
  for (const char* folder : {"plain", "group"}) {
    CHECK(chdir(folder) == 0);
    as_user(1234, [] {
      umask(0);
      for (const int mode : {0644, 02755, 02745, 06777, 01777}) {
        char name[32];
        snprintf(name, sizeof name, "file%o", mode);
        close(open(name, O_CREAT | O_WRONLY, mode));
        show(name);
        snprintf(name, sizeof name, "folder%o", mode);
        mkdir(name, static_cast<mode_t>(mode));
        show(name);
        snprintf(name, sizeof name, "node%o", mode);
        mknod(name, S_IFREG | static_cast<mode_t>(mode), 0);
        show(name);
      }
      SAY(mkfifo("fifo", 02777));
      show("fifo");
      SAY(symlink("there", "link"));
      show("link");
      SAY(mknod("device", S_IFCHR | 0666, makedev(1, 3)));
      SAY(chmod("file644", 02755));
      show("file644");
      const int nameless = open(".", O_TMPFILE | O_RDWR, 02755);
      struct stat info;
      CHECK(fstat(nameless, &info) == 0);
      printf("  nameless: mode %o group %u links %lu\n", info.st_mode, info.st_gid,
             static_cast<unsigned long>(info.st_nlink));
      SAY(truncate("file6777", 0));
      show("file6777");
    });
    CHECK(chdir("..") == 0);
  }
}

void bits_that_go() {
  put("file", "text");
  const auto with = [](mode_t mode) { CHECK(chown("file", 1234, 1234) == 0 && chmod("file", mode) == 0); };
  for (const mode_t mode : {06777u, 06767u, 02767u, 04755u}) {
    with(mode);
    printf(" %o\n", mode);
    SAY(chown("file", 1234, 1234));
    show("file");
    with(mode);
    SAY(chown("file", -1, -1));
    show("file");
    with(mode);
    SAY(truncate("file", 2));
    show("file");
    as_user(1234, [&] {
      SAY(chown("file", -1, 1234));
      show("file");
      chmod("file", mode);
      const int file = open("file", O_WRONLY);
      SAY(write(file, "a", 1));
      show("file");
      chmod("file", mode);
      SAY(ftruncate(file, 1));
      show("file");
      chmod("file", mode);
      SAY(fallocate(file, 0, 0, 10));
      show("file");
      chmod("file", mode);
      SAY(close(open("file", O_WRONLY | O_TRUNC)));
      show("file");
    });
    with(mode);
    as_user(4321, [&] {
      SAY(chown("file", 4321, -1));
      SAY(chmod("file", 0644));
      const int file = open("file", O_WRONLY);
      if (file >= 0) SAY(write(file, "ab", 2));
      show("file");
    });
  }
  CHECK(mkdir("folder", 0777) == 0 && chmod("folder", 06777) == 0);
  SAY(chown("folder", 1, 1));
  show("folder");
}

void sticky_folders() {
  CHECK(mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
  put("sticky/root", "1");
  as_user(1, [] { put("sticky/one", "1"), mkdir("sticky/folder", 0755); });
  as_user(2, [] {
    SAY(unlink("sticky/one"));
    SAY(rename("sticky/one", "sticky/two"));
    SAY(rename("sticky/root", "two"));
    SAY(rmdir("sticky/folder"));
    put("sticky/mine", "1");
    SAY(rename("sticky/mine", "sticky/one"));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "sticky/mine", AT_FDCWD, "sticky/one", RENAME_EXCHANGE));
    SAY(unlink("sticky/mine"));
  });
  as_user(1, [] {
    SAY(rename("sticky/one", "sticky/two"));
    SAY(unlink("sticky/two"));
    SAY(rmdir("sticky/folder"));
  });
}

void files_without_names() {
  char path[64];
  int file = open(".", O_TMPFILE | O_RDWR, 0644);
  CHECK(write(file, "text", 4) == 4);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  SAY(linkat(AT_FDCWD, path, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
  show("linked");
  SAY(linkat(file, "", AT_FDCWD, "again", AT_EMPTY_PATH));
  show("linked");
  SAY(unlink("linked"));
  SAY(unlink("again"));
  SAY(linkat(file, "", AT_FDCWD, "back", AT_EMPTY_PATH));
  close(file);
  file = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0644);
  SAY(linkat(file, "", AT_FDCWD, "exclusive", AT_EMPTY_PATH));
  close(file);
  SAY(open(".", O_TMPFILE | O_RDONLY, 0644));
  SAY(open("missing", O_TMPFILE | O_RDWR, 0644));
  put("file", "text");
  SAY(open("file", O_TMPFILE | O_RDWR, 0644));
  file = open("file", O_RDWR);
  unlink("file");
  SAY(linkat(file, "", AT_FDCWD, "back", AT_EMPTY_PATH));
  struct stat info;
  SAY(fstat(file, &info));
  SAY(info.st_nlink);
  close(file);
  as_user(1, [] {
    SAY(open(".", O_TMPFILE | O_RDWR, 0644));
    const int there = open("/dev/shm", O_TMPFILE | O_RDWR, 0644);
    SAY(linkat(there, "", AT_FDCWD, "/dev/shm/nopte-linked", AT_EMPTY_PATH));
    SAY(unlink("/dev/shm/nopte-linked"));
  });
}

void programs_that_run() {
  // A copy of this program, that waits.
  const std::string text = contents(g_self);
  put("program", text);
  CHECK(chmod("program", 0755) == 0);
  int writer = open("program", O_WRONLY);
  SAY(execl("program", "program", nullptr));
  close(writer);
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[0], 0);
    close(ends[1]);
    execl("program", "program", "wait", nullptr);
    _exit(1);
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", child);
  struct stat own = stat_of("program"), its = {};
  while (stat(path, &its) != 0 || its.st_ino != own.st_ino) sched_yield();
  SAY(open("program", O_WRONLY));
  SAY(open("program", O_RDWR));
  SAY(open("program", O_RDONLY | O_TRUNC));
  SAY(creat("program", 0644));
  SAY(truncate("program", 0));
  SAY(close(open("program", O_RDONLY)));
  SAY(chmod("program", 0700));
  SAY(link("program", "same"));
  SAY(open("same", O_WRONLY));
  SAY(rename("program", "moved"));
  SAY(unlink("same"));
  SAY(open("moved", O_WRONLY | O_APPEND));
  close(ends[1]);
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  writer = open("moved", O_WRONLY);
  SAY(writer >= 0);
  close_range(3, ~0u, 0);
}

void limits_of_size() {
  signal(SIGXFSZ, SIG_IGN);
  CHECK(status_of_child([] {
          const rlimit limit = {100, 100};
          CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
          const int file = open("limited", O_CREAT | O_RDWR | O_TRUNC, 0644);
          char bytes[200] = {};
          SAY(write(file, bytes, 60));
          SAY(write(file, bytes, 60));
          SAY(write(file, bytes, 60));
          SAY(pwrite(file, bytes, 10, 95));
          SAY(pwrite(file, bytes, 10, 100));
          SAY(ftruncate(file, 100));
          SAY(ftruncate(file, 101));
          SAY(truncate("limited", 101));
          SAY(fallocate(file, 0, 0, 101));
          SAY(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 101));
          iovec parts[2] = {{bytes, 60}, {bytes, 60}};
          SAY(lseek(file, 0, SEEK_SET));
          SAY(writev(file, parts, 2));
          SAY(sendfile(file, file, nullptr, 10));
          SAY(lseek(file, 1000, SEEK_SET));
          SAY(write(file, bytes, 0));
          show("limited");
          signal(SIGXFSZ, SIG_DFL);
          fflush(stdout);
          if (fork() == 0) {
            write(file, bytes, 1);
            _exit(0);
          }
          int status;
          wait(&status);
          printf("  ended by %d\n", status);
          fflush(stdout);
        }) == 0);
}

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

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && strcmp(arguments[1], "wait") == 0) {
    char byte;
    return read(0, &byte, 1) != 0;
  }
  static char self[4096];
  CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
  g_self = self;
  begin_in_tmpfs();
  check("groups of new files", groups_of_new_files);
  check("bits that go", bits_that_go);
  check("sticky folders", sticky_folders);
  check("files without names", files_without_names);
  check("programs that run", programs_that_run);
  check("limits of size", limits_of_size);
  check("what statx says", what_statx_says);
  check("times", times);
  check("waiting for files", waiting_for_files);
  check("holes", holes);
  return finish();
}
