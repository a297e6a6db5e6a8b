// signalfd: signals that are read, what they tell, whose they are, what is refused.
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <time.h>

#include <cstdint>

#include "tests/boot/programs/poll_checks.h"

namespace {

int new_signals(int number, int flags = 0) {
  const sigset_t set = set_of(number);
  const int signals = signalfd(-1, &set, flags);
  CHECK(signals >= 0);
  return signals;
}
signalfd_siginfo next(int signals) {
  signalfd_siginfo info;
  memset(&info, 0xff, sizeof(info));
  CHECK(read(signals, &info, sizeof(info)) == sizeof(info));
  return info;
}
bool pending(int number) {
  sigset_t set;
  CHECK(sigpending(&set) == 0);
  return sigismember(&set, number) == 1;
}

void creating() {
  const sigset_t set = set_of(SIGUSR1);
  CHECK_ERRNO(signalfd(-1, &set, 1), EINVAL);
  CHECK_ERRNO(signalfd(-1, &set, -1), EINVAL);
  CHECK_ERRNO(signalfd(-2, &set, 0), EBADF);
  CHECK_ERRNO(signalfd(99, &set, 0), EBADF);
  CHECK_ERRNO(signalfd(0, &set, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 4, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 16, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_signalfd4, -1, bad_page(), 8, 0), EFAULT);
  int signals = new_signals(SIGUSR1);
  CHECK(fcntl(signals, F_GETFD) == 0 && fcntl(signals, F_GETFL) == O_RDWR);
  check_anonymous(signals, "signalfd");
  CHECK(lseek(signals, 7, SEEK_END) == 0);
  CHECK(close(signals) == 0);
  signals = new_signals(SIGUSR1, SFD_CLOEXEC | SFD_NONBLOCK);
  CHECK(fcntl(signals, F_GETFD) == FD_CLOEXEC && fcntl(signals, F_GETFL) == (O_RDWR | O_NONBLOCK));
  signalfd_siginfo info;
  CHECK_ERRNO(read(signals, &info, sizeof(info)), EAGAIN);
  CHECK_ERRNO(read(signals, &info, sizeof(info) - 1), EINVAL);
  CHECK_ERRNO(write(signals, &info, sizeof(info)), EINVAL);
  CHECK(close(signals) == 0);
  signals = static_cast<int>(syscall(SYS_signalfd, -1, &set, 8));
  CHECK(signals >= 0 && fcntl(signals, F_GETFL) == O_RDWR && close(signals) == 0);
}

void reading() {
  block(SIGUSR1);
  const int signals = new_signals(SIGUSR1, SFD_NONBLOCK);
  CHECK(events_of(signals) == 0 && kill(getpid(), SIGUSR1) == 0 && events_of(signals) == POLLIN);
  CHECK(pending(SIGUSR1));
  const signalfd_siginfo info = next(signals);
  CHECK(info.ssi_signo == SIGUSR1 && info.ssi_code == SI_USER && info.ssi_errno == 0);
  CHECK(info.ssi_pid == static_cast<uint32_t>(getpid()) && info.ssi_uid == getuid());
  CHECK(info.ssi_int == 0 && info.ssi_ptr == 0 && info.ssi_status == 0 && info.ssi_addr == 0);
  CHECK(!pending(SIGUSR1) && events_of(signals) == 0);
  CHECK(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1) == 0);
  CHECK(next(signals).ssi_code == SI_TKILL);
  // One that is not blocked goes its own way.
  block(SIGUSR2);
  CHECK(kill(getpid(), SIGUSR2) == 0 && events_of(signals) == 0);
  const sigset_t both = [] {
    sigset_t set = set_of(SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGKILL);
    sigaddset(&set, SIGSTOP);
    return set;
  }();
  CHECK(signalfd(signals, &both, 0) == signals && events_of(signals) == POLLIN);
  CHECK(fcntl(signals, F_GETFL) == (O_RDWR | O_NONBLOCK));
  // Several at once, as many as fit.
  CHECK(kill(getpid(), SIGUSR1) == 0);
  signalfd_siginfo many[3];
  CHECK(read(signals, many, sizeof(many) - 1) == 2 * sizeof(many[0]));
  CHECK(many[0].ssi_signo == SIGUSR1 && many[1].ssi_signo == SIGUSR2);
  CHECK_ERRNO(read(signals, many, sizeof(many)), EAGAIN);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK_ERRNO(read(signals, read_only_page(), sizeof(many[0])), EFAULT);
  CHECK(!pending(SIGUSR1) && close(signals) == 0);
}

