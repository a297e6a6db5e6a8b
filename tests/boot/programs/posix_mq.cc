// POSIX message queues.
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <string>

#include "tests/boot/programs/checks.h"

namespace {

constexpr char kName[] = "/nopte-posix-mq";

mqd_t make(int flags = O_RDWR, long messages = 4, long bytes = 16) {
  mq_unlink(kName);
  mq_attr attributes = {};
  attributes.mq_maxmsg = messages;
  attributes.mq_msgsize = bytes;
  const mqd_t queue = mq_open(kName, flags | O_CREAT | O_EXCL, 0640, &attributes);
  CHECK(queue >= 0);
  return queue;
}
mq_attr attributes_of(mqd_t queue) {
  mq_attr attributes;
  CHECK(mq_getattr(queue, &attributes) == 0);
  return attributes;
}
std::string receive(mqd_t queue, unsigned* priority = nullptr) {
  char text[16];
  const ssize_t bytes = mq_receive(queue, text, sizeof(text), priority);
  CHECK(bytes >= 0);
  return {text, static_cast<size_t>(bytes)};
}
int events_of(mqd_t queue) {
  pollfd entry = {queue, POLLIN | POLLOUT, 0};
  CHECK(poll(&entry, 1, 0) >= 0);
  return entry.revents;
}

volatile int g_got, g_value, g_code;

void queues() {
  check("open", [] {
    const mqd_t queue = make();
    CHECK(fcntl(queue, F_GETFD) == FD_CLOEXEC);
    struct stat info;
    CHECK(fstat(queue, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 0777) == 0640);
    CHECK_ERRNO(mq_open(kName, O_CREAT | O_EXCL | O_RDWR, 0600, nullptr), EEXIST);
    CHECK_ERRNO(mq_open(kName, 3), EINVAL);
    const mqd_t again = mq_open(kName, O_RDONLY | O_NONBLOCK);
    CHECK(again >= 0 && attributes_of(again).mq_flags == O_NONBLOCK && attributes_of(queue).mq_flags == 0);
    CHECK(attributes_of(again).mq_maxmsg == 4 && attributes_of(again).mq_msgsize == 16);
    CHECK(mq_unlink(kName) == 0);
    CHECK_ERRNO(mq_unlink(kName), ENOENT);
    CHECK_ERRNO(mq_open(kName, O_RDWR), ENOENT);
    CHECK(mq_send(queue, "still", 5, 0) == 0 && receive(again) == "still");
    CHECK(mq_close(again) == 0 && mq_close(queue) == 0);
  });
  check("open: errors", [] {
    mq_attr attributes = {};
    const auto refused = [&](long messages, long bytes) {
      attributes.mq_maxmsg = messages;
      attributes.mq_msgsize = bytes;
      CHECK_ERRNO(mq_open(kName, O_CREAT | O_RDWR, 0600, &attributes), EINVAL);
    };
    refused(0, 16);
    refused(-1, 16);
    refused(4, 0);
    refused(4, -1);
    refused(65537, 16);
    refused(4, (16 << 20) + 1);
    const std::string longest = "/" + std::string(255, 'x');
    CHECK_ERRNO(mq_open((longest + "x").c_str(), O_CREAT | O_RDWR, 0600, nullptr), ENAMETOOLONG);
    CHECK_ERRNO(mq_open("/a/b", O_CREAT | O_RDWR, 0600, nullptr), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, nullptr), ENOENT);
    CHECK_ERRNO(syscall(SYS_mq_open, ".", O_CREAT | O_RDWR, 0600, nullptr), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, 8, O_CREAT | O_RDWR, 0600, nullptr), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_open, "x", O_CREAT | O_RDWR, 0600, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_unlink, "a/b"), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_unlink, 8), EFAULT);
    const mqd_t queue = mq_open(longest.c_str(), O_CREAT | O_RDWR, 0600, nullptr);
    CHECK(queue >= 0 && attributes_of(queue).mq_maxmsg == 10 && attributes_of(queue).mq_msgsize == 8192);
    CHECK(mq_unlink(longest.c_str()) == 0 && mq_close(queue) == 0);
    rlimit limit;
    CHECK(getrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
    limit.rlim_cur = 10'000;
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
    CHECK_ERRNO(mq_open(kName, O_CREAT | O_RDWR, 0600, nullptr), EMFILE);
    limit.rlim_cur = limit.rlim_max;
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
  });
  check("attributes", [] {
    const mqd_t queue = make();
    mq_attr wanted = {};
    mq_attr old;
    wanted.mq_flags = O_NONBLOCK;
    wanted.mq_maxmsg = 9;
    CHECK(mq_send(queue, "a", 1, 0) == 0);
    CHECK(mq_setattr(queue, &wanted, &old) == 0 && old.mq_flags == 0 && old.mq_curmsgs == 1);
    CHECK(attributes_of(queue).mq_flags == O_NONBLOCK && attributes_of(queue).mq_maxmsg == 4);
    wanted.mq_flags = O_NONBLOCK | O_APPEND;
    CHECK_ERRNO(mq_setattr(queue, &wanted, nullptr), EINVAL);
    CHECK_ERRNO(mq_getattr(-1, &old), EBADF);
    CHECK_ERRNO(mq_getattr(1, &old), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, queue, 8, nullptr), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, queue, nullptr, 8), EFAULT);
    CHECK(mq_close(queue) == 0);
  });
}

