// Pipes of packets (O_DIRECT), their sizes in /proc/sys/fs, and what poll and select refuse.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/boot/programs/file_checks.h"

namespace {

struct Pipe {
  int ends[2];
  explicit Pipe(int flags) { CHECK(pipe2(ends, flags) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  [[nodiscard]] int out() const { return ends[0]; }
  [[nodiscard]] int in() const { return ends[1]; }
  void give(const std::string& text) const {
    CHECK(write(in(), text.data(), text.size()) == ssize_t(text.size()));
  }
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

void packets() {
  check("a read gives one packet", [] {
    const Pipe p(O_DIRECT | O_NONBLOCK | O_CLOEXEC);
    for (const int end : p.ends) {
      CHECK((fcntl(end, F_GETFL) & O_DIRECT) == (end == p.in() ? O_DIRECT : 0) &&
            fcntl(end, F_GETFD) == FD_CLOEXEC);
    }
    p.give("first");
    p.give("the second");
    CHECK(write(p.in(), "", 0) == 0);
    p.give("3");
    CHECK(p.waiting() == 16);
    CHECK(p.take() == "first" && p.waiting() == 11);
    CHECK(p.take(3) == "the" && p.waiting() == 1);
    CHECK(p.take(0).empty() && p.take(1) == "3" && p.waiting() == 0);
    char c;
    CHECK_ERRNO(read(p.out(), &c, 1), EAGAIN);
  });
  check("each takes a page", [] {
    const Pipe p(O_DIRECT | O_NONBLOCK);
    pollfd writable = {p.in(), POLLOUT, 0};
    int written = 0;
    while (write(p.in(), "x", 1) == 1) {
      ++written;
    }
    CHECK(errno == EAGAIN && written == 16 && p.waiting() == 16 && poll(&writable, 1, 0) == 0);
    CHECK_ERRNO(fcntl(p.in(), F_SETPIPE_SZ, 4 * kPage), EBUSY);
    CHECK(p.take() == "x" && poll(&writable, 1, 0) == 1);
    p.give("y");
    CHECK_ERRNO(write(p.in(), "x", 1), EAGAIN);
    CHECK(fcntl(p.in(), F_SETPIPE_SZ, 32 * kPage) == int(32 * kPage));
    p.give("z");
    for (int i = 1; i < written; ++i) {
      CHECK(p.take() == "x");
    }
    CHECK(p.take() == "y" && p.take() == "z" && p.waiting() == 0);
    p.give("again");
    CHECK(p.take() == "again");
  });
  check("more than a page is several", [] {
    const Pipe p(O_DIRECT | O_NONBLOCK);
    const std::string text = pattern(2 * kPage + 100);
    p.give(text);
    CHECK(p.take() == text.substr(0, kPage) && p.take(10) == text.substr(kPage, 10));
    CHECK(p.take() == text.substr(2 * kPage) && p.waiting() == 0);
    const std::string much = pattern(20 * kPage);
    CHECK(write(p.in(), much.data(), much.size()) == ssize_t(16 * kPage));
  });
  check("many, one after the other", [] {
    const Pipe p(O_DIRECT);
    for (int i = 0; i < 1000; ++i) {
      p.give(std::string(size_t(i % 50 + 1), char('a' + i % 26)));
      p.give("end");
      CHECK(p.take() == std::string(size_t(i % 50 + 1), char('a' + i % 26)) && p.take() == "end");
    }
  });
  check("packets and other bytes", [] {
    const Pipe p(O_NONBLOCK);
    p.give("plain");
    CHECK(fcntl(p.in(), F_SETFL, O_DIRECT | O_NONBLOCK) == 0 && (fcntl(p.in(), F_GETFL) & O_DIRECT) != 0);
    p.give("packet");
    CHECK(fcntl(p.in(), F_SETFL, O_NONBLOCK) == 0 && (fcntl(p.in(), F_GETFL) & O_DIRECT) == 0);
    p.give("more");
    p.give("+");
    // What fits into a page that is not a packet's goes there.
    CHECK(p.take(2) == "pl" && p.take() == "ainpacketmore+");
    const std::string page = pattern(kPage);
    p.give("plain");
    CHECK(fcntl(p.in(), F_SETFL, O_DIRECT | O_NONBLOCK) == 0);
    p.give(page);
    p.give("short");
    CHECK(fcntl(p.in(), F_SETFL, O_NONBLOCK) == 0);
    p.give("more");
    p.give("+");
    CHECK(p.take(2) == "pl" && p.take(2) == "ai");
    CHECK(p.take() == "n" + page && p.take(2) == "sh" && p.take() == "more+");
    p.give("plain");
    CHECK(fcntl(p.in(), F_SETFL, O_DIRECT | O_NONBLOCK) == 0);
    p.give(page + "rest");
    CHECK(p.waiting() == int(kPage) + 9 && p.take(9) == "plain" + page.substr(0, 4) &&
          p.waiting() == int(kPage));
    CHECK(p.take() == page.substr(4) + "rest" && fcntl(p.in(), F_SETFL, O_NONBLOCK) == 0);
    const Pipe other(O_DIRECT);
    other.give("spliced");
    CHECK(splice(other.out(), nullptr, p.in(), nullptr, 3, 0) == 3 && other.take() == "iced" &&
          p.take() == "spl");
  });
  check("a fault gives nothing", [] {
    char* const area = static_cast<char*>(
        mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(area != MAP_FAILED && munmap(area + 2 * kPage, kPage) == 0);
    const Pipe p(O_DIRECT | O_NONBLOCK);
    CHECK_ERRNO(write(p.in(), area + 2 * kPage - 10, 20), EFAULT);
    CHECK(p.waiting() == 0);
    CHECK(write(p.in(), area + kPage - 10, 2 * kPage) == ssize_t(kPage) && p.waiting() == int(kPage));
    CHECK(p.take().size() == kPage);
    p.give("whole");
    CHECK_ERRNO(read(p.out(), area + 2 * kPage - 2, 20), EFAULT);
    CHECK(p.take() == "whole");
  });
  check("a blocked writer goes on", [] {
    const Pipe p(O_DIRECT);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 40; ++i) {
        p.give(std::to_string(i));
      }
      _exit(0);
    }
    for (int i = 0; i < 40; ++i) {
      CHECK(p.take() == std::to_string(i));
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  });
  check("pipe2 refuses", [] {
    int ends[2] = {7, 8};
    for (const int flags : {O_APPEND, O_RDWR, O_CREAT, 1 << 30, -1}) {
      CHECK_ERRNO(pipe2(ends, flags), EINVAL);
    }
    CHECK_ERRNO(syscall(SYS_pipe2, 8, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_pipe, 8), EFAULT);
    CHECK(ends[0] == 7 && ends[1] == 8);
    CHECK_ERRNO(fcntl(0, F_GETFD + 1000), EINVAL);
  });
}

void sizes() {
  check("the largest pipe", [] {
    const Pipe p(0);
    CHECK(contents("/proc/sys/fs/pipe-max-size") == "1048576\n");
    CHECK(contents("/proc/sys/fs/pipe-user-pages-soft") == "16384\n");
    CHECK(contents("/proc/sys/fs/pipe-user-pages-hard") == "0\n");
    CHECK(fcntl(p.in(), F_SETPIPE_SZ, 1048576) == 1048576);
    CHECK(seteuid(65534) == 0);  // root's CAP_SYS_RESOURCE goes beyond
    CHECK_ERRNO(fcntl(p.in(), F_SETPIPE_SZ, 1048577), EPERM);
    CHECK(seteuid(0) == 0);
    CHECK(fcntl(p.in(), F_SETPIPE_SZ, 0) == int(kPage));
  });
  const auto of_nobody = [](auto body) {
    CHECK(status_of_child([&] {
            CHECK(setgid(65534) == 0 && setuid(65534) == 0);
            body();
          }) == 0);
  };
  const auto bytes_of = [](const Pipe& p) { return fcntl(p.in(), F_GETPIPE_SZ); };
  check("a new pipe is not larger than that", [&] {
    put("/proc/sys/fs/pipe-max-size", "4096");
    of_nobody([&] {
      const Pipe p(0);
      CHECK(bytes_of(p) == int(kPage));
      CHECK_ERRNO(fcntl(p.in(), F_SETPIPE_SZ, 8192), EPERM);
      p.give(pattern(kPage));
      CHECK_ERRNO(write(p.in(), "x", fcntl(p.in(), F_SETFL, O_NONBLOCK) == 0), EAGAIN);
    });
    put("/proc/sys/fs/pipe-max-size", "1048576");
  });
  check("what a user's pipes hold together", [&] {
    put("/proc/sys/fs/pipe-user-pages-soft", "40");
    CHECK(mkfifo("fifo", 0600) == 0 && chown("fifo", 65534, 65534) == 0 && chmod(".", 0755) == 0);
    of_nobody([&] {
      const Pipe first(0);
      const int second = open("fifo", O_RDWR);
      CHECK(fcntl(second, F_GETPIPE_SZ) == 65536);
      {
        const Pipe third(0);
        CHECK(bytes_of(third) == 8192 && fcntl(third.in(), F_SETPIPE_SZ, kPage) == int(kPage));
        CHECK(fcntl(third.in(), F_SETPIPE_SZ, 32768) == 32768);
        CHECK_ERRNO(fcntl(third.in(), F_SETPIPE_SZ, 65536), EPERM);
        CHECK(bytes_of(third) == 32768 && bytes_of(Pipe(0)) == 8192);
      }
      CHECK(close(second) == 0);
      CHECK(bytes_of(Pipe(0)) == 65536);
    });
    CHECK(unlink("fifo") == 0);
    CHECK(bytes_of(Pipe(0)) == 65536);
    put("/proc/sys/fs/pipe-user-pages-hard", "32");
    of_nobody([&] {
      const Pipe first(0);
      int ends[2];
      const Pipe second(0);
      CHECK(bytes_of(second) == 65536);
      CHECK_ERRNO(pipe(ends), ENFILE);
    });
    put("/proc/sys/fs/pipe-user-pages-hard", "0");
    put("/proc/sys/fs/pipe-user-pages-soft", "16384");
  });
}

void refusals() {
  check("poll and select of names and nothing", [] {
    put("file", "x");
    const int path = open("file", O_PATH), file = open("file", O_RDWR), folder = open(".", O_RDONLY);
    pollfd entries[5] = {{path, POLLIN, 9},
                         {-1, POLLIN, 9},
                         {77, POLLIN, 9},
                         {file, POLLIN | POLLOUT | POLLPRI, 9},
                         {folder, POLLIN, 9}};
    CHECK(poll(entries, 5, -1) == 4);
    CHECK(entries[0].revents == POLLNVAL && entries[1].revents == 0 && entries[2].revents == POLLNVAL);
    CHECK(entries[3].revents == (POLLIN | POLLOUT) && entries[4].revents == POLLIN);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(path, &set);
    fd_set same = set;
    CHECK(select(path + 1, &set, nullptr, &same, nullptr) == 2 && FD_ISSET(path, &set) &&
          FD_ISSET(path, &same));
    CHECK(close(path) == 0);
    CHECK_ERRNO(select(path + 1, &set, nullptr, nullptr, nullptr), EBADF);
    CHECK(close(file) == 0 && close(folder) == 0);
  });
  check("poll refuses", [] {
    const rlimit few = {10, 1024}, many = {1024, 1024};
    pollfd entries[11];
    for (pollfd& entry : entries) {
      entry = {-1, POLLIN, 0};
    }
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    CHECK(poll(entries, 10, 0) == 0);
    CHECK_ERRNO(poll(entries, 11, 0), EINVAL);
    CHECK_ERRNO(ppoll(entries, 11, nullptr, nullptr), EINVAL);
    CHECK(setrlimit(RLIMIT_NOFILE, &many) == 0);
    CHECK_ERRNO(syscall(SYS_poll, 8, 1, 0), EFAULT);
    CHECK(syscall(SYS_poll, 0, 0, 0) == 0);
    char* const page =
        static_cast<char*>(mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(page != MAP_FAILED);
    CHECK_ERRNO(syscall(SYS_poll, page, 1, 0), EFAULT);
    timespec bad = {0, 1'000'000'000}, negative = {-1, 0};
    CHECK_ERRNO(ppoll(entries, 1, &bad, nullptr), EINVAL);
    CHECK_ERRNO(ppoll(entries, 1, &negative, nullptr), EINVAL);
    timespec none = {};
    unsigned long mask = 0;
    CHECK_ERRNO(syscall(SYS_ppoll, entries, 1, &none, &mask, 7), EINVAL);
    CHECK_ERRNO(syscall(SYS_ppoll, entries, 1, &none, 8, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_ppoll, entries, 1, 8, &mask, 8), EFAULT);
    CHECK(syscall(SYS_ppoll, entries, 1, &none, &mask, 8) == 0);
  });
  check("select refuses", [] {
    timeval none = {}, bad = {-1, 0}, worse = {0, -1}, more = {0, 2'000'000};
    CHECK_ERRNO(select(-1, nullptr, nullptr, nullptr, &none), EINVAL);
    CHECK_ERRNO(select(0, nullptr, nullptr, nullptr, &bad), EINVAL);
    CHECK_ERRNO(select(0, nullptr, nullptr, nullptr, &worse), EINVAL);
    const Pipe p(0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(p.in(), &set);
    CHECK(select(p.in() + 1, nullptr, &set, nullptr, &more) == 1 && more.tv_usec < 1'000'000 &&
          more.tv_sec <= 2);
    CHECK_ERRNO(syscall(SYS_select, p.in() + 1, 8, 0, 0, &none), EFAULT);
    CHECK_ERRNO(syscall(SYS_select, p.in() + 1, 0, &set, 0, 8), EFAULT);
    timespec bad_time = {0, -1}, short_time = {0, 1000};
    CHECK_ERRNO(pselect(0, nullptr, nullptr, nullptr, &bad_time, nullptr), EINVAL);
    unsigned long mask = 0;
    struct {
      void* set;
      size_t bytes;
    } signals = {&mask, 7};
    CHECK_ERRNO(syscall(SYS_pselect6, 0, 0, 0, 0, &short_time, &signals), EINVAL);
    signals = {reinterpret_cast<void*>(8), 8};
    CHECK_ERRNO(syscall(SYS_pselect6, 0, 0, 0, 0, &short_time, &signals), EFAULT);
    CHECK_ERRNO(syscall(SYS_pselect6, 0, 0, 0, 0, &short_time, 8), EFAULT);
    signals = {nullptr, 7};
    CHECK(syscall(SYS_pselect6, 0, 0, 0, 0, &short_time, &signals) == 0);
    CHECK(short_time.tv_sec == 0 && short_time.tv_nsec == 0);
  });
  check("the mask is the old one afterwards", [] {
    sigset_t usr1, none, now;
    sigemptyset(&usr1);
    sigemptyset(&none);
    sigaddset(&usr1, SIGUSR1);
    static int seen = 0;
    seen = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { ++seen; };
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0 && sigprocmask(SIG_SETMASK, &usr1, nullptr) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0 && seen == 0);
    const Pipe p(0);
    pollfd entry = {p.out(), POLLIN, 0};
    timespec none_left = {};
    CHECK_ERRNO(ppoll(&entry, 1, nullptr, &none), EINTR);
    CHECK(seen == 1 && sigprocmask(SIG_BLOCK, nullptr, &now) == 0 && sigismember(&now, SIGUSR1) == 1);
    CHECK(ppoll(&entry, 1, &none_left, &none) == 0);
    CHECK(sigprocmask(SIG_BLOCK, nullptr, &now) == 0 && sigismember(&now, SIGUSR1) == 1);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK_ERRNO(pselect(0, nullptr, nullptr, nullptr, nullptr, &none), EINTR);
    CHECK(seen == 2 && sigprocmask(SIG_BLOCK, nullptr, &now) == 0 && sigismember(&now, SIGUSR1) == 1);
    CHECK(sigprocmask(SIG_SETMASK, &none, nullptr) == 0 && signal(SIGUSR1, SIG_DFL) != SIG_ERR);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  packets();
  sizes();
  refusals();
  return finish();
}
