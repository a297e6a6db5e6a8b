// epoll: what is told, once or for as long as it holds; sets in sets; what ends a watch; what is refused.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cstdint>

#include "tests/boot/programs/poll_checks.h"

namespace {

int control(int set, int operation, int descriptor, uint32_t events, uint64_t data = 0) {
  epoll_event event = {events, {.u64 = data}};
  return epoll_ctl(set, operation, descriptor, &event);
}
int add(int set, int descriptor, uint32_t events, uint64_t data = 0) {
  return control(set, EPOLL_CTL_ADD, descriptor, events, data);
}
int new_set() {
  const int set = epoll_create1(0);
  CHECK(set >= 0);
  return set;
}
// What is told now, as events and data, one after the other.
std::string told(int set, int most = 8) {
  epoll_event events[8];
  const int count = epoll_wait(set, events, most, 0);
  CHECK(count >= 0);
  std::string text;
  for (int i = 0; i < count; ++i) {
    char one[64];
    snprintf(one, sizeof(one), "%x:%llu ", events[i].events,
             static_cast<unsigned long long>(events[i].data.u64));
    text += one;
  }
  return text;
}
void bump(int event, uint64_t value = 1) { CHECK(write(event, &value, 8) == 8); }
void drain(int event) {
  uint64_t value = 0;
  CHECK(read(event, &value, 8) == 8);
}

struct Pipe {
  Pipe() { CHECK(pipe(ends) == 0); }
  ~Pipe() {
    close(ends[0]);
    close(ends[1]);
  }
  int ends[2];
};

void creating() {
  CHECK_ERRNO(epoll_create(0), EINVAL);
  CHECK_ERRNO(epoll_create(-1), EINVAL);
  CHECK_ERRNO(epoll_create1(1), EINVAL);
  CHECK_ERRNO(epoll_create1(-1), EINVAL);
  const int set = epoll_create1(EPOLL_CLOEXEC);
  CHECK(fcntl(set, F_GETFD) == FD_CLOEXEC && close(set) == 0);
  const int other = epoll_create(1);
  CHECK(fcntl(other, F_GETFD) == 0);
  check_anonymous(other, "eventpoll");
  char byte = 0;
  CHECK_ERRNO(read(other, &byte, 1), EINVAL);
  CHECK_ERRNO(write(other, &byte, 1), EINVAL);
  CHECK(close(other) == 0);
}

void control_refusals() {
  const int set = new_set();
  const Pipe pipe;
  const int file = memfd_create("file", 0);
  const int directory = open("/", O_RDONLY);
  const int path = open("/", O_PATH);
  CHECK(file >= 0 && directory >= 0 && path >= 0);
  epoll_event event = {EPOLLIN, {}};
  CHECK_ERRNO(epoll_ctl(-1, EPOLL_CTL_ADD, pipe.ends[0], &event), EBADF);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, 99, &event), EBADF);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, path, &event), EBADF);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, file, &event), EPERM);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, directory, &event), EPERM);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, set, &event), EINVAL);
  CHECK_ERRNO(epoll_ctl(pipe.ends[0], EPOLL_CTL_ADD, pipe.ends[1], &event), EINVAL);
  CHECK_ERRNO(epoll_ctl(file, EPOLL_CTL_ADD, pipe.ends[1], &event), EINVAL);
  CHECK_ERRNO(epoll_ctl(set, 0, pipe.ends[0], &event), EINVAL);
  CHECK_ERRNO(epoll_ctl(set, 4, pipe.ends[0], &event), EINVAL);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, pipe.ends[0], nullptr), EFAULT);
  CHECK_ERRNO(epoll_ctl(-1, EPOLL_CTL_ADD, pipe.ends[0], nullptr), EFAULT);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_MOD, pipe.ends[0], &event), ENOENT);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_DEL, pipe.ends[0], nullptr), ENOENT);
  CHECK(epoll_ctl(set, EPOLL_CTL_ADD, pipe.ends[0], &event) == 0);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_ADD, pipe.ends[0], &event), EEXIST);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_MOD, pipe.ends[0], nullptr), EFAULT);
  CHECK(epoll_ctl(set, EPOLL_CTL_DEL, pipe.ends[0], nullptr) == 0);
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_DEL, pipe.ends[0], &event), ENOENT);
  for (const int one : {set, file, directory, path}) CHECK(close(one) == 0);
}

