// Clocks that are asked for or not to be set, kcmp, scheduling attributes, and what is refused.
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

void* const kBad = reinterpret_cast<void*>(1);

long sleep_on(int clock, int flags, timespec time) {
  return syscall(SYS_clock_nanosleep, clock, flags, &time, nullptr);
}

void clocks_that_sleep() {
  timespec now;
  CHECK(clock_gettime(11, &now) == 0 && sleep_on(11, 0, {0, 1000}) == 0);
  CHECK(sleep_on(11, TIMER_ABSTIME, {1, 0}) == 0);
  CHECK_ERRNO(sleep_on(CLOCK_MONOTONIC_RAW, 0, {0, 1}), EOPNOTSUPP);
  CHECK_ERRNO(sleep_on(CLOCK_REALTIME_COARSE, 0, {0, 1}), EOPNOTSUPP);
  CHECK_ERRNO(sleep_on(CLOCK_THREAD_CPUTIME_ID, 0, {0, 1}), EOPNOTSUPP);
  CHECK_ERRNO(sleep_on(12345, 0, {0, 1}), EINVAL);
  CHECK_ERRNO(sleep_on(CLOCK_REALTIME, 0, {0, -1}), EINVAL);
  clockid_t mine;
  CHECK(clock_getcpuclockid(0, &mine) == 0);
  CHECK(sleep_on(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, {0, 1}) == 0);
}

void sleeping_on_the_time_of_another() {
  const pid_t child = fork();
  if (child == 0) {
    for (;;) sched_yield();
  }
  clockid_t its;
  CHECK(clock_getcpuclockid(child, &its) == 0);
  CHECK(sleep_on(its, 0, {0, 20'000'000}) == 0);
  timespec used;
  CHECK(clock_gettime(its, &used) == 0 && (used.tv_sec > 0 || used.tv_nsec >= 20'000'000));
  int status;
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
}

void clocks_that_are_not_set() {
  timespec time{0, -1};
  CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time), EINVAL);
  CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &time), EINVAL);
  CHECK_ERRNO(syscall(SYS_clock_settime, 12345, &time), EINVAL);
  CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, kBad), EFAULT);
  CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &time), EINVAL);
  timeval bad{0, -1};
  CHECK_ERRNO(syscall(SYS_settimeofday, &bad, nullptr), EINVAL);
  CHECK_ERRNO(syscall(SYS_settimeofday, kBad, nullptr), EFAULT);
  CHECK(status_of_child([] {
          CHECK(setuid(1000) == 0);
          timespec now;
          CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
          CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), EPERM);
          const timeval same{now.tv_sec, 0};
          CHECK_ERRNO(syscall(SYS_settimeofday, &same, nullptr), EPERM);
          timex change{};
          CHECK(syscall(SYS_adjtimex, &change) >= 0);
          change.modes = ADJ_TICK;
          CHECK_ERRNO(syscall(SYS_adjtimex, &change), EPERM);
          CHECK_ERRNO(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &change), EPERM);
        }) == 0);
  timex change{};
  CHECK_ERRNO(syscall(SYS_adjtimex, kBad), EFAULT);
  CHECK(syscall(SYS_clock_adjtime, CLOCK_REALTIME, &change) >= 0);
  CHECK(change.time.tv_sec > 0 && change.tick == 10000);
  CHECK_ERRNO(syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &change), EOPNOTSUPP);
  CHECK_ERRNO(syscall(SYS_clock_adjtime, 12345, &change), EINVAL);
}

long compare(int type, unsigned long a, unsigned long b, pid_t other = getpid()) {
  return syscall(SYS_kcmp, getpid(), other, type, a, b);
}

void comparing() {
  const int one = open("/", O_RDONLY);
  const int same = dup(one);
  const int other = open("/", O_RDONLY);
  CHECK(compare(KCMP_FILE, one, same) == 0 && compare(KCMP_FILE, one, other) > 0);
  CHECK(compare(KCMP_FILE, one, other) + compare(KCMP_FILE, other, one) == 3);
  CHECK_ERRNO(compare(KCMP_FILE, one, 999), EBADF);
  CHECK_ERRNO(compare(99, 0, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_kcmp, getpid(), 0x3fffffff, KCMP_VM, 0, 0), ESRCH);
  for (const int type : {KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM}) {
    CHECK(compare(type, 0, 0) == 0);
    CHECK(status_of_child([type] {
            printf("%d %d\n", type, compare(type, 0, 0, getppid()) != 0);
            fflush(stdout);
          }) == 0);
  }
  CHECK(close(one) == 0 && close(same) == 0 && close(other) == 0);
}

struct Attributes {
  unsigned bytes = 48;
  unsigned policy = 0;
  unsigned long flags = 0;
  int nice = 0;
  unsigned priority = 0;
  unsigned long times[3] = {};
};

void attributes() {
  Attributes set;
  Attributes got;
  set.nice = 7;
  CHECK(syscall(SYS_sched_setattr, 0, &set, 0) == 0 && getpriority(PRIO_PROCESS, 0) == 7);
  CHECK(syscall(SYS_sched_getattr, 0, &got, sizeof got, 0) == 0 && got.bytes == 48 && got.nice == 7 &&
        got.policy == 0);
  set.policy = SCHED_BATCH;
  set.nice = 8;
  CHECK(syscall(SYS_sched_setattr, 0, &set, 0) == 0 && sched_getscheduler(0) == SCHED_BATCH);
  set.priority = 1;
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), EINVAL);
  set = {};
  set.policy = 4;
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), EINVAL);
  set.policy = 0;
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 1), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, nullptr, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_setattr, -1, &set, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0x3fffffff, &set, 0), ESRCH);
  set.bytes = 47;
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), E2BIG);
  CHECK(set.bytes == 56);
  CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &got, 47, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &got, 4097, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &got, 48, 1), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_getattr, 0, nullptr, 48, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sched_getattr, 0x3fffffff, &got, 48, 0), ESRCH);
  set = {};
  set.policy = 6;
  set.times[0] = 10;
  CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &set, 0), EINVAL);
}

void refusals() {
  CHECK(unshare(CLONE_FILES | CLONE_FS) == 0);
  CHECK_ERRNO(unshare(0x1), EINVAL);
  CHECK_ERRNO(syscall(SYS_setns, -1, 0), EBADF);
  const int file = open("/", O_RDONLY);
  CHECK_ERRNO(syscall(SYS_setns, file, 0), EINVAL);
  CHECK(close(file) == 0);
  CHECK(status_of_child([] {
          CHECK(setuid(1000) == 0);
          CHECK_ERRNO(unshare(CLONE_NEWUTS), EPERM);
          CHECK_ERRNO(syscall(SYS_vhangup), EPERM);
        }) == 0);
}

}  // namespace

int main() {
  check("clocks_that_sleep", clocks_that_sleep);
  check("sleeping_on_the_time_of_another", sleeping_on_the_time_of_another);
  check("clocks_that_are_not_set", clocks_that_are_not_set);
  check("comparing", comparing);
  check("attributes", attributes);
  check("refusals", refusals);
  return finish();
}