void messages() {
  check("order", [] {
    const mqd_t queue = make();
    unsigned priority = 0;
    CHECK(mq_send(queue, "low", 3, 1) == 0 && mq_send(queue, "high", 4, 32767) == 0);
    CHECK(mq_send(queue, "low again", 9, 1) == 0 && mq_send(queue, "", 0, 7) == 0);
    CHECK(attributes_of(queue).mq_curmsgs == 4);
    CHECK(receive(queue, &priority) == "high" && priority == 32767);
    CHECK(receive(queue, &priority).empty() && priority == 7);
    CHECK(receive(queue, &priority) == "low" && priority == 1);
    CHECK(receive(queue) == "low again");
    CHECK(mq_close(queue) == 0);
  });
  check("errors", [] {
    const mqd_t queue = make(O_RDWR | O_NONBLOCK);
    char text[32] = {};
    CHECK_ERRNO(mq_receive(queue, text, 32, nullptr), EAGAIN);
    CHECK_ERRNO(mq_receive(queue, text, 15, nullptr), EMSGSIZE);
    CHECK_ERRNO(mq_send(queue, text, 17, 0), EMSGSIZE);
    CHECK_ERRNO(mq_send(queue, text, 1, 32768), EINVAL);
    CHECK_ERRNO(mq_send(-1, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_send(1, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(-1, text, 32, nullptr), EBADF);
    CHECK_ERRNO(mq_receive(1, text, 32, nullptr), EBADF);
    CHECK_ERRNO(mq_send(queue, reinterpret_cast<char*>(8), 1, 0), EFAULT);
    CHECK(events_of(queue) == POLLOUT);
    for (int i = 0; i < 4; ++i) CHECK(mq_send(queue, text, 1, 0) == 0 && (events_of(queue) & POLLIN) != 0);
    CHECK(events_of(queue) == POLLIN);
    CHECK_ERRNO(mq_send(queue, text, 1, 0), EAGAIN);
    timespec bad = {0, 1'000'000'000};
    CHECK_ERRNO(mq_timedsend(queue, text, 1, 0, &bad), EINVAL);
    bad = {-1, 0};
    CHECK_ERRNO(mq_timedreceive(queue, text, 32, nullptr, &bad), EINVAL);
    CHECK_ERRNO(syscall(SYS_mq_timedreceive, queue, text, 32, nullptr, 8), EFAULT);
    const mqd_t reads = mq_open(kName, O_RDONLY);
    const mqd_t writes = mq_open(kName, O_WRONLY);
    CHECK_ERRNO(mq_send(reads, text, 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(writes, text, 32, nullptr), EBADF);
    CHECK(mq_close(reads) == 0 && mq_close(writes) == 0 && mq_close(queue) == 0);
  });
  check("times", [] {
    const mqd_t queue = make(O_RDWR, 1);
    timespec past = {1, 0};
    char text[16] = {};
    CHECK_ERRNO(mq_timedreceive(queue, text, 16, nullptr, &past), ETIMEDOUT);
    CHECK(mq_timedsend(queue, "x", 1, 0, &past) == 0);  // there is room
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &past), ETIMEDOUT);
    timespec soon;
    CHECK(clock_gettime(CLOCK_REALTIME, &soon) == 0);
    soon.tv_nsec += 20'000'000;
    if (soon.tv_nsec >= 1'000'000'000) soon = {soon.tv_sec + 1, soon.tv_nsec - 1'000'000'000};
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &soon), ETIMEDOUT);
    CHECK(mq_close(queue) == 0);
  });
  check("between processes", [] {
    const mqd_t queue = make(O_RDWR, 1);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      for (char c = 'a'; c <= 'z'; ++c) CHECK(mq_send(queue, &c, 1, 0) == 0);
      await_state(getppid(), 'S');
      CHECK(mq_send(queue, "end", 3, 0) == 0);
      _exit(0);
    }
    for (char c = 'a'; c <= 'z'; ++c) CHECK(receive(queue) == std::string(1, c));
    CHECK(receive(queue) == "end" && waitpid(child, nullptr, 0) == child);
    CHECK(mq_close(queue) == 0);
  });
  check("interrupted", [] {
    const mqd_t queue = make();
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      await_state(getppid(), 'S');
      kill(getppid(), SIGUSR1);
      _exit(0);
    }
    char text[16];
    CHECK_ERRNO(mq_receive(queue, text, 16, nullptr), EINTR);
    CHECK(waitpid(child, nullptr, 0) == child && mq_close(queue) == 0);
  });
}

