// FS_IOC_SETFLAGS of tmpfs: what is append-only or immutable stays what it is. The same on Linux.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/boot/programs/checks.h"

namespace {

int flags_of(const char* path) {
  const int file = open(path, O_RDONLY);
  int flags = -1;
  CHECK(file >= 0 && ioctl(file, FS_IOC_GETFLAGS, &flags) == 0 && close(file) == 0);
  return flags;
}

int set(const char* path, int flags) {
  const int file = open(path, O_RDONLY);
  CHECK(file >= 0);
  const int answer = ioctl(file, FS_IOC_SETFLAGS, &flags);
  const int error = answer < 0 ? errno : 0;
  CHECK(close(file) == 0);
  return error;
}

// 0 or errno.
int opened(const char* path, int how) {
  const int file = open(path, how, 0600);
  return file >= 0 ? (close(file), 0) : errno;
}

const timespec kNow[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
const timespec kOmit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
const timespec kThen[2] = {{1, 1}, {1, 1}};

void make(const char* path) { CHECK(opened(path, O_RDWR | O_CREAT) == 0); }

// What neither an append-only file nor an immutable one allows.
void stays(const char* path) {
  CHECK_ERRNO(unlink(path), EPERM);
  CHECK_ERRNO(rename(path, "other"), EPERM);
  CHECK_ERRNO(rename("spare", path), EPERM);
  CHECK_ERRNO(link(path, "other"), EPERM);
  CHECK_ERRNO(chmod(path, 0644), EPERM);
  CHECK_ERRNO(chown(path, 1, 1), EPERM);
  CHECK_ERRNO(truncate(path, 1), EPERM);
  CHECK_ERRNO(setxattr(path, "user.a", "b", 1, 0), EPERM);
  CHECK_ERRNO(utimensat(AT_FDCWD, path, kThen, 0), EPERM);
  CHECK(utimensat(AT_FDCWD, path, kOmit, 0) == 0);
  CHECK(opened(path, O_RDONLY) == 0 && opened(path, O_WRONLY) == EPERM && opened(path, O_RDWR) == EPERM);
  CHECK(opened(path, O_RDONLY | O_TRUNC) == EPERM && opened(path, O_WRONLY | O_APPEND | O_TRUNC) == EPERM);
}

void append_only() {
  make("a");
  const int early = open("a", O_RDWR);
  CHECK(early >= 0 && set("a", FS_APPEND_FL) == 0 && flags_of("a") == FS_APPEND_FL);
  stays("a");
  CHECK(opened("a", O_WRONLY | O_APPEND) == 0 && utimensat(AT_FDCWD, "a", kNow, 0) == 0);
  const int file = open("a", O_RDWR | O_APPEND);
  CHECK(write(file, "x", 1) == 1 && access("a", W_OK) == 0);
  CHECK_ERRNO(ftruncate(file, 0), EPERM);
  CHECK_ERRNO(fcntl(file, F_SETFL, 0), EPERM);
  CHECK(fcntl(file, F_SETFL, O_APPEND | O_NONBLOCK) == 0);
  CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 100) == 0);
  CHECK_ERRNO(fallocate(file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 100), EPERM);
  CHECK(mmap(nullptr, 1, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED && errno == EACCES);
  CHECK(mmap(nullptr, 1, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED);
  CHECK(pwrite(early, "y", 1, 0) == 1);  // was opened before
  CHECK(set("a", 0) == 0 && close(file) == 0 && close(early) == 0 && unlink("a") == 0);
}

void immutable() {
  make("i");
  const int early = open("i", O_RDWR);
  CHECK(early >= 0 && set("i", FS_IMMUTABLE_FL | FS_NODUMP_FL) == 0);
  CHECK(flags_of("i") == (FS_IMMUTABLE_FL | FS_NODUMP_FL));
  stays("i");
  CHECK(opened("i", O_WRONLY | O_APPEND) == EPERM);
  CHECK_ERRNO(access("i", W_OK), EPERM);
  CHECK_ERRNO(utimensat(AT_FDCWD, "i", kNow, 0), EPERM);
  CHECK_ERRNO(fallocate(early, 0, 0, 100), EPERM);
  CHECK_ERRNO(fchmod(early, 0644), EPERM);
  struct statx facts;
  CHECK(statx(AT_FDCWD, "i", 0, STATX_BASIC_STATS, &facts) == 0);
  constexpr unsigned kTold = STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND | STATX_ATTR_NODUMP;
  CHECK((facts.stx_attributes & kTold) == (STATX_ATTR_IMMUTABLE | STATX_ATTR_NODUMP));
  CHECK((facts.stx_attributes_mask & kTold) == kTold);
  CHECK(set("i", 0) == 0 && close(early) == 0 && unlink("i") == 0);
}

void directories() {
  CHECK(mkdir("d", 0755) == 0);
  make("d/old");
  CHECK(set("d", FS_APPEND_FL) == 0);
  make("d/new");
  CHECK_ERRNO(unlink("d/new"), EPERM);
  CHECK_ERRNO(rename("d/new", "d/newer"), EPERM);
  CHECK_ERRNO(rmdir("d"), EPERM);
  CHECK(set("d", FS_IMMUTABLE_FL) == 0 && opened("d/third", O_RDWR | O_CREAT) == EPERM);
  CHECK_ERRNO(mkdir("d/e", 0755), EPERM);
  CHECK_ERRNO(unlink("d/old"), EPERM);
  CHECK(opened("d/old", O_RDWR) == 0 && set("d", 0) == 0);
  CHECK(unlink("d/old") == 0 && unlink("d/new") == 0 && rmdir("d") == 0);
}

void who_may() {
  make("w");
  CHECK(chown("w", 1000, 1000) == 0);
  CHECK(set("w", FS_EXTENT_FL) == EOPNOTSUPP);
  CHECK(status_of_child([] {
          CHECK(setuid(1000) == 0);
          CHECK(set("w", FS_NODUMP_FL) == 0 && set("w", FS_APPEND_FL) == EPERM);
          CHECK(set("spare", FS_NODUMP_FL) == EPERM);
        }) == 0);
  CHECK(flags_of("w") == FS_NODUMP_FL && unlink("w") == 0);
  int pipes[2], flags;
  CHECK(pipe(pipes) == 0);
  CHECK_ERRNO(ioctl(pipes[0], FS_IOC_GETFLAGS, &flags), ENOTTY);
}

}  // namespace

int main() {
  char here[] = "/dev/shm/flags-XXXXXX";
  CHECK(mkdtemp(here) != nullptr && chmod(here, 0755) == 0 && chdir(here) == 0);
  make("spare");
  CHECK(chmod("spare", 0644) == 0);
  check("append_only", append_only);
  check("immutable", immutable);
  check("directories", directories);
  check("who_may", who_may);
  CHECK(unlink("spare") == 0 && rmdir(here) == 0);
  return finish();
}
