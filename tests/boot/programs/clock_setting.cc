// The clock is set, by each of the calls that can; timers follow.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include "tests/boot/programs/checks.h"

namespace {

time_t now() {
  timespec time;
  CHECK(clock_gettime(CLOCK_REALTIME, &time) == 0);
  return time.tv_sec;
}
bool near(time_t wanted) { return now() >= wanted && now() < wanted + 100; }

constexpr time_t kThen = 4'000'000'000;

void each_call() {
  const timespec then{kThen, 5};
  timespec before;
  timespec after;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0 && clock_settime(CLOCK_REALTIME, &then) == 0 &&
        near(kThen));
  CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0 && after.tv_sec - before.tv_sec < 100);
  const timeval back{kThen - 1'000'000, 0};
  CHECK(settimeofday(&back, nullptr) == 0 && near(kThen - 1'000'000) && time(nullptr) >= kThen - 1'000'000);
  timex step{};
  step.modes = ADJ_SETOFFSET;
  step.time.tv_sec = 1000;
  CHECK(adjtimex(&step) >= 0 && near(kThen - 999'000));
  step.time.tv_usec = 1'000'000;
  CHECK_ERRNO(adjtimex(&step), EINVAL);
  const timespec early{0, 1};
  CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &early), EINVAL);
  timex tai{};
  tai.modes = ADJ_TAI;
  tai.constant = 37;
  timespec atomic;
  CHECK(adjtimex(&tai) >= 0 && tai.tai == 37 && clock_gettime(11, &atomic) == 0 &&
        atomic.tv_sec - now() >= 36);
}

int left(timer_t timer) {
  itimerspec spec;
  CHECK(timer_gettime(timer, &spec) == 0);
  return static_cast<int>(spec.it_value.tv_sec);
}

void timers_follow() {
  sigevent none{};
  none.sigev_notify = SIGEV_NONE;
  timer_t until;
  timer_t after;
  CHECK(timer_create(CLOCK_REALTIME, &none, &until) == 0 && timer_create(CLOCK_REALTIME, &none, &after) == 0);
  timespec then{kThen, 0};
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  itimerspec spec{};
  spec.it_value.tv_sec = kThen + 10'000;
  CHECK(timer_settime(until, TIMER_ABSTIME, &spec, nullptr) == 0);
  spec.it_value.tv_sec = 10'000;
  CHECK(timer_settime(after, 0, &spec, nullptr) == 0);
  then.tv_sec += 5'000;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  CHECK(left(until) <= 5'000 && left(until) > 4'900 && left(after) <= 10'000 && left(after) > 9'900);
  then.tv_sec -= 8'000;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  CHECK(left(until) > 12'900 && left(after) > 9'900 && left(after) <= 10'000);
}

}  // namespace

int main() {
  check("each_call", each_call);
  check("timers_follow", timers_follow);
  return finish();
}