void notifications() {
  check("notify", [] {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
      g_got = g_got + 1;
      g_value = info->si_value.sival_int;
      g_code = info->si_code;
    };
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    const mqd_t queue = make();
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_int = 4711;
    CHECK(mq_notify(queue, &event) == 0);
    CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
    CHECK(mq_send(queue, "one", 3, 0) == 0 && g_got == 1 && g_value == 4711 && g_code == SI_MESGQ);
    CHECK(mq_send(queue, "two", 3, 0) == 0 && g_got == 1);
    CHECK(mq_notify(queue, &event) == 0);
    CHECK(mq_send(queue, "three", 5, 0) == 0 && g_got == 1);  // it was not empty
    for (int i = 0; i < 3; ++i) receive(queue);
    CHECK(mq_send(queue, "four", 4, 0) == 0 && g_got == 2);
    receive(queue);
    CHECK(mq_notify(queue, &event) == 0 && mq_notify(queue, nullptr) == 0);
    CHECK(mq_send(queue, "five", 4, 0) == 0 && g_got == 2);
    receive(queue);
    event.sigev_notify = SIGEV_NONE;
    CHECK(mq_notify(queue, &event) == 0);
    CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
    CHECK(mq_send(queue, "six", 3, 0) == 0 && mq_notify(queue, &event) == 0);
    event.sigev_notify = 77;
    CHECK_ERRNO(mq_notify(queue, &event), EINVAL);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    CHECK_ERRNO(mq_notify(queue, &event), EINVAL);
    event.sigev_signo = SIGUSR1;
    CHECK_ERRNO(mq_notify(-1, &event), EBADF);
    CHECK_ERRNO(mq_notify(1, &event), EBADF);
    CHECK_ERRNO(mq_notify(1, nullptr), EBADF);
    CHECK(mq_close(queue) == 0);
    CHECK(mq_unlink(kName) == 0);
  });
  // What the C library's SIGEV_THREAD asks of the kernel.
  check("notify: cookies", [] {
    const auto ask = [](mqd_t queue, const void* cookie, int socket) {
      sigevent event = {};
      event.sigev_notify = SIGEV_THREAD;
      event.sigev_signo = socket;
      event.sigev_value.sival_ptr = const_cast<void*>(cookie);
      return syscall(SYS_mq_notify, queue, &event);
    };
    const auto ended = [](int socket, const char* cookie) {
      char got[64];
      sockaddr_nl from = {};
      socklen_t length = sizeof from;
      const ssize_t bytes =
          recvfrom(socket, got, sizeof got, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &length);
      if (bytes < 0) return errno == EAGAIN ? 0 : -1;
      CHECK(bytes == 32 && memcmp(got, cookie, 31) == 0 && from.nl_family == AF_NETLINK && from.nl_pid == 0);
      return static_cast<int>(got[31]);
    };
    constexpr int kWoken = 1, kRemoved = 2;  // linux/mqueue.h, which does not go with mqueue.h
    char cookie[32] = "what nobody but its giver knows";
    const mqd_t queue = make();
    const int told = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    const int other = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK(told >= 0 && other >= 0);
    CHECK_ERRNO(ask(queue, cookie, -1), EBADF);
    CHECK_ERRNO(ask(queue, cookie, static_cast<int>(queue)), ENOTSOCK);
    CHECK_ERRNO(ask(queue, cookie, other), EINVAL);
    CHECK_ERRNO(ask(queue, nullptr, -1), EFAULT);
    CHECK_ERRNO(ask(-1, cookie, other), EINVAL);
    CHECK_ERRNO(ask(-1, cookie, told), EBADF);
    CHECK(ask(queue, cookie, told) == 0);
    CHECK_ERRNO(ask(queue, cookie, told), EBUSY);
    CHECK(ended(told, cookie) == 0);
    CHECK(mq_send(queue, "one", 3, 0) == 0 && ended(told, cookie) == kWoken);
    receive(queue);
    CHECK(mq_send(queue, "two", 3, 0) == 0 && ended(told, cookie) == 0);
    receive(queue);
    CHECK(ask(queue, cookie, told) == 0 && mq_notify(queue, nullptr) == 0);
    CHECK(ended(told, cookie) == kRemoved);
    CHECK(ask(queue, cookie, told) == 0 && mq_close(queue) == 0);
    CHECK(ended(told, cookie) == kRemoved);
    CHECK(mq_unlink(kName) == 0);
    // The socket is closed before it is told.
    const mqd_t second = make();
    CHECK(ask(second, cookie, told) == 0 && close(told) == 0);
    CHECK(mq_send(second, "three", 5, 0) == 0 && mq_notify(second, nullptr) == 0);
    CHECK(mq_close(second) == 0 && mq_unlink(kName) == 0 && close(other) == 0);
  });
  // A socket that nobody reads takes no more at some time: who asks waits for its reader.
  check("notify: a full socket", [] {
    static volatile int interrupted;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    const mqd_t queue = make();
    const int told = socket(AF_NETLINK, SOCK_RAW, 0);
    constexpr int kSmall = 1;
    CHECK(told >= 0 && setsockopt(told, SOL_SOCKET, SO_RCVBUF, &kSmall, sizeof kSmall) == 0);
    char cookie[32] = "one of many";
    const auto drain = [told] {
      char got[64];
      int count = 0;
      while (recv(told, got, sizeof got, MSG_DONTWAIT) == 32) ++count;
      return count;
    };
    constexpr int kMost = 100'000;
    int given = 0;
    const auto ask_until_it_waits = [&] {
      sigevent event = {};
      event.sigev_notify = SIGEV_THREAD;
      event.sigev_signo = told;
      event.sigev_value.sival_ptr = cookie;
      for (;; ++given) {
        if (given == kMost || interrupted != 0 || syscall(SYS_mq_notify, queue, &event) != 0) return;
        CHECK(mq_notify(queue, nullptr) == 0);
      }
    };
    const pid_t self = getpid();
    const pid_t child = fork();
    if (child == 0) {
      await_state(self, 'S');
      kill(self, SIGUSR1);
      _exit(0);
    }
    ask_until_it_waits();
    CHECK(interrupted == 1 && errno == EINTR && given > 0 && given < kMost);
    CHECK(waitpid(child, nullptr, 0) == child);
    interrupted = 0;
    const pid_t reader = fork();
    if (reader == 0) {
      await_state(self, 'S');
      const bool some = drain() > 0;
      await_state(self, 'S');
      kill(self, SIGUSR1);
      _exit(some ? 0 : 1);
    }
    const int before = given;
    ask_until_it_waits();
    CHECK(interrupted == 1 && errno == EINTR && given > before && given < kMost && drain() > 0);
    int status = -1;
    CHECK(waitpid(reader, &status, 0) == reader && status == 0);
    CHECK(close(told) == 0 && mq_close(queue) == 0 && mq_unlink(kName) == 0);
  });
}

