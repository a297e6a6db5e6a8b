// Who may change priorities, policies and nice values, within which limits: setpriority, sched_setscheduler,
// sched_setparam, sched_setattr, ioprio_set, sched_setaffinity. The same on Linux.
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

constexpr uid_t kUser = 54331, kOther = 54332;

int limit(int resource, rlim_t now) {
  const rlimit wanted{now, now};
  return setrlimit(static_cast<__rlimit_resource>(resource), &wanted);
}
int priority(int which, id_t who) {
  errno = 0;
  return getpriority(static_cast<__priority_which>(which), who);
}
int scheduler(pid_t who, int policy, int priority) {
  const sched_param parameters{priority};
  return sched_setscheduler(who, policy, &parameters);
}
int parameter(pid_t who, int priority) {
  const sched_param parameters{priority};
  return sched_setparam(who, &parameters);
}

// struct sched_attr, version 0.
struct Attributes {
  unsigned bytes = 48;
  unsigned policy = 0;
  unsigned long flags = 0;
  int nice = 0;
  unsigned priority = 0;
  unsigned long times[3] = {};
};
long attributes(pid_t who, Attributes wanted) { return syscall(SYS_sched_setattr, who, &wanted, 0); }
Attributes attributes_of(pid_t who) {
  Attributes told;
  CHECK(syscall(SYS_sched_getattr, who, &told, sizeof(told), 0) == 0);
  return told;
}

long io(int which, int who) { return syscall(SYS_ioprio_get, which, who); }
long set_io(int which, int who, int value) { return syscall(SYS_ioprio_set, which, who, value); }

template <class Body>
void aside(Body body) {
  CHECK(status_of_child(body) == 0);
}
void become(uid_t user) { CHECK(setresuid(user, user, user) == 0); }

// A process that waits to be killed; the user's if there is one.
pid_t sleeper(uid_t user = 0) {
  int ready[2];
  CHECK(pipe(ready) == 0);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    if (user != 0) become(user);
    CHECK(write(ready[1], "x", 1) == 1);
    for (;;) pause();
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1 && close(ready[0]) == 0 && close(ready[1]) == 0);
  return child;
}
void end(pid_t child) { CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child); }

void nice_values() {
  aside([] {
    CHECK(setpriority(PRIO_PROCESS, 0, -5) == 0 && priority(PRIO_PROCESS, 0) == -5);
    CHECK(setpriority(PRIO_PROCESS, 0, -1000) == 0 && priority(PRIO_PROCESS, 0) == -20);
    CHECK(setpriority(PRIO_PROCESS, 0, 1000) == 0 && priority(PRIO_PROCESS, 0) == 19);
    CHECK(setpriority(PRIO_PROCESS, 0, 0) == 0);
    CHECK_ERRNO(setpriority(static_cast<__priority_which>(3), 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(static_cast<__priority_which>(-1), 0, 0), EINVAL);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, static_cast<id_t>(-1), 0), ESRCH);
    CHECK(priority(static_cast<__priority_which>(3), 0) == -1 && errno == EINVAL);
    CHECK(priority(PRIO_PROCESS, 9999999) == -1 && errno == ESRCH);
    CHECK(priority(PRIO_PGRP, static_cast<id_t>(-1)) == -1 && errno == ESRCH);
    CHECK(priority(PRIO_USER, 45678) == -1 && errno == ESRCH);
    CHECK_ERRNO(setpriority(PRIO_USER, 45678, 0), ESRCH);
  });
  aside([] {
    limit(RLIMIT_NICE, 0);
    become(kUser);
    CHECK(setpriority(PRIO_PROCESS, 0, 3) == 0 && nice(2) == 5);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 4), EACCES);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -1), EACCES);
    CHECK_ERRNO(nice(-1), EPERM);  // as the C library has it
    CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1, 19), EPERM);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1, -19), EPERM);
    CHECK(priority(PRIO_PROCESS, 1) != -1 || errno == 0);  // anybody may look
  });
}

void nice_values_of_several() {
  aside([] {
    CHECK(setpgid(0, 0) == 0);
    const pid_t own = sleeper(kUser), others = sleeper(kOther);
    aside([&] {
      become(kUser);
      CHECK_ERRNO(setpriority(PRIO_PGRP, 0, 7), EPERM);
      CHECK(priority(PRIO_PROCESS, static_cast<id_t>(own)) == 7 && priority(PRIO_PROCESS, 0) == 7);
      CHECK(priority(PRIO_PROCESS, static_cast<id_t>(others)) == 0 && priority(PRIO_PGRP, 0) == 0);
      CHECK(setpriority(PRIO_USER, 0, 8) == 0 && priority(PRIO_PROCESS, static_cast<id_t>(own)) == 8);
      CHECK(priority(PRIO_USER, kUser) == 8 && priority(PRIO_USER, kOther) == 0);
      CHECK_ERRNO(setpriority(PRIO_USER, kOther, 8), EPERM);
    });
    CHECK(setpriority(PRIO_USER, kOther, 11) == 0 && priority(PRIO_PROCESS, static_cast<id_t>(others)) == 11);
    end(own);
    end(others);
  });
}

