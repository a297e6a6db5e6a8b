// Pipes, named pipes, poll and select.
// Prints the same on Linux, where it works in a fresh directory below /tmp.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "tests/boot/programs/file_checks.h"

namespace {

std::string link_of(int descriptor) { return "/proc/self/fd/" + std::to_string(descriptor); }

void pipes() {
  check("pipe", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], "through", 7) == 7);
    int waiting = 0;
    CHECK(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 7);
    char buffer[16];
    CHECK(read(ends[0], buffer, 3) == 3 && read(ends[0], buffer, 16) == 4 && memcmp(buffer, "ough", 4) == 0);
    CHECK_ERRNO(lseek(ends[0], 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(ends[0], buffer, 1, 0), ESPIPE);
    CHECK_ERRNO(write(ends[0], "x", 1), EBADF);
    CHECK(close(ends[1]) == 0 && read(ends[0], buffer, 16) == 0 && close(ends[0]) == 0);
    CHECK_ERRNO(pipe2(ends, 1 << 20), EINVAL);
  });
  check("non-blocking pipe, 64 KiB", [] {
    int ends[2];
    CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0 && fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
    char buffer[kPage];
    CHECK_ERRNO(read(ends[0], buffer, 1), EAGAIN);
    std::string text;
    for (int i = 0; i < 16; ++i) {
      memset(buffer, 'a' + i, sizeof buffer);
      CHECK(write(ends[1], buffer, kPage) == kPage);
      text.append(buffer, kPage);
    }
    CHECK_ERRNO(write(ends[1], buffer, kPage), EAGAIN);
    std::string back;
    ssize_t got;
    while ((got = read(ends[0], buffer, 1000)) > 0) {
      back.append(buffer, static_cast<size_t>(got));
    }
    CHECK(errno == EAGAIN && back == text);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("EPIPE and SIGPIPE", [] {
    int ends[2];
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
    const int status = status_of_child([&] { write(ends[1], "x", 1); });
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE);
    signal(SIGPIPE, SIG_IGN);
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    signal(SIGPIPE, SIG_DFL);
    CHECK(close(ends[1]) == 0);
  });
  check("a megabyte between processes", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const std::string text = pattern(1 << 20);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
    }
    CHECK(close(ends[1]) == 0);
    std::string back;
    char buffer[10000];
    ssize_t got;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) {
      back.append(buffer, static_cast<size_t>(got));
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(back == text && close(ends[0]) == 0);
  });
  check("a signal ends a blocked read", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
    // It repeats: the first may come before the read has blocked.
    const itimerval timer = {{0, 20000}, {0, 20000}};
    CHECK(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
    char c;
    CHECK_ERRNO(read(ends[0], &c, 1), EINTR);
    const itimerval off = {};
    CHECK(setitimer(ITIMER_REAL, &off, nullptr) == 0);
    signal(SIGALRM, SIG_DFL);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("named pipe", [] {
    CHECK(mkfifo("fifo", 0644) == 0 && S_ISFIFO(stat_of("fifo").st_mode));
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const int writer = open("fifo", O_WRONLY);
      _exit(writer >= 0 && write(writer, "named", 5) == 5 ? 0 : 1);
    }
    CHECK(contents("fifo") == "named");
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0 && unlink("fifo") == 0);
  });
  // A pipe has had both its ends: who opens it again does not wait for the other one.
  check("a pipe opened by its link", [] {
    int ends[2];
    char buffer[16];
    CHECK(pipe(ends) == 0 && write(ends[1], "left", 4) == 4);
    const std::string reader = link_of(ends[0]);
    const std::string writer = link_of(ends[1]);
    int other = open(reader.c_str(), O_WRONLY);
    CHECK(other >= 0 && write(other, "+", 1) == 1 && close(other) == 0);
    CHECK(close(ends[1]) == 0);
    other = open(reader.c_str(), O_RDONLY);
    CHECK(other >= 0 && read(other, buffer, 16) == 5 && memcmp(buffer, "left+", 5) == 0);
    CHECK(read(other, buffer, 16) == 0 && close(other) == 0);
    other = open(reader.c_str(), O_RDONLY | O_NONBLOCK);
    pollfd entry = {other, POLLIN, 0};
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLHUP && close(other) == 0);
    other = open(reader.c_str(), O_RDWR);
    CHECK(other >= 0 && write(other, "both", 4) == 4 && read(ends[0], buffer, 16) == 4 && close(other) == 0);
    CHECK(close(ends[0]) == 0);
    CHECK(pipe(ends) == 0 && close(ends[0]) == 0 && link_of(ends[1]) == writer);
    signal(SIGPIPE, SIG_IGN);
    for (const int flags : {0, O_NONBLOCK}) {
      other = open(writer.c_str(), O_WRONLY | flags);
      CHECK(other >= 0);
      CHECK_ERRNO(write(other, "x", 1), EPIPE);
      CHECK(close(other) == 0);
    }
    signal(SIGPIPE, SIG_DFL);
    CHECK(close(ends[1]) == 0);
  });
  check("a named pipe opened without its other end", [] {
    CHECK(mkfifo("fifo", 0644) == 0);
    char buffer[16];
    const int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    CHECK(reader >= 0 && read(reader, buffer, 16) == 0);
    // It hangs up only once a writer was there.
    pollfd entry = {reader, POLLIN, 0};
    CHECK(poll(&entry, 1, 0) == 0);
    const int writer = open("fifo", O_WRONLY | O_NONBLOCK);
    CHECK(writer >= 0 && poll(&entry, 1, 0) == 0 && close(writer) == 0);
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLHUP);
    CHECK(read(reader, buffer, 16) == 0 && close(reader) == 0);
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    const int both = open("fifo", O_RDWR);
    CHECK(both >= 0 && write(both, "self", 4) == 4 && read(both, buffer, 16) == 4);
    // What nobody read, and its size, go with the last end.
    CHECK(fcntl(both, F_SETPIPE_SZ, 4096) == 4096 && write(both, "lost", 4) == 4 && close(both) == 0);
    const int later = open("fifo", O_RDONLY | O_NONBLOCK);
    CHECK(fcntl(later, F_GETPIPE_SZ) == 65536 && read(later, buffer, 16) == 0 && close(later) == 0);
    CHECK(unlink("fifo") == 0);
  });
  check("a signal ends the opening of a named pipe", [] {
    CHECK(mkfifo("fifo", 0644) == 0);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    CHECK(sigaction(SIGALRM, &action, nullptr) == 0);
    const itimerval timer = {{0, 20000}, {0, 20000}};
    const itimerval off = {};
    for (const int flags : {O_RDONLY, O_WRONLY}) {
      CHECK(setitimer(ITIMER_REAL, &timer, nullptr) == 0);
      CHECK_ERRNO(open("fifo", flags), EINTR);
      CHECK(setitimer(ITIMER_REAL, &off, nullptr) == 0);
    }
    CHECK_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    signal(SIGALRM, SIG_DFL);
    CHECK(unlink("fifo") == 0);
  });
}

