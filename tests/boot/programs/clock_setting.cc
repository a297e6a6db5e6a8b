// The clock is set, by each of the calls that can; timers follow.
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
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

// Runs what sleeps until 1000 s after the time in a child, sets the clock when it sleeps, and expects it to
// end at once.
template <class Body>
void ends_when_set(Body body, time_t step = 2000) {
  timespec then{kThen, 0};
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    const timespec until{kThen + 1000, 0};
    body(until);
    _exit(now() >= kThen + 1000 ? 0 : 2);
  }
  await_state(child, 'S');
  then.tv_sec += 500;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  timespec moment{0, 1'000'000};
  CHECK(nanosleep(&moment, nullptr) == 0);
  await_state(child, 'S');  // not yet
  then.tv_sec = kThen + step;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

void sleeps_follow() {
  alarm(100);
  ends_when_set([](const timespec& until) {
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) == 0);
  });
  ends_when_set([](const timespec& until) {
    int word = 1;
    constexpr int kWaitBitset = 9, kWallClock = 256;
    CHECK_ERRNO(syscall(SYS_futex, &word, kWaitBitset | kWallClock, 1, &until, nullptr, ~0u), ETIMEDOUT);
  });
  ends_when_set([](const timespec& until) {
    mq_attr attributes{};
    attributes.mq_maxmsg = 1;
    attributes.mq_msgsize = 8;
    const mqd_t queue = mq_open("/clock_setting", O_CREAT | O_RDWR, 0600, &attributes);
    char bytes[8];
    CHECK(queue >= 0 && mq_unlink("/clock_setting") == 0);
    CHECK_ERRNO(mq_timedreceive(queue, bytes, sizeof(bytes), nullptr, &until), ETIMEDOUT);
    CHECK(mq_send(queue, "x", 1, 0) == 0);
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &until), ETIMEDOUT);
  });
  ends_when_set([](const timespec& until) {
    const int timer = timerfd_create(CLOCK_REALTIME, 0);
    const itimerspec spec{{0, 0}, until};
    unsigned long rings = 0;
    CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
    CHECK(read(timer, &rings, sizeof(rings)) == sizeof(rings) && rings == 1);
  });
  // With a handler it ends, without one it goes on.
  signal(SIGUSR1, [](int) {});
  ends_when_set([](const timespec& until) {
    const pid_t self = getpid();
    const pid_t child = fork();
    if (child == 0) {
      await_state(self, 'S');
      kill(self, SIGUSR1);
      _exit(0);
    }
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) == EINTR);
    CHECK(waitpid(child, nullptr, 0) == child);
    CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, nullptr) == 0);
  });
  alarm(0);
}

void timers_are_cancelled() {
  timespec then{kThen, 0};
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  const int timer = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  const int steady = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
  const itimerspec spec{{0, 0}, {kThen + 1000, 0}}, after{{0, 0}, {1000, 0}};
  unsigned long rings = 0;
  constexpr int kFlags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
  CHECK(timerfd_settime(timer, kFlags, &spec, nullptr) == 0);
  CHECK(timerfd_settime(steady, TFD_TIMER_CANCEL_ON_SET, &after, nullptr) == 0);
  CHECK_ERRNO(read(timer, &rings, sizeof(rings)), EAGAIN);
  then.tv_sec += 10;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  pollfd entry{timer, POLLIN, 0};
  CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLIN);
  CHECK_ERRNO(read(timer, &rings, sizeof(rings)), ECANCELED);
  CHECK_ERRNO(read(timer, &rings, sizeof(rings)), EAGAIN);
  CHECK_ERRNO(read(steady, &rings, sizeof(rings)), EAGAIN);
  then.tv_sec += 10;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  CHECK_ERRNO(timerfd_settime(timer, kFlags, &spec, nullptr), ECANCELED);
  CHECK_ERRNO(read(timer, &rings, sizeof(rings)), EAGAIN);
  CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, nullptr) == 0);
  then.tv_sec += 2000;
  CHECK(clock_settime(CLOCK_REALTIME, &then) == 0);
  CHECK(read(timer, &rings, sizeof(rings)) == sizeof(rings) && rings == 1);
  itimerspec left;
  CHECK(timerfd_gettime(steady, &left) == 0 && left.it_value.tv_sec >= 900 && left.it_value.tv_sec <= 1000);
  CHECK(close(timer) == 0 && close(steady) == 0);
}

}  // namespace

int main() {
  check("each_call", each_call);
  check("timers_follow", timers_follow);
  check("sleeps_follow", sleeps_follow);
  check("timers_are_cancelled", timers_are_cancelled);
  return finish();
}