void wait_refusals() {
  const int set = new_set();
  const Pipe pipe;
  epoll_event events[2];
  CHECK_ERRNO(epoll_wait(set, events, 0, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_epoll_wait, set, events, -1, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_epoll_wait, set, events, INT32_MAX, 0), EINVAL);
  CHECK_ERRNO(epoll_wait(-1, events, 1, 0), EBADF);
  CHECK_ERRNO(epoll_wait(pipe.ends[0], events, 1, 0), EINVAL);
  auto* const unwritable = static_cast<epoll_event*>(read_only_page());
  CHECK(epoll_wait(set, unwritable, 1, 0) == 0);
  CHECK(add(set, pipe.ends[1], EPOLLOUT, 3) == 0);
  CHECK_ERRNO(epoll_wait(set, unwritable, 1, 0), EFAULT);
  CHECK(told(set) == "4:3 " && close(set) == 0);
}

void levels() {
  const int set = new_set();
  const int a = eventfd(0, 0);
  const int b = eventfd(0, 0);
  CHECK(add(set, a, EPOLLIN, 1) == 0 && add(set, b, EPOLLIN, 2) == 0 && told(set).empty());
  bump(b);
  CHECK(told(set) == "1:2 " && told(set) == "1:2 ");
  bump(a);
  CHECK(told(set) == "1:2 1:1 ");
  // Each has its turn.
  const std::string first = told(set, 1);
  const std::string second = told(set, 1);
  CHECK(first != second && told(set, 1) == first);
  drain(b);
  CHECK(told(set) == "1:1 ");
  CHECK(control(set, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLOUT, 5) == 0 && told(set) == "5:5 ");
  CHECK(control(set, EPOLL_CTL_MOD, a, 0, 5) == 0 && told(set).empty());
  CHECK(control(set, EPOLL_CTL_MOD, a, EPOLLOUT, 6) == 0 && told(set) == "4:6 ");
  CHECK(epoll_ctl(set, EPOLL_CTL_DEL, a, nullptr) == 0 && told(set).empty());
  for (const int one : {set, a, b}) CHECK(close(one) == 0);
}

void edges() {
  const int set = new_set();
  const int event = eventfd(1, 0);
  CHECK(add(set, event, EPOLLIN | EPOLLET, 1) == 0 && told(set) == "1:1 " && told(set).empty());
  bump(event);
  CHECK(told(set) == "1:1 " && told(set).empty());
  bump(event);
  drain(event);
  CHECK(told(set).empty());
  bump(event);
  CHECK(control(set, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLET, 2) == 0 && told(set) == "1:2 ");
  CHECK(control(set, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLET, 3) == 0 && told(set) == "1:3 " &&
        told(set).empty());
  // Of a pipe each write counts.
  const Pipe pipe;
  CHECK(add(set, pipe.ends[0], EPOLLIN | EPOLLET, 4) == 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(write(pipe.ends[1], "x", 1) == 1 && told(set) == "1:4 " && told(set).empty());
  }
  char byte = 0;
  CHECK(read(pipe.ends[0], &byte, 1) == 1 && told(set).empty());
  CHECK(close(set) == 0 && close(event) == 0);
}

void once() {
  const int set = new_set();
  const int event = eventfd(1, 0);
  CHECK(add(set, event, EPOLLIN | EPOLLONESHOT, 1) == 0 && told(set) == "1:1 " && told(set).empty());
  bump(event);
  CHECK(told(set).empty());
  CHECK_ERRNO(add(set, event, EPOLLIN), EEXIST);
  CHECK(control(set, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLONESHOT, 2) == 0);
  CHECK(told(set) == "1:2 " && told(set).empty());
  CHECK(control(set, EPOLL_CTL_MOD, event, EPOLLIN, 3) == 0 && told(set) == "1:3 " && told(set) == "1:3 ");
  CHECK(close(set) == 0 && close(event) == 0);
}

