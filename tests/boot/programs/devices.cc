// The nodes of /dev that every program expects, getrandom, and ioctl on files that have none of their own.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <linux/fs.h>
#include <linux/random.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

struct Node {
  const char* path;
  unsigned minor;
};
constexpr Node kNodes[] = {
    {"/dev/null", 3}, {"/dev/zero", 5}, {"/dev/full", 7}, {"/dev/random", 8}, {"/dev/urandom", 9}};

// An address that the compiler knows nothing of.
void* at(uintptr_t address) {
  asm("" : "+r"(address));
  return reinterpret_cast<void*>(address);
}

int opened(const char* path, int flags = O_RDWR) {
  const int file = open(path, flags);
  CHECK(file >= 0);
  return file;
}

// A number as it is, an error by its name.
void print_answer(const char* what, const char* where, long answer) {
  if (answer >= 0) {
    printf("%s %s: %ld\n", where, what, answer);
  } else {
    printf("%s %s: %s\n", where, what, strerrorname_np(errno));
  }
}

void print_calls(const Node& node) {
  char buffer[64];
  const int file = opened(node.path, O_RDWR | O_TRUNC | O_CREAT);
  const auto print = [&](const char* what, long answer) { print_answer(what, node.path, answer); };
  print("read", read(file, buffer, 64));
  print("read of nothing", read(file, buffer, 0));
  print("write", write(file, buffer, 64));
  print("write of nothing", write(file, buffer, 0));
  print("read into nowhere", read(file, at(8), 64));
  print("write from nowhere", write(file, at(8), 64));
  print("pread", pread(file, buffer, 10, 1 << 20));
  print("pwrite", pwrite(file, buffer, 10, 1 << 20));
  print("lseek to", lseek(file, 100, SEEK_SET));
  print("lseek by", lseek(file, 5, SEEK_CUR));
  print("lseek before", lseek(file, -5, SEEK_SET));
  print("lseek end", lseek(file, 0, SEEK_END));
  print("lseek nonsense", lseek(file, 0, 77));
  print("ftruncate", ftruncate(file, 0));
  print("fallocate", fallocate(file, 0, 0, 10));
  int number = -1;
  print("FIONREAD", ioctl(file, FIONREAD, &number));
  termios settings;
  print("TCGETS", ioctl(file, TCGETS, &settings));
  void* const shared = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  print("mmap shared", shared == MAP_FAILED ? -1 : 0);
  void* const mine = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
  print("mmap private", mine == MAP_FAILED ? -1 : 0);
  pollfd entry = {file, POLLIN | POLLOUT | POLLPRI | POLLRDNORM, 0};
  print("poll", poll(&entry, 1, 0));
  print("events", entry.revents);
  struct stat info;
  CHECK(fstat(file, &info) == 0 && S_ISCHR(info.st_mode) && info.st_size == 0);
  print("minor", minor(info.st_rdev));
  int ends[2];
  CHECK(pipe2(ends, O_NONBLOCK) == 0);
  print("splice out", splice(file, nullptr, ends[1], nullptr, 16, 0));
  CHECK(write(ends[1], buffer, 16) == 16);
  print("splice in", splice(ends[0], nullptr, file, nullptr, 16, 0));
  const int source = opened("source");
  print("sendfile to", sendfile(file, source, nullptr, 10));
  print("sendfile from", sendfile(source, file, nullptr, 10));
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(source) == 0 && close(file) == 0);
}