void policies_of_a_user() {
  aside([] {
    limit(RLIMIT_NICE, 0);
    limit(RLIMIT_RTPRIO, 0);
    const pid_t roots = sleeper();
    become(kUser);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, 1), EPERM);
    CHECK_ERRNO(scheduler(0, SCHED_RR, 1), EPERM);
    CHECK_ERRNO(scheduler(roots, SCHED_OTHER, 0), EPERM);
    CHECK_ERRNO(parameter(roots, 0), EPERM);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, 100), EINVAL);  // what makes no sense comes first
    CHECK(scheduler(0, SCHED_BATCH, 0) == 0 && parameter(0, 0) == 0 && scheduler(0, SCHED_OTHER, 0) == 0);
    CHECK_ERRNO(attributes(0, {.policy = SCHED_FIFO, .priority = 1}), EPERM);
    CHECK_ERRNO(attributes(0, {.nice = -1}), EPERM);
    CHECK(attributes(0, {.nice = 4}) == 0 && attributes_of(0).nice == 4);
    CHECK_ERRNO(attributes(0, {.nice = 3}), EPERM);
    CHECK_ERRNO(attributes(roots, {.nice = 4}), EPERM);
    CHECK_ERRNO(attributes(0, {.policy = 6, .times = {10'000'000, 30'000'000, 30'000'000}}), EPERM);
    CHECK(scheduler(0, SCHED_IDLE, 0) == 0);
    CHECK_ERRNO(scheduler(0, SCHED_OTHER, 0), EPERM);
    unsigned long first = 1;
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, roots, sizeof(first), &first), EPERM);
    CHECK(syscall(SYS_sched_setaffinity, 0, sizeof(first), &first) == 0);
    first = 0;
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(first), &first), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 9999999, sizeof(first), &first), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(first), 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 1, &first), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 9999999, 512, &first), ESRCH);
  });
}

void what_root_leaves() {
  aside([] {
    CHECK(scheduler(0, SCHED_FIFO, 5) == 0);
    become(kUser);
    CHECK(parameter(0, 5) == 0 && parameter(0, 3) == 0);  // lower is always allowed
    CHECK_ERRNO(parameter(0, 4), EPERM);
    CHECK_ERRNO(scheduler(0, SCHED_RR, 3), EPERM);
    CHECK(attributes(0, {.policy = SCHED_FIFO, .priority = 2}) == 0);
    CHECK_ERRNO(attributes(0, {.policy = SCHED_FIFO, .priority = 3}), EPERM);
    CHECK(scheduler(0, SCHED_OTHER, 0) == 0);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, 1), EPERM);
  });
}

void reset_on_fork() {
  constexpr int kReset = 0x4000'0000;
  aside([] {
    CHECK(setpriority(PRIO_PROCESS, 0, -3) == 0 && scheduler(0, SCHED_RR | kReset, 7) == 0);
    CHECK(sched_getscheduler(0) == (SCHED_RR | kReset) && attributes_of(0).flags == 1);
    CHECK(parameter(0, 6) == 0 && sched_getscheduler(0) == (SCHED_RR | kReset));
    aside([] {
      sched_param told;
      CHECK(sched_getscheduler(0) == SCHED_OTHER && sched_getparam(0, &told) == 0 &&
            told.sched_priority == 0);
      CHECK(priority(PRIO_PROCESS, 0) == 0);
    });
    CHECK(scheduler(0, SCHED_OTHER | kReset, 0) == 0 && priority(PRIO_PROCESS, 0) == -3);
    aside([] { CHECK(sched_getscheduler(0) == SCHED_OTHER && priority(PRIO_PROCESS, 0) == 0); });
    become(kUser);
    CHECK_ERRNO(scheduler(0, SCHED_OTHER, 0), EPERM);
    CHECK(scheduler(0, SCHED_OTHER | kReset, 0) == 0);
    CHECK_ERRNO(attributes(0, {.nice = 5}), EPERM);
    CHECK(attributes(0, {.flags = 1, .nice = 5}) == 0);
  });
  aside([] {
    CHECK(scheduler(0, SCHED_FIFO, 9) == 0);
    aside([] { CHECK(sched_getscheduler(0) == SCHED_FIFO); });
  });
}

