// What calls on descriptors answer, for each kind of file. The same on Linux.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "tests/boot/programs/answers.h"

namespace {

void each_call(const char* label, int file) {
  printf(" %s\n", label);
  char buffer[64] = {};
  char names[1024];
  iovec vector = {buffer, 4};
  struct stat info;
  struct statfs system;
  struct statx more;
  timespec times[2] = {{1, 0}, {2, 0}};
  struct flock lock = {};
  int number = 0;
  off_t offset = 0;
  const int there = open("there", O_RDWR);
  SAY(fcntl(file, F_GETFL));
  SAY(fcntl(file, F_GETFD));
  SAY(lseek(file, 0, SEEK_CUR));
  SAY(lseek(file, 2, SEEK_SET));
  SAY(lseek(file, -3, SEEK_CUR));
  SAY(lseek(file, 0, SEEK_DATA));
  SAY(lseek(file, 0, SEEK_HOLE));
  SAY(lseek(file, 0, 5));
  SAY(lseek(file, 0, -1));
  SAY(lseek(file, 0, SEEK_SET));
  SAY(pread(file, buffer, 4, 0));
  SAY(pread(file, buffer, 4, -1));
  SAY(preadv(file, &vector, 1, 0));
  SAY(syscall(SYS_preadv2, file, &vector, 1, -1ul, -1ul, 8));
  SAY(syscall(SYS_preadv2, file, &vector, 1, 0, 0, 0x40000000));
  SAY(pwrite(file, "ab", 2, 0));
  SAY(pwrite(file, "ab", 2, -1));
  SAY(pwrite(file, "ab", 0, 0));
  SAY(write(file, nullptr, 0));
  SAY(read(file, nullptr, 0));
  SAY(readv(file, &vector, 0));
  SAY(writev(file, &vector, 0));
  SAY(syscall(SYS_writev, file, &vector, -1));
  SAY(ftruncate(file, 10));
  SAY(ftruncate(file, -1));
  SAY(syscall(SYS_fallocate, file, 0, 0, 4096));
  SAY(syscall(SYS_fallocate, file, 0, 0, 0));
  SAY(syscall(SYS_fallocate, file, 0, -1, 10));
  SAY(syscall(SYS_fallocate, file, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0, 10));
  SAY(syscall(SYS_fallocate, file, 0x1000, 0, 10));
  SAY(fsync(file));
  SAY(fdatasync(file));
  SAY(syncfs(file));
  SAY(sync_file_range(file, 0, 10, SYNC_FILE_RANGE_WRITE));
  SAY(sync_file_range(file, -1, 10, SYNC_FILE_RANGE_WRITE));
  SAY(sync_file_range(file, 0, -1, SYNC_FILE_RANGE_WRITE));
  SAY(sync_file_range(file, 0, 10, 8));
  SAY(readahead(file, 0, 10));
  SAY(posix_fadvise(file, 0, 0, POSIX_FADV_WILLNEED));
  SAY(posix_fadvise(file, 0, 0, 9));
  SAY(fstat(file, &info));
  SAY(fstat(file, reinterpret_cast<struct stat*>(8)));
  SAY(fstatfs(file, &system));
  SAY(syscall(SYS_fstatfs, file, 8));
  SAY(syscall(SYS_statx, file, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more));
  SAY(syscall(SYS_statx, file, "", 0, STATX_BASIC_STATS, &more));
  SAY(fchmod(file, 0640));
  SAY(fchown(file, -1, -1));
  SAY(syscall(SYS_fchownat, file, "", 0, 0, AT_EMPTY_PATH));
  SAY(syscall(SYS_futimesat, file, nullptr, nullptr));
  SAY(syscall(SYS_utimensat, file, nullptr, times, 0));
  SAY(syscall(SYS_utimensat, file, "", times, AT_EMPTY_PATH));
  SAY(fchdir(file));
  SAY(chdir(".") == 0);
  SAY(openat(file, "there", O_RDONLY));
  SAY(faccessat(file, "there", F_OK, 0));
  SAY(syscall(SYS_faccessat2, file, "", F_OK, AT_EMPTY_PATH));
  SAY(syscall(SYS_getdents64, file, names, sizeof names) > 0);
  SAY(syscall(SYS_getdents64, file, names, 1));
  SAY(syscall(SYS_getdents64, file, 8, sizeof names));
  SAY(syscall(SYS_getdents, file, names, sizeof names) > 0);
  SAY(flock(file, LOCK_SH | LOCK_NB));
  SAY(flock(file, LOCK_UN));
  SAY(fcntl(file, F_SETLK, &lock));
  lock.l_type = F_WRLCK;
  SAY(fcntl(file, F_SETLK, &lock));
  SAY(fcntl(file, F_GETLK, &lock));
  lock.l_type = 7;
  SAY(fcntl(file, F_SETLK, &lock));
  SAY(fcntl(file, F_SETLK, 8));
  SAY(fcntl(file, F_GETOWN));
  SAY(fcntl(file, F_SETOWN, getpid()));
  SAY(fcntl(file, F_GETOWN) == getpid());
  SAY(fcntl(file, F_SETOWN, -getpgrp()));
  SAY(fcntl(file, F_GETOWN) == -getpgrp());
  SAY(fcntl(file, F_SETOWN, 3999999));
  SAY(fcntl(file, F_SETOWN, 0));
  SAY(fcntl(file, F_GETOWN));
  SAY(fcntl(file, F_GETSIG));
  SAY(fcntl(file, F_SETSIG, SIGUSR1));
  SAY(fcntl(file, F_GETSIG));
  SAY(fcntl(file, F_SETSIG, 65));
  SAY(fcntl(file, F_SETSIG, -1));
  SAY(fcntl(file, F_SETSIG, 0));
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_SETLEASE, F_WRLCK));
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_SETLEASE, F_UNLCK));
  SAY(fcntl(file, F_SETLEASE, 9));
  SAY(fcntl(file, F_NOTIFY, DN_MODIFY));
  SAY(fcntl(file, F_NOTIFY, 0));
  SAY(fcntl(file, F_GETPIPE_SZ));
  SAY(fcntl(file, F_SETPIPE_SZ, 4096));
  SAY(fcntl(file, F_GET_SEALS));
  SAY(fcntl(file, F_DUPFD, 5000));
  SAY(fcntl(file, F_DUPFD, -1));
  SAY(fcntl(file, F_DUPFD_CLOEXEC, 100));
  SAY(fcntl(file, 1027, file));
  SAY(fcntl(file, 1027, there));
  SAY(fcntl(file, 1027, 999));
  SAY(fcntl(file, 1028, 0));  // F_CREATED_QUERY
  SAY(fcntl(file, 1035, buffer));
  SAY(fcntl(file, 1036, buffer));
  SAY(fcntl(file, 1037, buffer));
  SAY(fcntl(file, 1038, buffer));
  SAY(fcntl(file, 999, 0));
  SAY(fcntl(file, F_SETFL, O_NONBLOCK));
  SAY(fcntl(file, F_SETFL, O_ASYNC));
  SAY(fcntl(file, F_GETFL) & O_ASYNC);
  SAY(fcntl(file, F_SETFL, O_DIRECT));
  SAY(fcntl(file, F_SETFL, O_NOATIME));
  SAY(fcntl(file, F_GETFL));
  SAY(fcntl(file, F_SETFL, 0));
  SAY(ioctl(file, FIOASYNC, &number));
  number = 1;
  SAY(ioctl(file, FIOASYNC, &number));
  SAY(fcntl(file, F_GETFL) & O_ASYNC);
  number = 0;
  SAY(ioctl(file, FIOASYNC, &number));
  SAY(ioctl(file, FIONBIO, &number));
  SAY(ioctl(file, FIONBIO, 8));
  SAY(ioctl(file, TCGETS, buffer));
  SAY(ioctl(file, 0x1234, buffer));
  SAY(sendfile(there, file, &offset, 0));
  SAY(sendfile(file, there, &offset, 0));
  SAY(splice(file, nullptr, there, nullptr, 1, SPLICE_F_NONBLOCK));
  SAY(splice(there, nullptr, file, nullptr, 0, SPLICE_F_NONBLOCK));
  SAY(tee(file, file, 1, SPLICE_F_NONBLOCK));
  SAY(vmsplice(file, &vector, 0, SPLICE_F_NONBLOCK));
  SAY(copy_file_range(file, nullptr, there, nullptr, 0, 0));
  SAY(copy_file_range(there, nullptr, file, nullptr, 0, 0));
  SAY(copy_file_range(there, nullptr, file, nullptr, 0, 1));
  SAY(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, file, 0) != MAP_FAILED);
  SAY(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) != MAP_FAILED);
  SAY(syscall(SYS_fgetxattr, file, "user.x", buffer, 8));
  if (strcmp(label, "null") != 0 && strcmp(label, "zero") != 0) {
    SAY(syscall(SYS_linkat, file, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
    unlink("linked");
  }
  SAY(syscall(SYS_openat2, file, "there", buffer, 24ul));
  SAY(dup2(file, 200));
  SAY(dup3(file, 200, O_CLOEXEC));
  SAY(dup3(file, 200, 1));
  SAY(dup3(file, file, 0));
  SAY(dup2(file, -1));
  SAY(dup2(file, 1 << 20));
  SAY(close(200));
  SAY(close(200));
  pollfd polled = {file, POLLIN | POLLOUT | POLLPRI, 0};
  SAY(poll(&polled, 1, 0));
  SAY(polled.revents);
  const int set = epoll_create1(0);
  epoll_event event = {};
  SAY(epoll_ctl(set, EPOLL_CTL_ADD, file, &event));
  fflush(stdout);
}

void each(const char* label, int file) {
  CHECK(status_of_child([&] {
          CHECK(setpgid(0, 0) == 0);
          CHECK(mkdir("sub", 0755) == 0 && chdir("sub") == 0);
          put("there", "0123456789");
          each_call(label, file);
        }) == 0);
  CHECK(system("rm -r sub") == 0);
}

void asked_whether_created() {
  const int created = open("created", O_CREAT | O_RDONLY, 0600);
  SAY(fcntl(created, 1028, 0));
  SAY(fcntl(dup(created), 1028, 0));
  SAY(fcntl(open("created", O_CREAT | O_TRUNC | O_RDWR, 0600), 1028, 0));
  SAY(fcntl(open("created", O_PATH), 1028, 0));
  SAY(fcntl(open(".", O_TMPFILE | O_RDWR, 0600), 1028, 0));
  SAY(unlink("created"));
}

}  // namespace

int main() {
  begin_in_tmpfs();
  umask(0);
  asked_whether_created();
  put("there", "0123456789");
  int ends[2];
  CHECK(pipe(ends) == 0);
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(mkfifo("fifo", 0644) == 0);
  each("not open", 77);
  each("negative", -1);
  put("file", "0123456789");
  each("file", open("file", O_RDWR));
  put("file", "0123456789");
  each("file to read", open("file", O_RDONLY));
  put("file", "0123456789");
  each("file to write", open("file", O_WRONLY));
  put("file", "0123456789");
  each("file to append", open("file", O_RDWR | O_APPEND));
  put("file", "0123456789");
  each("path of a file", open("file", O_PATH));
  each("folder", open(".", O_RDONLY));
  each("path of a folder", open(".", O_PATH));
  each("read end", ends[0]);
  each("write end", ends[1]);
  each("fifo", open("fifo", O_RDWR));
  each("socket", pair[0]);
  each("null", open("/dev/null", O_RDWR));
  each("zero", open("/dev/zero", O_RDWR));
  return finish();
}
