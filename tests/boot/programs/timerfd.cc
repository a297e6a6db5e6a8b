// timerfd: clocks, relative and absolute times, intervals, what is counted, what is refused.
#include <sys/timerfd.h>
#include <time.h>

#include <cstdint>

#include "tests/boot/programs/poll_checks.h"

namespace {

int new_timer(int clock = CLOCK_MONOTONIC, int flags = 0) {
  const int timer = timerfd_create(clock, flags);
  CHECK(timer >= 0);
  return timer;
}
constexpr timespec ms(long count) { return {count / 1000, count % 1000 * 1'000'000}; }
constexpr itimerspec every(timespec first, timespec interval = {}) { return {interval, first}; }
uint64_t rings(int timer) {
  uint64_t count = 0;
  CHECK(read(timer, &count, 8) == 8);
  return count;
}
timespec now(int clock) {
  timespec time;
  CHECK(clock_gettime(clock, &time) == 0);
  return time;
}
timespec sum(timespec a, timespec b) {
  const long ns = a.tv_nsec + b.tv_nsec;
  return {a.tv_sec + b.tv_sec + ns / 1'000'000'000, ns % 1'000'000'000};
}
bool not_before(timespec a, timespec b) {
  return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec >= b.tv_nsec);
}
bool zero(timespec a) { return a.tv_sec == 0 && a.tv_nsec == 0; }
itimerspec setting(int timer) {
  itimerspec now;
  CHECK(timerfd_gettime(timer, &now) == 0);
  return now;
}

void creating() {
  for (const int clock :
       {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM}) {
    CHECK(close(new_timer(clock)) == 0);
  }
  for (const int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                          CLOCK_REALTIME_COARSE, CLOCK_TAI, -1}) {
    CHECK_ERRNO(timerfd_create(clock, 0), EINVAL);
  }
  CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
  CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, -1), EINVAL);
  int timer = new_timer();
  CHECK(fcntl(timer, F_GETFD) == 0 && fcntl(timer, F_GETFL) == O_RDWR);
  check_anonymous(timer, "timerfd");
  CHECK(lseek(timer, 7, SEEK_SET) == 0);
  CHECK_ERRNO(lseek(timer, 7, 5), EINVAL);
  CHECK(close(timer) == 0);
  timer = new_timer(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  CHECK(fcntl(timer, F_GETFD) == FD_CLOEXEC && fcntl(timer, F_GETFL) == (O_RDWR | O_NONBLOCK));
  CHECK(close(timer) == 0);
}

void refusals() {
  const int timer = new_timer(CLOCK_MONOTONIC, TFD_NONBLOCK);
  uint64_t count = 0;
  CHECK_ERRNO(read(timer, &count, 8), EAGAIN);
  CHECK_ERRNO(read(timer, &count, 7), EINVAL);
  CHECK_ERRNO(write(timer, &count, 8), EINVAL);
  itimerspec spec = every(ms(1));
  CHECK_ERRNO(timerfd_settime(-1, 0, &spec, nullptr), EBADF);
  CHECK_ERRNO(timerfd_settime(0, 0, &spec, nullptr), EINVAL);
  CHECK_ERRNO(timerfd_settime(timer, 4, &spec, nullptr), EINVAL);
  CHECK_ERRNO(timerfd_settime(timer, -1, &spec, nullptr), EINVAL);
  CHECK_ERRNO(timerfd_settime(timer, 0, static_cast<itimerspec*>(bad_page()), nullptr), EFAULT);
  for (const itimerspec wrong :
       {every({-1, 0}), every({0, -1}), every({0, 1'000'000'000}), every(ms(1), {-1, 0}),
        every(ms(1), {0, 1'000'000'000}), every({}, {0, -1})}) {
    CHECK_ERRNO(timerfd_settime(timer, 0, &wrong, nullptr), EINVAL);
  }
  CHECK_ERRNO(timerfd_gettime(-1, &spec), EBADF);
  CHECK_ERRNO(timerfd_gettime(0, &spec), EINVAL);
  CHECK_ERRNO(timerfd_gettime(timer, static_cast<itimerspec*>(read_only_page())), EFAULT);
  spec = every({1000, 0});
  CHECK_ERRNO(timerfd_settime(timer, 0, &spec, static_cast<itimerspec*>(read_only_page())), EFAULT);
  CHECK(setting(timer).it_value.tv_sec != 0 && close(timer) == 0);
}

void once() {
  for (const int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
    const int timer = new_timer(clock);
    const itimerspec spec = every(ms(20));
    const timespec end = sum(now(CLOCK_MONOTONIC), ms(20));
    CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0 && rings(timer) == 1);
    CHECK(not_before(now(CLOCK_MONOTONIC), end) && events_of(timer) == 0);
    CHECK(zero(setting(timer).it_value) && zero(setting(timer).it_interval));
    const itimerspec at = every(sum(now(clock), ms(20)));
    CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, nullptr) == 0 && rings(timer) == 1);
    CHECK(not_before(now(clock), at.it_value));
    const itimerspec past = every({0, 1});
    CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &past, nullptr) == 0 && rings(timer) == 1);
    CHECK(close(timer) == 0);
  }
}