void calls_that_make_no_sense() {
  aside([] {
    sched_param told;
    timespec slice;
    CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
    CHECK_ERRNO(sched_getscheduler(9999999), ESRCH);
    CHECK_ERRNO(sched_getparam(-1, &told), EINVAL);
    CHECK_ERRNO(sched_getparam(0, nullptr), EINVAL);
    CHECK_ERRNO(sched_getparam(9999999, &told), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_getparam, 0, 8), EFAULT);
    CHECK_ERRNO(sched_setparam(0, nullptr), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setparam, 0, 8), EFAULT);
    CHECK_ERRNO(parameter(-1, 0), EINVAL);
    CHECK_ERRNO(parameter(9999999, 0), ESRCH);
    CHECK_ERRNO(parameter(0, 1), EINVAL);
    CHECK_ERRNO(scheduler(0, 4, 0), EINVAL);
    CHECK_ERRNO(scheduler(0, 1000, 0), EINVAL);
    CHECK_ERRNO(scheduler(0, -1, 0), EINVAL);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, 0), EINVAL);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, 100), EINVAL);
    CHECK_ERRNO(scheduler(0, SCHED_FIFO, -1), EINVAL);
    CHECK_ERRNO(scheduler(0, SCHED_OTHER, 1), EINVAL);
    CHECK_ERRNO(scheduler(0, SCHED_BATCH, 1), EINVAL);
    CHECK_ERRNO(scheduler(9999999, SCHED_OTHER, 0), ESRCH);
    CHECK_ERRNO(sched_get_priority_max(1000), EINVAL);
    CHECK_ERRNO(sched_get_priority_min(-1), EINVAL);
    CHECK_ERRNO(sched_get_priority_min(4), EINVAL);
    for (const int policy : {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, 6}) {
      CHECK(sched_get_priority_max(policy) == 0 && sched_get_priority_min(policy) == 0);
    }
    for (const int policy : {SCHED_FIFO, SCHED_RR}) {
      CHECK(sched_get_priority_max(policy) == 99 && sched_get_priority_min(policy) == 1);
    }
    CHECK_ERRNO(sched_rr_get_interval(-1, &slice), EINVAL);
    CHECK_ERRNO(sched_rr_get_interval(9999999, &slice), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, 0, 8), EFAULT);
    CHECK(scheduler(0, SCHED_FIFO, 1) == 0 && sched_rr_get_interval(0, &slice) == 0);
    CHECK(slice.tv_sec == 0 && slice.tv_nsec == 0);
    CHECK(scheduler(0, SCHED_RR, 1) == 0 && sched_rr_get_interval(0, &slice) == 0 && slice.tv_nsec > 0);
  });
}

constexpr int io_value(int kind, int level) { return kind << 13 | level; }

void input_and_output() {
  aside([] {
    CHECK(io(1, 0) == 0);
    CHECK(set_io(1, 0, io_value(2, 5)) == 0 && io(1, 0) == io_value(2, 5));
    CHECK(set_io(1, 0, io_value(1, 3)) == 0 && io(1, 0) == io_value(1, 3));
    CHECK(set_io(1, 0, io_value(3, 0)) == 0 && io(1, 0) == io_value(3, 0));
    CHECK_ERRNO(set_io(1, 0, io_value(0, 1)), EINVAL);
    CHECK_ERRNO(set_io(1, 0, io_value(4, 0)), EINVAL);
    CHECK_ERRNO(set_io(1, 0, io_value(7, 0)), EINVAL);
    CHECK_ERRNO(set_io(0, 0, io_value(2, 0)), EINVAL);
    CHECK_ERRNO(set_io(4, 0, io_value(2, 0)), EINVAL);
    CHECK_ERRNO(set_io(1, 9999999, io_value(2, 0)), ESRCH);
    CHECK_ERRNO(set_io(3, 45678, io_value(2, 0)), ESRCH);
    CHECK_ERRNO(io(8, 0), EINVAL);
    CHECK_ERRNO(io(1, 9999999), ESRCH);
    const pid_t roots = sleeper();
    become(kUser);
    CHECK(setpgid(0, 0) == 0);
    CHECK_ERRNO(set_io(1, 0, io_value(1, 3)), EPERM);
    CHECK(set_io(1, 0, io_value(2, 6)) == 0 && set_io(1, 0, io_value(3, 0)) == 0);
    CHECK_ERRNO(set_io(1, roots, io_value(2, 0)), EPERM);
    CHECK(io(1, roots) == io_value(3, 0));  // which it has from its maker
    CHECK(set_io(2, 0, io_value(2, 1)) == 0 && io(2, 0) == io_value(2, 1) && io(3, 0) == io_value(2, 1));
    CHECK(set_io(1, 0, 0) == 0 && io(1, 0) == 0 && io(2, 0) == io_value(2, 4));
    CHECK(setpriority(PRIO_PROCESS, 0, 10) == 0 && io(2, 0) == io_value(2, 6));
  });
}

}  // namespace

int main() {
  check("nice values", nice_values);
  check("nice values of several", nice_values_of_several);
  check("policies of a user", policies_of_a_user);
  check("what root leaves", what_root_leaves);
  check("reset on fork", reset_on_fork);
  check("calls that make no sense", calls_that_make_no_sense);
  check("input and output", input_and_output);
  return finish();
}
