// splice, tee, vmsplice, the sizes of pipes, and transfers that meet bad memory in the middle.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "tests/boot/programs/file_checks.h"

namespace {

struct Pipe {
  int ends[2];
  explicit Pipe(int flags = 0) { CHECK(pipe2(ends, flags) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int out() const { return ends[0]; }
  [[nodiscard]] int in() const { return ends[1]; }
  void give(const char* text) const { CHECK(write(in(), text, strlen(text)) == ssize_t(strlen(text))); }
  [[nodiscard]] std::string take(size_t most = 65536) const {
    std::string text(most, 0);
    const ssize_t got = read(out(), text.data(), most);
    CHECK(got >= 0);
    return text.substr(0, size_t(got));
  }
  [[nodiscard]] int waiting() const {
    int bytes = -1;
    CHECK(ioctl(out(), FIONREAD, &bytes) == 0);
    return bytes;
  }
};

void nothing_goes_to_or_from_what_gives_numbers() {
  sigset_t none;
  CHECK(sigemptyset(&none) == 0);
  const int files[] = {epoll_create1(0),
                       eventfd(3, 0),
                       signalfd(-1, &none, 0),
                       timerfd_create(CLOCK_MONOTONIC, 0),
                       int(syscall(SYS_pidfd_open, getpid(), 0)),
                       int(syscall(SYS_memfd_secret, 0)),
                       inotify_init1(0)};
  const Pipe p;
  for (const int file : files) {
    CHECK(file >= 0);
    const int refused = file == files[6] ? EBADF : EINVAL;  // is only read
    CHECK_ERRNO(splice(p.out(), nullptr, file, nullptr, 8, SPLICE_F_NONBLOCK), refused);
    CHECK_ERRNO(splice(file, nullptr, p.in(), nullptr, 4096, SPLICE_F_NONBLOCK), EINVAL);
    CHECK_ERRNO(readahead(file, 0, 1), EINVAL);
    CHECK(close(file) == 0);
  }
}

void splices() {
  check("nothing_goes_to_or_from_what_gives_numbers", nothing_goes_to_or_from_what_gives_numbers);
  check("pipe to file, at its position and at an offset", [] {
    const Pipe p;
    const int file = open("from-pipe", O_RDWR | O_CREAT | O_TRUNC, 0600);
    p.give("0123456789");
    CHECK(splice(p.out(), nullptr, file, nullptr, 4, 0) == 4 && lseek(file, 0, SEEK_CUR) == 4);
    off64_t at = 10;
    CHECK(splice(p.out(), nullptr, file, &at, 100, 0) == 6 && at == 16 && lseek(file, 0, SEEK_CUR) == 4);
    CHECK(contents("from-pipe") == std::string("0123\0\0\0\0\0\0"
                                               "456789",
                                               16) &&
          p.waiting() == 0);
    CHECK(close(file) == 0);
  });
  check("file to pipe", [] {
    put("source", pattern(100'000));
    const int file = open("source", O_RDONLY);
    const Pipe p;
    CHECK(splice(file, nullptr, p.in(), nullptr, 1000, 0) == 1000 && lseek(file, 0, SEEK_CUR) == 1000);
    off64_t at = 50'000;
    CHECK(splice(file, &at, p.in(), nullptr, 200, SPLICE_F_MOVE | SPLICE_F_MORE) == 200 && at == 50'200);
    const std::string text = pattern(100'000);
    CHECK(p.take() == text.substr(0, 1000) + text.substr(50'000, 200));
    at = 200'000;
    CHECK(splice(file, &at, p.in(), nullptr, 10, 0) == 0);
    CHECK(close(file) == 0);
  });
  check("pipe to pipe, tee", [] {
    const Pipe a, b, c;
    a.give("twice and once");
    CHECK(tee(a.out(), b.in(), 5, 0) == 5 && a.waiting() == 14);
    CHECK(splice(a.out(), nullptr, c.in(), nullptr, 9, 0) == 9 && a.waiting() == 5);
    CHECK(b.take() == "twice" && c.take() == "twice and" && a.take() == " once");
    CHECK_ERRNO(splice(a.out(), nullptr, b.in(), nullptr, 1, SPLICE_F_NONBLOCK), EAGAIN);
    CHECK_ERRNO(tee(a.out(), b.in(), 1, SPLICE_F_NONBLOCK), EAGAIN);
  });
  check("the end and nobody there", [] {
    Pipe a;
    const Pipe b;
    CHECK(close(a.ends[1]) == 0);
    CHECK(splice(a.out(), nullptr, b.in(), nullptr, 10, 0) == 0 && tee(a.out(), b.in(), 10, 0) == 0);
    a.ends[1] = -1;
    Pipe full;
    CHECK(close(full.ends[0]) == 0);
    full.ends[0] = -1;
    signal(SIGPIPE, SIG_IGN);
    const int file = open("source", O_RDONLY);
    CHECK_ERRNO(splice(file, nullptr, full.in(), nullptr, 10, 0), EPIPE);
    CHECK_ERRNO(sendfile(full.in(), file, nullptr, 10), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    CHECK(close(file) == 0);
  });
  check("splice refuses", [] {
    const Pipe p;
    p.give("x");
    const int file = open("source", O_RDWR), more = open("more", O_RDWR | O_CREAT | O_APPEND, 0600);
    const int folder = open(".", O_RDONLY);
    off64_t at = 0;
    CHECK(splice(p.out(), nullptr, file, nullptr, 0, 0) == 0 &&
          splice(-1, nullptr, -1, nullptr, 0, ~0u) == 0);
    CHECK_ERRNO(splice(p.out(), nullptr, file, nullptr, 1, 0x10), EINVAL);
    CHECK_ERRNO(splice(-1, nullptr, file, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(splice(p.out(), nullptr, -1, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(splice(p.in(), nullptr, file, nullptr, 1, 0), EBADF);
    CHECK_ERRNO(splice(file, nullptr, p.out(), nullptr, 1, 0), EBADF);
    CHECK_ERRNO(splice(file, nullptr, more, nullptr, 1, 0), EINVAL);
    CHECK_ERRNO(splice(p.out(), &at, file, nullptr, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(file, nullptr, p.in(), &at, 1, 0), ESPIPE);
    CHECK_ERRNO(splice(p.out(), nullptr, p.in(), nullptr, 1, 0), EINVAL);
    CHECK_ERRNO(splice(p.out(), nullptr, more, nullptr, 1, 0), EINVAL);
    CHECK_ERRNO(splice(folder, nullptr, p.in(), nullptr, 1, 0), EINVAL);
    at = -1;
    CHECK_ERRNO(splice(file, &at, p.in(), nullptr, 1, 0), EINVAL);
    CHECK_ERRNO(splice(file, reinterpret_cast<off64_t*>(8), p.in(), nullptr, 1, 0), EFAULT);
    CHECK_ERRNO(tee(p.out(), p.in(), 1, 0), EINVAL);
    CHECK_ERRNO(tee(p.out(), file, 1, 0), EINVAL);
    CHECK_ERRNO(tee(p.out(), p.in(), 1, 0x10), EINVAL);
    CHECK_ERRNO(tee(-1, p.in(), 1, 0), EBADF);
    CHECK(p.waiting() == 1);
    CHECK(close(file) == 0 && close(more) == 0 && close(folder) == 0);
  });
  check("vmsplice", [] {
    const Pipe p;
    char one[] = "gathered ", two[] = "parts";
    iovec parts[2] = {{one, 9}, {two, 5}};
    CHECK(vmsplice(p.in(), parts, 2, 0) == 14);
    char back[2][8] = {};
    iovec into[2] = {{back[0], 8}, {back[1], 8}};
    CHECK(vmsplice(p.out(), into, 2, 0) == 14 && memcmp(back[0], "gathered", 8) == 0 &&
          memcmp(back[1], " parts", 6) == 0);
    CHECK_ERRNO(vmsplice(-1, parts, 1, 0), EBADF);
    const int file = open("source", O_RDWR);
    CHECK_ERRNO(vmsplice(file, parts, 1, 0), EBADF);
    CHECK_ERRNO(vmsplice(p.in(), parts, 1, 0x10), EINVAL);
    CHECK_ERRNO(vmsplice(p.in(), parts, 1025, 0), EINVAL);
    CHECK(vmsplice(p.in(), parts, 0, 0) == 0);
    CHECK(close(file) == 0);
  });
}

void sizes() {
  check("F_SETPIPE_SZ", [] {
    const Pipe p(O_NONBLOCK);
    CHECK(fcntl(p.out(), F_GETPIPE_SZ) == 65536);
    CHECK(fcntl(p.in(), F_SETPIPE_SZ, 5000) == 8192 && fcntl(p.out(), F_GETPIPE_SZ) == 8192);
    const std::string text = pattern(10'000);
    CHECK(write(p.in(), text.data(), text.size()) == 8192);
    CHECK_ERRNO(fcntl(p.in(), F_SETPIPE_SZ, 4096), EBUSY);
    CHECK(fcntl(p.in(), F_SETPIPE_SZ, 1 << 20) == 1 << 20);
    CHECK(write(p.in(), text.data() + 8192, text.size() - 8192) == ssize_t(text.size() - 8192));
    CHECK(p.take() == text && fcntl(p.in(), F_SETPIPE_SZ, 1) == 4096);
    CHECK(write(p.in(), text.data(), 5000) == 4096 && p.take() == text.substr(0, 4096));
    CHECK_ERRNO(fcntl(p.in(), F_SETPIPE_SZ, 1u << 31 | 1), EINVAL);
    const int file = open("source", O_RDONLY);
    CHECK_ERRNO(fcntl(file, F_GETPIPE_SZ), EBADF);
    CHECK_ERRNO(fcntl(file, F_SETPIPE_SZ, 4096), EBADF);
    CHECK(close(file) == 0);
  });
}

void bad_memory() {
  check("a fault in the middle of what goes into a pipe", [] {
    char* const area = static_cast<char*>(
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(area != MAP_FAILED && munmap(area + 2 * kPage, kPage) == 0);
    const Pipe p;
    CHECK_ERRNO(write(p.in(), area + 2 * kPage - 100, 200), EFAULT);
    CHECK(p.waiting() == 0);
    CHECK(write(p.in(), area + kPage - 100, 2 * kPage) == ssize_t(kPage));
    CHECK(p.waiting() == int(kPage) && p.take().size() == kPage);
    p.give("before");
    CHECK_ERRNO(write(p.in(), area + 2 * kPage - 10, 20), EFAULT);
    CHECK(p.waiting() == 6);
    CHECK(write(p.in(), area + kPage - 10, kPage + 20) == 20);
    CHECK(p.waiting() == 26 && p.take().size() == 26);
  });
  check("and of what comes out", [] {
    char* const area = static_cast<char*>(
        mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(area != MAP_FAILED && munmap(area + 2 * kPage, kPage) == 0);
    const Pipe p;
    const std::string text = pattern(2 * kPage);
    CHECK(write(p.in(), text.data(), text.size()) == ssize_t(text.size()));
    CHECK_ERRNO(read(p.out(), area + 2 * kPage - 100, 200), EFAULT);
    CHECK(p.waiting() == int(2 * kPage));
    CHECK(read(p.out(), area + kPage - 100, 2 * kPage) == ssize_t(kPage));
    CHECK(memcmp(area + kPage - 100, text.data(), kPage) == 0 && p.waiting() == int(kPage));
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  splices();
  sizes();
  bad_memory();
  puts("ok");
  return 0;
}