void exclusive() {
  const int set = new_set();
  const int inner = new_set();
  const int event = eventfd(1, 0);
  CHECK_ERRNO(add(set, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), EINVAL);
  CHECK_ERRNO(add(set, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLRDHUP), EINVAL);
  CHECK_ERRNO(add(set, event, EPOLLIN | EPOLLEXCLUSIVE | EPOLLPRI), EINVAL);
  CHECK_ERRNO(add(set, inner, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
  CHECK(add(set, event, EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLET | EPOLLWAKEUP | EPOLLEXCLUSIVE,
            4) == 0);
  CHECK_ERRNO(control(set, EPOLL_CTL_MOD, event, EPOLLIN), EINVAL);
  CHECK_ERRNO(control(set, EPOLL_CTL_MOD, event, EPOLLIN | EPOLLEXCLUSIVE), EINVAL);
  CHECK(told(set) == "5:4 " && told(set).empty());
  CHECK(epoll_ctl(set, EPOLL_CTL_DEL, event, nullptr) == 0);
  for (const int one : {set, inner, event}) CHECK(close(one) == 0);
}

void hang_ups() {
  const int set = new_set();
  Pipe one;
  CHECK(add(set, one.ends[0], EPOLLRDHUP, 1) == 0 && told(set).empty());
  CHECK(close(one.ends[1]) == 0 && told(set) == "10:1 ");
  Pipe other;
  CHECK(add(set, other.ends[1], 0, 2) == 0 && told(set) == "10:1 ");
  CHECK(close(other.ends[0]) == 0 && told(set) == "10:1 8:2 ");
  one.ends[1] = other.ends[0] = -1;
  CHECK(close(set) == 0);
}

void closing() {
  const int set = new_set();
  int event = eventfd(1, 0);
  CHECK(add(set, event, EPOLLIN, 1) == 0 && told(set) == "1:1 ");
  const int number = event;
  CHECK(close(event) == 0 && told(set).empty());
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_DEL, number, nullptr), EBADF);
  // The number alone does not end it.
  event = eventfd(1, 0);
  CHECK(event == number && add(set, event, EPOLLIN, 2) == 0);
  const int copy = dup(event);
  CHECK(close(event) == 0 && told(set) == "1:2 ");
  CHECK_ERRNO(epoll_ctl(set, EPOLL_CTL_DEL, copy, nullptr), ENOENT);
  CHECK(add(set, copy, EPOLLIN, 3) == 0 && told(set) == "1:2 1:3 ");
  // The number is another file's now; the watch is of the old one.
  const int other = eventfd(1, 0);
  CHECK(other == number && add(set, other, EPOLLIN, 4) == 0 && told(set).size() == 12);
  CHECK(close(other) == 0 && told(set).size() == 8);
  CHECK(dup2(copy, number) == number);
  CHECK(epoll_ctl(set, EPOLL_CTL_DEL, number, nullptr) == 0 && told(set) == "1:3 ");
  CHECK(close(copy) == 0 && told(set) == "1:3 " && close(number) == 0 && told(set).empty());
  // Neither does a child's end.
  const int shared = eventfd(1, 0);
  CHECK(add(set, shared, EPOLLIN, 5) == 0);
  CHECK(status_of_child([&] { CHECK(close(shared) == 0 && told(set) == "1:5 "); }) == 0);
  CHECK(told(set) == "1:5 " && close(set) == 0 && close(shared) == 0);
}

void closing_the_set() {
  const int outer = new_set();
  const int set = new_set();
  const Pipe pipe;
  CHECK(add(set, pipe.ends[0], EPOLLIN, 1) == 0 && add(outer, set, EPOLLIN, 2) == 0);
  CHECK(write(pipe.ends[1], "x", 1) == 1 && told(outer) == "1:2 ");
  CHECK(close(set) == 0 && told(outer).empty());
  CHECK(write(pipe.ends[1], "x", 1) == 1 && told(outer).empty() && close(outer) == 0);
}

