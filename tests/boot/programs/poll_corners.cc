// poll, ppoll, select, pselect6: what is refused, masks that come back, times that are told.
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>

#include "tests/boot/programs/poll_checks.h"

namespace {

struct Mask {
  const void* set;
  size_t bytes;
};
long raw_select(int count, fd_set* read, timeval* time) {
  return syscall(SYS_select, count, read, nullptr, nullptr, time);
}
long raw_pselect(int count, fd_set* read, timespec* time, const Mask* mask) {
  return syscall(SYS_pselect6, count, read, nullptr, nullptr, time, mask);
}
bool blocked(int number) {
  sigset_t now;
  CHECK(sigprocmask(SIG_SETMASK, nullptr, &now) == 0);
  return sigismember(&now, number) == 1;
}

void numbers() {
  rlimit before;
  CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit limit = {16, before.rlim_max};
  CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  pollfd entries[17];
  for (pollfd& entry : entries) entry = {-1, POLLIN, 7};
  CHECK(poll(entries, 16, 0) == 0 && entries[0].revents == 0 && entries[16].revents == 7);
  CHECK_ERRNO(poll(entries, 17, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_poll, nullptr, ~0u, 0), EINVAL);
  const timespec none = {};
  CHECK_ERRNO(ppoll(entries, 17, &none, nullptr), EINVAL);
  CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
  fd_set set;
  FD_ZERO(&set);
  CHECK_ERRNO(raw_select(-1, &set, nullptr), EINVAL);
  CHECK_ERRNO(raw_pselect(-1, &set, nullptr, nullptr), EINVAL);
}

void bad_memory() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK_ERRNO(poll(static_cast<pollfd*>(bad_page()), 1, 0), EFAULT);
  CHECK_ERRNO(poll(static_cast<pollfd*>(read_only_page()), 1, 0), EFAULT);
  CHECK_ERRNO(syscall(SYS_ppoll, nullptr, 0, bad_page(), nullptr, 8), EFAULT);
  CHECK_ERRNO(syscall(SYS_ppoll, nullptr, 0, nullptr, bad_page(), 8), EFAULT);
  CHECK_ERRNO(raw_select(1, static_cast<fd_set*>(bad_page()), nullptr), EFAULT);
  CHECK_ERRNO(raw_select(0, nullptr, static_cast<timeval*>(bad_page())), EFAULT);
  CHECK_ERRNO(raw_pselect(0, nullptr, static_cast<timespec*>(bad_page()), nullptr), EFAULT);
  CHECK_ERRNO(raw_pselect(0, nullptr, nullptr, static_cast<Mask*>(bad_page())), EFAULT);
  const Mask mask = {bad_page(), 8};
  CHECK_ERRNO(raw_pselect(0, nullptr, nullptr, &mask), EFAULT);
  // A time that cannot be written does no harm.
  auto* const time = static_cast<timeval*>(read_only_page());
  CHECK(raw_select(0, nullptr, time) == 0);
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

void bad_times_and_masks() {
  const sigset_t set = set_of(SIGUSR1);
  for (const timespec wrong : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
    timespec time = wrong;
    CHECK_ERRNO(syscall(SYS_ppoll, nullptr, 0, &time, nullptr, 8), EINVAL);
    CHECK_ERRNO(raw_pselect(0, nullptr, &time, nullptr), EINVAL);
  }
  for (const timeval wrong : {timeval{-1, 0}, timeval{0, -1}}) {
    timeval time = wrong;
    CHECK_ERRNO(raw_select(0, nullptr, &time), EINVAL);
  }
  timeval long_fraction = {0, 1'000'000};
  fd_set readable;
  int ends[2];
  CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
  FD_ZERO(&readable);
  FD_SET(ends[0], &readable);
  CHECK(raw_select(ends[0] + 1, &readable, &long_fraction) == 1);
  timespec none = {};
  CHECK_ERRNO(syscall(SYS_ppoll, nullptr, 0, &none, &set, 4), EINVAL);
  CHECK(syscall(SYS_ppoll, nullptr, 0, &none, nullptr, 4) == 0);
  Mask mask = {&set, 4};
  CHECK_ERRNO(raw_pselect(0, nullptr, &none, &mask), EINVAL);
  mask = {nullptr, 4};
  CHECK(raw_pselect(0, nullptr, &none, &mask) == 0 && !blocked(SIGUSR1));
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

void masks_come_back() {
  handle(SIGUSR1);
  g_handled = 0;
  const sigset_t set = set_of(SIGUSR1);
  timespec none = {};
  CHECK(ppoll(nullptr, 0, &none, &set) == 0 && !blocked(SIGUSR1));
  CHECK(pselect(0, nullptr, nullptr, nullptr, &none, &set) == 0 && !blocked(SIGUSR1));
  block(SIGUSR1);
  sigset_t empty;
  sigemptyset(&empty);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK_ERRNO(ppoll(nullptr, 0, nullptr, &empty), EINTR);
  CHECK(g_handled == 1 && blocked(SIGUSR1));
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK_ERRNO(pselect(0, nullptr, nullptr, nullptr, nullptr, &empty), EINTR);
  CHECK(g_handled == 2 && blocked(SIGUSR1));
  // One that cannot tell the rest of its time is not made again; the mask comes back all the same.
  auto* const time =
      static_cast<timespec*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  *time = {1000, 0};
  CHECK(mprotect(time, 4096, PROT_READ) == 0 && kill(getpid(), SIGUSR1) == 0);
  CHECK_ERRNO(syscall(SYS_ppoll, nullptr, 0, time, &empty, 8), EINTR);
  CHECK(g_handled == 3 && blocked(SIGUSR1));
  // Bad entries, too.
  CHECK_ERRNO(syscall(SYS_ppoll, bad_page(), 1, nullptr, &empty, 8), EFAULT);
  CHECK(blocked(SIGUSR1) && sigprocmask(SIG_SETMASK, &empty, nullptr) == 0);
}

void rest_of_the_time() {
  int ends[2];
  CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(ends[0], &readable);
  timeval time = {1000, 5};
  CHECK(raw_select(ends[0] + 1, &readable, &time) == 1 && time.tv_sec >= 900 && time.tv_sec <= 1000);
  timespec fine = {1000, 5};
  CHECK(raw_pselect(ends[0] + 1, &readable, &fine, nullptr) == 1 && fine.tv_sec >= 900 &&
        fine.tv_sec <= 1000);
  pollfd entry = {ends[0], POLLIN, 0};
  fine = {1000, 5};
  CHECK(syscall(SYS_ppoll, &entry, 1, &fine, nullptr, 8) == 1 && fine.tv_sec >= 900 && fine.tv_sec <= 1000);
  time = {0, 2000};
  CHECK(raw_select(0, nullptr, &time) == 0 && time.tv_sec == 0 && time.tv_usec == 0);
  fine = {0, 2'000'000};
  CHECK(syscall(SYS_ppoll, nullptr, 0, &fine, nullptr, 8) == 0 && fine.tv_sec == 0 && fine.tv_nsec == 0);
  CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

void what_is_told() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int all = POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND;
  constexpr int kPeerHangUp = 0x2000;
  CHECK(events_of(ends[0], all | kPeerHangUp) == 0);
  CHECK(events_of(ends[1], all) == (POLLOUT | POLLWRNORM));
  CHECK(write(ends[1], "x", 1) == 1 && events_of(ends[0], all) == (POLLIN | POLLRDNORM));
  CHECK(close(ends[1]) == 0);
  CHECK(events_of(ends[0], all | kPeerHangUp) == (POLLIN | POLLRDNORM | POLLHUP));
  CHECK(events_of(ends[0], kPeerHangUp) == POLLHUP && events_of(ends[0], 0) == POLLHUP);
  CHECK(close(ends[0]) == 0 && events_of(ends[0], all) == POLLNVAL);
  pollfd off = {-5, POLLIN, 99};
  CHECK(poll(&off, 1, 0) == 0 && off.revents == 0);
  const int path = open("/", O_PATH);
  CHECK(path >= 0 && events_of(path, all) == POLLNVAL);
  fd_set paths;
  FD_ZERO(&paths);
  FD_SET(path, &paths);
  CHECK(select(path + 1, &paths, nullptr, nullptr, nullptr) == 1);
  CHECK(close(path) == 0);
  // select: one bit for each reason.
  CHECK(pipe(ends) == 0 && close(ends[1]) == 0);
  fd_set sets[3];
  for (fd_set& set : sets) {
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
  }
  CHECK(select(ends[0] + 1, &sets[0], &sets[1], &sets[2], nullptr) == 1 && FD_ISSET(ends[0], &sets[0]));
  CHECK(!FD_ISSET(ends[0], &sets[1]) && !FD_ISSET(ends[0], &sets[2]));
  // What lies behind the count is not looked at.
  FD_SET(ends[0], &sets[0]);
  FD_SET(200, &sets[0]);
  CHECK(select(ends[0] + 1, &sets[0], nullptr, nullptr, nullptr) == 1);
  FD_SET(20, &sets[0]);
  CHECK_ERRNO(select(21, &sets[0], nullptr, nullptr, nullptr), EBADF);
  CHECK(close(ends[0]) == 0);
}

void signals_end_them() {
  handle(SIGUSR1);
  while_asleep([&] { CHECK_ERRNO(poll(nullptr, 0, -1), EINTR); }, [](pid_t to) { kill(to, SIGUSR1); });
  while_asleep([&] { CHECK_ERRNO(raw_select(0, nullptr, nullptr), EINTR); },
               [](pid_t to) { kill(to, SIGUSR1); });
  timeval time = {1000, 0};
  while_asleep([&] { CHECK_ERRNO(raw_select(0, nullptr, &time), EINTR); },
               [](pid_t to) { kill(to, SIGUSR1); });
  CHECK(time.tv_sec >= 900 && time.tv_sec < 1000);
}

}  // namespace

int main() {
  begin();
  check("numbers", numbers);
  check("bad_memory", bad_memory);
  check("bad_times_and_masks", bad_times_and_masks);
  check("masks_come_back", masks_come_back);
  check("rest_of_the_time", rest_of_the_time);
  check("what_is_told", what_is_told);
  check("signals_end_them", signals_end_them);
  return finish();
}