void nodes() {
  put("source", "something to send");
  for (const Node& node : kNodes) {
    print_calls(node);
  }
  check("what zero and random give", [] {
    char buffer[3 * kPage], other[64];
    const int zero = opened("/dev/zero"), random = opened("/dev/urandom");
    memset(buffer, 1, sizeof buffer);
    CHECK(read(zero, buffer, sizeof buffer) == sizeof buffer);
    CHECK(std::all_of(buffer, buffer + sizeof buffer, [](char c) { return c == 0; }));
    CHECK(read(random, buffer, 64) == 64 && read(random, other, 64) == 64 && memcmp(buffer, other, 64) != 0);
    CHECK(close(zero) == 0 && close(random) == 0);
  });
  check("as much as fits before bad memory", [] {
    char* const area = static_cast<char*>(
        mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(area != MAP_FAILED && munmap(area + kPage, kPage) == 0);
    const int zero = opened("/dev/zero");
    CHECK(read(zero, area + kPage - 100, 200) == 100);
    CHECK(close(zero) == 0);
  });
  check("a number that nobody serves", [] {
    CHECK(mknod("none", S_IFCHR | 0600, makedev(250, 77)) == 0);
    CHECK_ERRNO(open("none", O_RDONLY), ENXIO);
    CHECK(mknod("block", S_IFBLK | 0600, makedev(250, 77)) == 0);
    CHECK_ERRNO(open("block", O_RDONLY), ENXIO);
    CHECK_ERRNO(open("/dev/null", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open("/dev/null", O_RDONLY | O_CREAT | O_EXCL, 0600), EEXIST);
  });
}

void links_and_shm() {
  check("links to descriptors", [] {
    char text[64] = {};
    CHECK(readlink("/dev/fd", text, sizeof text) == 13 && strcmp(text, "/proc/self/fd") == 0);
    const struct {
      const char* path;
      const char* target;
    } links[] = {{"/dev/stdin", "/proc/self/fd/0"},
                 {"/dev/stdout", "/proc/self/fd/1"},
                 {"/dev/stderr", "/proc/self/fd/2"}};
    for (const auto& link : links) {
      memset(text, 0, sizeof text);
      CHECK(readlink(link.path, text, sizeof text) == 15 && strcmp(text, link.target) == 0);
    }
    put("here", "by descriptor");
    const int file = opened("here");
    CHECK(dup2(file, 77) == 77 && contents("/dev/fd/77") == "by descriptor");
    CHECK(close(77) == 0 && close(file) == 0);
    CHECK_ERRNO(open("/dev/fd/77", O_RDONLY), ENOENT);
  });
  check("/dev/shm", [] {
    const struct stat info = stat_of("/dev/shm");
    CHECK(S_ISDIR(info.st_mode) && (info.st_mode & 07777) == 01777);
    struct statfs system;
    CHECK(statfs("/dev/shm", &system) == 0 && system.f_type == 0x01021994);
    shm_unlink("/nopte-devices");
    const int file = shm_open("/nopte-devices", O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(file >= 0 && ftruncate(file, kPage) == 0);
    char* const one = static_cast<char*>(mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    char* const two = static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_SHARED, file, 0));
    CHECK(one != MAP_FAILED && two != MAP_FAILED);
    CHECK(status_of_child([&] { strcpy(one, "from the child"); }) == 0);
    CHECK(strcmp(two, "from the child") == 0 && stat_of("/dev/shm/nopte-devices").st_size == long(kPage));
    CHECK(shm_unlink("/nopte-devices") == 0 && close(file) == 0);
    CHECK_ERRNO(shm_open("/nopte-devices", O_RDWR, 0), ENOENT);
  });
}

void random_bytes() {
  check("getrandom", [] {
    char one[64], two[64];
    for (const unsigned flags :
         {0u, unsigned{GRND_NONBLOCK}, unsigned{GRND_RANDOM}, unsigned{GRND_INSECURE},
          unsigned{GRND_RANDOM | GRND_NONBLOCK}, unsigned{GRND_INSECURE | GRND_NONBLOCK}}) {
      CHECK(getrandom(one, 64, flags) == 64 && getrandom(two, 64, flags) == 64 && memcmp(one, two, 64) != 0);
      CHECK(getrandom(one, 0, flags) == 0);
    }
    CHECK_ERRNO(getrandom(one, 64, GRND_RANDOM | GRND_INSECURE), EINVAL);
    CHECK_ERRNO(getrandom(one, 64, 8), EINVAL);
    CHECK_ERRNO(getrandom(one, 64, ~0u), EINVAL);
    CHECK_ERRNO(getrandom(at(8), 64, 0), EFAULT);
    CHECK_ERRNO(getrandom(at(~0ul - 10), 64, 0), EFAULT);
    CHECK(getrandom(nullptr, 0, 0) == 0);
  });
  check("much of it, and up to bad memory", [] {
    constexpr size_t kMuch = 40 << 20;
    char* const area = static_cast<char*>(
        mmap(nullptr, kMuch + kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(area != MAP_FAILED && munmap(area + kMuch, kPage) == 0);
    CHECK(getrandom(area, kMuch, 0) == kMuch);
    CHECK(getrandom(area + kMuch - 5000, 10'000, 0) == 5000);
    CHECK(munmap(area, kMuch) == 0);
  });
  check("the pool", [] {
    const int file = opened("/dev/urandom");
    int bits = 0;
    CHECK(ioctl(file, RNDGETENTCNT, &bits) == 0 && bits == 256);
    CHECK_ERRNO(ioctl(file, RNDGETENTCNT, nullptr), EFAULT);
    CHECK_ERRNO(ioctl(file, 0x5299, &bits), EINVAL);
    CHECK(contents("/proc/sys/kernel/random/poolsize") == "256\n");
    CHECK(contents("/proc/sys/kernel/random/entropy_avail") == "256\n");
    const std::string one = contents("/proc/sys/kernel/random/uuid");
    CHECK(one.size() == 37 && one[8] == '-' && one[14] == '4' &&
          one != contents("/proc/sys/kernel/random/uuid"));
    const std::string boot = contents("/proc/sys/kernel/random/boot_id");
    CHECK(boot.size() == 37 && boot == contents("/proc/sys/kernel/random/boot_id"));
    CHECK(close(file) == 0);
  });
}

void controls() {
  put("source", "seventeen letters");
  check("ioctl on a regular file", [] {
    const int file = opened("source");
    int number = -1;
    CHECK(lseek(file, 4, SEEK_SET) == 4 && ioctl(file, FIONREAD, &number) == 0 && number == 13);
    CHECK(lseek(file, 100, SEEK_SET) == 100 && ioctl(file, FIONREAD, &number) == 0 && number == 17 - 100);
    CHECK_ERRNO(ioctl(file, FIONREAD, nullptr), EFAULT);
    CHECK(ioctl(file, FIGETBSZ, &number) == 0 && number == 4096);
    CHECK_ERRNO(ioctl(file, FIGETBSZ, nullptr), EFAULT);
    long long bytes = 0;
    CHECK(ioctl(file, FIOQSIZE, &bytes) == 0 && bytes >= 17);
    termios settings;
    CHECK_ERRNO(ioctl(file, TCGETS, &settings), ENOTTY);
    winsize size;
    CHECK_ERRNO(ioctl(file, TIOCGWINSZ, &size), ENOTTY);
    CHECK_ERRNO(ioctl(file, 0x12345678, &size), ENOTTY);
    CHECK_ERRNO(ioctl(file, ~0u, &size), ENOTTY);
    CHECK_ERRNO(ioctl(file, FIOASYNC, nullptr), EFAULT);
    number = 0;
    CHECK(ioctl(file, FIOASYNC, &number) == 0);
    number = 1;
    CHECK_ERRNO(ioctl(file, FIOASYNC, &number), ENOTTY);
    CHECK((fcntl(file, F_GETFL) & O_ASYNC) == 0);
    CHECK(close(file) == 0);
  });
  check("on directories and pipes", [] {
    int number = -1;
    const int folder = opened(".", O_RDONLY);
    CHECK_ERRNO(ioctl(folder, FIONREAD, &number), ENOTTY);
    CHECK(ioctl(folder, FIGETBSZ, &number) == 0 && number == 4096);
    CHECK_ERRNO(ioctl(folder, TCGETS, &number), ENOTTY);
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "four", 4) == 4);
    for (const int end : ends) {
      CHECK(ioctl(end, FIONREAD, &number) == 0 && number == 4);
      CHECK_ERRNO(ioctl(end, FIONREAD, nullptr), EFAULT);
      CHECK_ERRNO(ioctl(end, TCGETS, &number), ENOTTY);
    }
    CHECK_ERRNO(ioctl(ends[0], FIOQSIZE, &number), ENOTTY);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && close(folder) == 0);
  });
  check("what every file has", [] {
    int number = 1;
    const int file = opened("source"), path = opened("source", O_PATH);
    CHECK(ioctl(file, FIONBIO, &number) == 0 && (fcntl(file, F_GETFL) & O_NONBLOCK) != 0);
    number = 0;
    CHECK(ioctl(file, FIONBIO, &number) == 0 && (fcntl(file, F_GETFL) & O_NONBLOCK) == 0);
    CHECK_ERRNO(ioctl(file, FIONBIO, nullptr), EFAULT);
    CHECK(ioctl(file, FIOCLEX) == 0 && fcntl(file, F_GETFD) == FD_CLOEXEC);
    CHECK(ioctl(file, FIONCLEX) == 0 && fcntl(file, F_GETFD) == 0);
    for (const unsigned request :
         {unsigned{FIOCLEX}, unsigned{FIONBIO}, unsigned{FIONREAD}, unsigned{FIGETBSZ}}) {
      CHECK_ERRNO(ioctl(path, request, &number), EBADF);
      CHECK_ERRNO(ioctl(-1, request, &number), EBADF);
      CHECK_ERRNO(ioctl(77, request, &number), EBADF);
    }
    CHECK(close(file) == 0 && close(path) == 0);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  nodes();
  links_and_shm();
  random_bytes();
  controls();
  return finish();
}