void nesting() {
  const int outer = new_set();
  const int inner = new_set();
  const int event = eventfd(0, 0);
  CHECK(add(inner, event, EPOLLIN, 1) == 0 && add(outer, inner, EPOLLIN, 2) == 0);
  CHECK(events_of(outer) == 0 && told(outer).empty());
  bump(event);
  CHECK(events_of(outer) == POLLIN && events_of(inner) == POLLIN && told(outer) == "1:2 " &&
        told(inner) == "1:1 ");
  CHECK(told(outer) == "1:2 ");
  drain(event);
  CHECK(events_of(outer) == 0 && told(outer).empty());
  CHECK(control(outer, EPOLL_CTL_MOD, inner, EPOLLIN | EPOLLET, 3) == 0);
  bump(event);
  CHECK(told(outer) == "1:3 " && told(outer).empty());
  while_asleep(
      [&] {
        epoll_event got;
        CHECK(epoll_wait(outer, &got, 1, -1) == 1 && got.data.u64 == 3);
      },
      [&](pid_t) { bump(event); });
  for (const int one : {outer, inner, event}) CHECK(close(one) == 0);
}

void circles() {
  int sets[6];
  for (int& set : sets) set = new_set();
  CHECK(add(sets[1], sets[0], EPOLLIN) == 0);
  CHECK_ERRNO(add(sets[0], sets[1], EPOLLIN), ELOOP);
  CHECK_ERRNO(add(sets[1], sets[0], EPOLLIN), EEXIST);
  CHECK(add(sets[2], sets[1], EPOLLIN) == 0 && add(sets[3], sets[2], EPOLLIN) == 0);
  CHECK_ERRNO(add(sets[0], sets[3], EPOLLIN), ELOOP);
  CHECK(add(sets[4], sets[3], EPOLLIN) == 0);
  CHECK_ERRNO(add(sets[5], sets[4], EPOLLIN), ELOOP);
  CHECK(add(sets[5], sets[3], EPOLLIN) == 0);
  // From below it is as long.
  const int bottom = new_set();
  CHECK_ERRNO(add(sets[0], bottom, EPOLLIN), ELOOP);
  CHECK(add(sets[1], bottom, EPOLLIN) == 0);
  const int event = eventfd(1, 0);
  CHECK(add(sets[0], event, EPOLLIN, 9) == 0 && told(sets[5]) == "1:0 " && told(sets[4]) == "1:0 ");
  for (const int set : sets) CHECK(close(set) == 0);
  CHECK(close(bottom) == 0 && close(event) == 0);
}

// Three layers, all of one watched by all of the next: the ways are many, what is told is not.
void many_ways() {
  constexpr int kWide = 3;
  int sets[3][kWide];
  const int event = eventfd(0, 0);
  for (int layer = 0; layer < 3; ++layer) {
    for (int& set : sets[layer]) {
      set = new_set();
      for (int below = 0; below < (layer == 0 ? 1 : kWide); ++below) {
        CHECK(add(set, layer == 0 ? event : sets[layer - 1][below], EPOLLIN, 1) == 0);
      }
    }
  }
  for (const int set : sets[2]) CHECK(told(set).empty());
  bump(event);
  for (const int set : sets[2]) CHECK(told(set) == "1:1 1:1 1:1 ");
  drain(event);
  for (const int set : sets[2]) CHECK(told(set).empty());
  CHECK(close(event) == 0);
  for (auto& layer : sets) {
    for (const int set : layer) CHECK(close(set) == 0);
  }
}