void what_they_tell() {
  block(SIGRTMIN);
  block(SIGCHLD);
  block(SIGALRM);
  int signals = new_signals(SIGRTMIN);
  for (int i = 1; i <= 3; ++i) {
    CHECK(sigqueue(getpid(), SIGRTMIN, {.sival_ptr = reinterpret_cast<void*>(0x1'0000'0000ul + i)}) == 0);
  }
  for (unsigned i = 1; i <= 3; ++i) {
    const signalfd_siginfo info = next(signals);
    CHECK(info.ssi_signo == static_cast<uint32_t>(SIGRTMIN) && info.ssi_code == SI_QUEUE);
    CHECK(info.ssi_ptr == 0x1'0000'0000ul + i && info.ssi_int == static_cast<int>(i));
    CHECK(info.ssi_pid == static_cast<uint32_t>(getpid()) && info.ssi_uid == getuid());
  }
  CHECK(events_of(signals) == 0 && close(signals) == 0);
  signals = new_signals(SIGCHLD);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    _exit(23);
  }
  signalfd_siginfo info = next(signals);
  CHECK(info.ssi_signo == SIGCHLD && info.ssi_code == CLD_EXITED && info.ssi_status == 23);
  CHECK(info.ssi_pid == static_cast<uint32_t>(child) && info.ssi_uid == getuid());
  CHECK(waitpid(child, nullptr, 0) == child && close(signals) == 0);
  signals = new_signals(SIGALRM);
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  event.sigev_value.sival_int = 77;
  timer_t timer;
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  const itimerspec spec = {{}, {0, 1'000'000}};
  CHECK(timer_settime(timer, 0, &spec, nullptr) == 0);
  info = next(signals);
  CHECK(info.ssi_signo == SIGALRM && info.ssi_code == SI_TIMER && info.ssi_int == 77);
  CHECK(info.ssi_overrun == 0 && info.ssi_pid == 0 && info.ssi_uid == 0);
  CHECK(timer_delete(timer) == 0 && close(signals) == 0);
}

void waiting() {
  block(SIGUSR1);
  const int signals = new_signals(SIGUSR1);
  while_asleep([&] { CHECK(next(signals).ssi_signo == SIGUSR1); }, [](pid_t to) { kill(to, SIGUSR1); });
  while_asleep(
      [&] {
        pollfd entry = {signals, POLLIN, 0};
        CHECK(poll(&entry, 1, -1) == 1 && entry.revents == POLLIN);
      },
      [](pid_t to) { kill(to, SIGUSR1); });
  CHECK(next(signals).ssi_signo == SIGUSR1);
  const int set = epoll_create1(0);
  epoll_event event = {EPOLLIN, {.u64 = 5}};
  CHECK(epoll_ctl(set, EPOLL_CTL_ADD, signals, &event) == 0 && epoll_wait(set, &event, 1, 0) == 0);
  while_asleep([&] { CHECK(epoll_wait(set, &event, 1, -1) == 1 && event.data.u64 == 5); },
               [](pid_t to) { kill(to, SIGUSR1); });
  CHECK(next(signals).ssi_signo == SIGUSR1 && epoll_wait(set, &event, 1, 0) == 0 && close(set) == 0);
  // Others interrupt it.
  handle(SIGUSR2);
  sigset_t other = set_of(SIGUSR2);
  CHECK(sigprocmask(SIG_UNBLOCK, &other, nullptr) == 0);
  signalfd_siginfo info;
  while_asleep([&] { CHECK_ERRNO(read(signals, &info, sizeof(info)), EINTR); },
               [](pid_t to) { kill(to, SIGUSR2); });
  CHECK(close(signals) == 0);
}

// A child reads its own.
void readers_own() {
  block(SIGUSR1);
  const int signals = new_signals(SIGUSR1, SFD_NONBLOCK);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  CHECK(status_of_child([&] {
          signalfd_siginfo info;
          CHECK(events_of(signals) == 0);
          CHECK_ERRNO(read(signals, &info, sizeof(info)), EAGAIN);
          CHECK(kill(getpid(), SIGUSR1) == 0 && next(signals).ssi_pid == static_cast<uint32_t>(getpid()));
        }) == 0);
  CHECK(events_of(signals) == POLLIN && next(signals).ssi_pid == static_cast<uint32_t>(getpid()));
  CHECK(close(signals) == 0);
}

}  // namespace

int main() {
  begin();
  check("creating", creating);
  check("reading", reading);
  check("what_they_tell", what_they_tell);
  check("waiting", waiting);
  check("readers_own", readers_own);
  return finish();
}