void intervals() {
  const int timer = new_timer();
  const itimerspec spec = every(ms(5), ms(10));
  const timespec begin = now(CLOCK_MONOTONIC);
  CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0);
  uint64_t count = 0;
  while (count < 4) count += rings(timer);
  CHECK(not_before(now(CLOCK_MONOTONIC), sum(begin, ms(5 + 10 * (static_cast<long>(count) - 1)))));
  // What nobody reads meanwhile is counted.
  (void)rings(timer);
  const timespec pause = ms(45);
  nanosleep(&pause, nullptr);
  CHECK(rings(timer) >= 4);
  CHECK(setting(timer).it_interval.tv_nsec == 10'000'000 && !zero(setting(timer).it_value));
  // An absolute beginning long ago.
  const itimerspec past = every({0, 1}, {0, 1000});
  CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &past, nullptr) == 0 && rings(timer) > 1000);
  // Shorter than the kernel can follow.
  const itimerspec shortest = every({0, 1}, {0, 1});
  CHECK(timerfd_settime(timer, 0, &shortest, nullptr) == 0 && rings(timer) >= 1 && rings(timer) >= 1);
  // gettime counts, too.
  const itimerspec slow = every(ms(1), ms(10));
  CHECK(timerfd_settime(timer, 0, &slow, nullptr) == 0);
  nanosleep(&pause, nullptr);
  CHECK(!zero(setting(timer).it_value) && events_of(timer) == POLLIN && rings(timer) >= 4 &&
        close(timer) == 0);
}

void settings() {
  const int timer = new_timer(CLOCK_MONOTONIC, TFD_NONBLOCK);
  CHECK(zero(setting(timer).it_value) && zero(setting(timer).it_interval));
  itimerspec spec = every({1000, 0}, {7, 8});
  itimerspec old = every({9, 9}, {9, 9});
  CHECK(timerfd_settime(timer, 0, &spec, &old) == 0 && zero(old.it_value) && zero(old.it_interval));
  CHECK(setting(timer).it_interval.tv_sec == 7 && setting(timer).it_interval.tv_nsec == 8);
  CHECK(setting(timer).it_value.tv_sec >= 900 && setting(timer).it_value.tv_sec <= 1000);
  spec = every({});
  CHECK(timerfd_settime(timer, 0, &spec, &old) == 0 && old.it_interval.tv_sec == 7 &&
        old.it_value.tv_sec >= 900);
  CHECK(zero(setting(timer).it_value) && zero(setting(timer).it_interval));
  spec = every({}, {3, 0});
  CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0);
  CHECK(zero(setting(timer).it_value) && setting(timer).it_interval.tv_sec == 3);
  // A new setting forgets what rang.
  spec = every({0, 1});
  CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  pollfd entry = {timer, POLLIN, 0};
  CHECK(poll(&entry, 1, -1) == 1 && entry.revents == POLLIN);
  spec = every({1000, 0});
  CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0 && events_of(timer) == 0);
  // Times that do not fit.
  spec = every({INT64_MAX, 999'999'999}, {INT64_MAX, 0});
  CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0 && events_of(timer) == 0);
  CHECK(setting(timer).it_interval.tv_sec == INT64_MAX / 1'000'000'000);
  CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0 && events_of(timer) == 0);
  CHECK(close(timer) == 0);
  const int wall = new_timer(CLOCK_REALTIME);
  spec = every(sum(now(CLOCK_REALTIME), ms(10)));
  CHECK(timerfd_settime(wall, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, nullptr) == 0);
  CHECK(rings(wall) == 1);
  CHECK(timerfd_settime(wall, TFD_TIMER_CANCEL_ON_SET, &spec, nullptr) == 0 && close(wall) == 0);
}

void waiting() {
  const int timer = new_timer();
  handle(SIGUSR1);
  uint64_t count = 0;
  while_asleep([&] { CHECK_ERRNO(read(timer, &count, 8), EINTR); }, [](pid_t to) { kill(to, SIGUSR1); });
  while_asleep([&] { CHECK(rings(timer) == 1); },
               [&](pid_t) {
                 const itimerspec spec = every(ms(1));
                 CHECK(timerfd_settime(timer, 0, &spec, nullptr) == 0);
               });
  const itimerspec spec = every({0, 1});
  CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  CHECK_ERRNO(read(timer, read_only_page(), 8), EFAULT);
  CHECK(events_of(timer) == 0);
  // It goes while it runs.
  const itimerspec beat = every(ms(1), ms(1));
  CHECK(timerfd_settime(timer, 0, &beat, nullptr) == 0 && close(timer) == 0);
  const timespec pause = ms(10);
  CHECK(nanosleep(&pause, nullptr) == 0);
}

}  // namespace

int main() {
  begin();
  check("creating", creating);
  check("refusals", refusals);
  check("once", once);
  check("intervals", intervals);
  check("settings", settings);
  check("waiting", waiting);
  return finish();
}