void devices() {
  check("/dev/shm", [] {
    struct stat info;
    CHECK(stat("/dev/shm", &info) == 0 && S_ISDIR(info.st_mode) && (info.st_mode & 07777) == 01777);
  });
  check("getrandom: flags", [] {
    char bytes[8];
    CHECK_ERRNO(syscall(SYS_getrandom, bytes, 8, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, bytes, 8, 2 | 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrandom, 8, 8, 0), EFAULT);
    for (const int flags : {0, 1, 2, 3, 4, 5}) CHECK(syscall(SYS_getrandom, bytes, 8, flags) == 8);
  });
  check("ioctl of files", [] {
    const int file = open("/tmp/nopte-ioctl", O_RDWR | O_CREAT | O_TRUNC, 0600);
    int value = 0;
    CHECK(write(file, "contents", 8) == 8 && lseek(file, 3, SEEK_SET) == 3);
    CHECK(ioctl(file, FIONREAD, &value) == 0 && value == 5);
    CHECK(ioctl(file, FIGETBSZ, &value) == 0 && value == 4096);
    CHECK_ERRNO(ioctl(file, TCGETS, nullptr), ENOTTY);
    CHECK_ERRNO(ioctl(file, FIONREAD, nullptr), EFAULT);
    close(file);
    unlink("/tmp/nopte-ioctl");
    const int directory = open("/tmp", O_RDONLY);
    CHECK_ERRNO(ioctl(directory, FIONREAD, &value), ENOTTY);
    CHECK(ioctl(directory, FIGETBSZ, &value) == 0 && value == 4096);
    close(directory);
  });
}

}  // namespace

int main() {
  queues();
  messages();
  notifications();
  devices();
  return finish();
}