void waiting() {
  const int set = new_set();
  const Pipe pipe;
  CHECK(add(set, pipe.ends[0], EPOLLIN, 1) == 0);
  epoll_event got;
  CHECK(epoll_wait(set, &got, 1, 20) == 0);
  while_asleep([&] { CHECK(epoll_wait(set, &got, 1, -1) == 1 && got.events == EPOLLIN); },
               [&](pid_t) { CHECK(write(pipe.ends[1], "x", 1) == 1); });
  char byte = 0;
  CHECK(read(pipe.ends[0], &byte, 1) == 1);
  // What is added while somebody waits counts.
  while_asleep([&] { CHECK(epoll_wait(set, &got, 1, 60000) == 1 && got.data.u64 == 7); },
               [&](pid_t) { CHECK(add(set, pipe.ends[1], EPOLLOUT, 7) == 0); });
  CHECK(close(set) == 0);
}

void signals() {
  const int set = new_set();
  epoll_event got;
  handle(SIGUSR1);
  g_handled = 0;
  while_asleep([&] { CHECK_ERRNO(epoll_wait(set, &got, 1, -1), EINTR); },
               [](pid_t to) { kill(to, SIGUSR1); });
  // SA_RESTART does not help.
  struct sigaction action = {};
  action.sa_handler = [](int) { g_handled = g_handled + 1; };
  action.sa_flags = SA_RESTART;
  CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
  while_asleep([&] { CHECK_ERRNO(epoll_wait(set, &got, 1, -1), EINTR); },
               [](pid_t to) { kill(to, SIGUSR1); });
  CHECK(g_handled == 2);
  // A mask for the wait alone.
  block(SIGUSR1);
  CHECK(kill(getpid(), SIGUSR1) == 0 && epoll_wait(set, &got, 1, 0) == 0 && g_handled == 2);
  sigset_t none;
  sigemptyset(&none);
  CHECK_ERRNO(epoll_pwait(set, &got, 1, -1, &none), EINTR);
  sigset_t now;
  CHECK(g_handled == 3 && sigprocmask(SIG_SETMASK, nullptr, &now) == 0 && sigismember(&now, SIGUSR1) == 1);
  CHECK(kill(getpid(), SIGUSR1) == 0);
  const timespec forever = {1000, 0};
  CHECK_ERRNO(epoll_pwait2(set, &got, 1, &forever, &none), EINTR);
  CHECK(g_handled == 4 && sigprocmask(SIG_SETMASK, &none, nullptr) == 0);
  const sigset_t blocked = set_of(SIGUSR1);
  CHECK(epoll_pwait(set, &got, 1, 0, &blocked) == 0);
  CHECK(sigprocmask(SIG_SETMASK, nullptr, &now) == 0 && sigismember(&now, SIGUSR1) == 0);
  CHECK_ERRNO(syscall(SYS_epoll_pwait, set, &got, 1, 0, &blocked, 4), EINVAL);
  CHECK_ERRNO(syscall(SYS_epoll_pwait, set, &got, 1, 0, bad_page(), 8), EFAULT);
  CHECK(syscall(SYS_epoll_pwait, set, &got, 1, 0, nullptr, 4) == 0);
  timespec time = {0, 1'000'000};
  CHECK(epoll_pwait2(set, &got, 1, &time, nullptr) == 0 && time.tv_nsec == 1'000'000);
  time = {0, 0};
  CHECK(epoll_pwait2(set, &got, 1, &time, nullptr) == 0);
  for (const timespec wrong : {timespec{-1, 0}, timespec{0, -1}, timespec{0, 1'000'000'000}}) {
    CHECK_ERRNO(epoll_pwait2(set, &got, 1, &wrong, nullptr), EINVAL);
  }
  CHECK_ERRNO(syscall(SYS_epoll_pwait2, set, &got, 1, bad_page(), nullptr, 8), EFAULT);
  CHECK(close(set) == 0);
}

}  // namespace

int main() {
  begin();
  check("creating", creating);
  check("control_refusals", control_refusals);
  check("wait_refusals", wait_refusals);
  check("levels", levels);
  check("edges", edges);
  check("once", once);
  check("exclusive", exclusive);
  check("hang_ups", hang_ups);
  check("closing", closing);
  check("closing_the_set", closing_the_set);
  check("nesting", nesting);
  check("circles", circles);
  check("many_ways", many_ways);
  check("waiting", waiting);
  check("signals", signals);
  return finish();
}