void waiting() {
  check("poll", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    pollfd entries[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
    CHECK(poll(entries, 3, -1) == 1 && entries[0].revents == 0 && entries[1].revents == POLLOUT);
    CHECK(poll(entries, 1, 0) == 0 && poll(entries, 1, 10) == 0);
    CHECK(write(ends[1], "x", 1) == 1);
    CHECK(poll(entries, 2, -1) == 2 && entries[0].revents == POLLIN);
    CHECK(close(ends[1]) == 0);
    CHECK(poll(entries, 1, -1) == 1 && entries[0].revents == (POLLIN | POLLHUP));
    CHECK(poll(&entries[1], 1, -1) == 1 && entries[1].revents == POLLNVAL);
    CHECK(close(ends[0]) == 0);
    const int file = open("regular", O_RDONLY | O_CREAT, 0644);
    pollfd regular = {file, POLLIN | POLLOUT, 0};
    CHECK(poll(&regular, 1, 0) == 1 && regular.revents == (POLLIN | POLLOUT) && close(file) == 0);
  });
  check("poll wakes up", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      usleep(20000);
      _exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
    }
    pollfd entry = {ends[0], POLLIN, 0};
    CHECK(poll(&entry, 1, 10000) == 1 && entry.revents == POLLIN);
    CHECK(waitpid(child, nullptr, 0) == child);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
  });
  check("select", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(ends[0], &readable);
    FD_SET(ends[1], &writable);
    CHECK(select(ends[1] + 1, &readable, &writable, nullptr, nullptr) == 1);
    CHECK(!FD_ISSET(ends[0], &readable) && FD_ISSET(ends[1], &writable));
    timeval soon = {0, 10000};
    FD_SET(ends[0], &readable);
    CHECK(select(ends[0] + 1, &readable, nullptr, nullptr, &soon) == 0 && !FD_ISSET(ends[0], &readable));
    CHECK(write(ends[1], "x", 1) == 1);
    FD_SET(ends[0], &readable);
    timeval rest = {100, 0};  // what is left of it comes back
    CHECK(select(ends[0] + 1, &readable, nullptr, nullptr, &rest) == 1);
    CHECK(rest.tv_sec == 99 && rest.tv_usec > 0);
    const timespec none = {0, 0};
    CHECK(pselect(ends[0] + 1, &readable, nullptr, nullptr, &none, nullptr) == 1);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    FD_ZERO(&readable);
    FD_SET(99, &readable);
    CHECK_ERRNO(select(100, &readable, nullptr, nullptr, nullptr), EBADF);
  });
  check("of several readers each gets what one leaves", [] {
    constexpr int kReaders = 4;
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t readers[kReaders];
    for (pid_t& reader : readers) {
      reader = fork();
      if (reader == 0) {
        close(ends[1]);
        char byte = 0;
        _exit(read(ends[0], &byte, 1) == 1 ? byte - 'a' : 99);
      }
    }
    // So that they wait.
    for (int i = 0; i < 2 * kReaders; ++i) sched_yield();
    pollfd also{.fd = ends[0], .events = POLLIN, .revents = 0};
    CHECK(write(ends[1], "abc", 3) == 3);
    int sum = 0, status = 0;
    for (int i = 0; i < kReaders - 1; ++i) {
      CHECK(waitpid(-1, &status, 0) > 0 && WIFEXITED(status));
      sum += WEXITSTATUS(status);
    }
    CHECK(sum == 0 + 1 + 2 && poll(&also, 1, 0) == 0);
    CHECK(close(ends[1]) == 0 && waitpid(-1, &status, 0) > 0 && WIFEXITED(status) &&
          WEXITSTATUS(status) == 99);
    close(ends[0]);
  });
  check("ppoll takes a signal that it unblocks", [] {
    sigset_t blocked, open_set;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, &open_set) == 0);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0 && raise(SIGUSR1) == 0);
    CHECK_ERRNO(ppoll(nullptr, 0, nullptr, &open_set), EINTR);
    sigset_t now;
    CHECK(sigprocmask(SIG_SETMASK, &open_set, &now) == 0 && sigismember(&now, SIGUSR1) == 1);
  });
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  pipes();
  waiting();
  return finish();
}
