// What processor time was spent on and by whom, how often the processor was left, and faults: getrusage,
// times, wait4, /proc, the interval timers of processor time. The same on Linux.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/spending.h"

namespace {

constexpr long kMs = 1000;  // in microseconds

long us(const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; }
long clock_us(clockid_t clock) {
  timespec time;
  CHECK(clock_gettime(clock, &time) == 0);
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
}
rusage of(int who) {
  rusage usage;
  CHECK(getrusage(who, &usage) == 0);
  return usage;
}

// Spends so much processor time, nearly all of it in user mode, or nearly all in the kernel.
void compute(long microseconds) {
  const long end = clock_us(CLOCK_PROCESS_CPUTIME_ID) + microseconds;
  while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < end) {
    for (int i = 0; i < 100; ++i) spend_instructions();
  }
}
void call(long microseconds) {
  static char bytes[256 << 10];
  const int zero = open("/dev/zero", O_RDONLY);
  const long end = clock_us(CLOCK_PROCESS_CPUTIME_ID) + microseconds;
  while (clock_us(CLOCK_PROCESS_CPUTIME_ID) < end) CHECK(read(zero, bytes, sizeof(bytes)) > 0);
  close(zero);
}

void user_and_system() {
  const rusage start = of(RUSAGE_SELF);
  compute(100 * kMs);
  const rusage computed = of(RUSAGE_SELF);
  call(100 * kMs);
  const rusage called = of(RUSAGE_SELF);
  CHECK(us(computed.ru_utime) - us(start.ru_utime) > 50 * kMs);
  CHECK(us(computed.ru_stime) - us(start.ru_stime) < 50 * kMs);
  CHECK(us(called.ru_stime) - us(computed.ru_stime) > 50 * kMs);
  CHECK(us(called.ru_utime) - us(computed.ru_utime) < 50 * kMs);
  const rusage thread = of(RUSAGE_THREAD);
  CHECK(us(thread.ru_stime) > 50 * kMs && us(thread.ru_utime) > 50 * kMs);
  tms ticks;
  CHECK(times(&ticks) > 0 && ticks.tms_utime >= 5 && ticks.tms_stime >= 5);
  CHECK(ticks.tms_cutime == 0 && ticks.tms_cstime == 0);
}

void of_children() {
  const rusage before = of(RUSAGE_CHILDREN);
  CHECK(us(before.ru_utime) == 0 && us(before.ru_stime) == 0 && before.ru_maxrss == 0);
  fflush(stdout);
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    compute(60 * kMs);
    call(60 * kMs);
    _exit(0);
  }
  siginfo_t info;
  rusage seen;
  CHECK(syscall(SYS_waitid, P_PID, child, &info, WEXITED | WNOWAIT, &seen) == 0);
  CHECK(us(seen.ru_utime) > 30 * kMs && us(seen.ru_stime) > 30 * kMs);
  char path[32], text[512] = {};
  snprintf(path, sizeof(path), "/proc/%d/stat", static_cast<int>(child));
  const int file = open(path, O_RDONLY);
  CHECK(file >= 0 && read(file, text, sizeof(text) - 1) > 0 && close(file) == 0);
  long user = 0, system = 0;
  CHECK(sscanf(strrchr(text, ')') + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld", &user,
               &system) == 2);
  CHECK(user >= 3 && system >= 3);
  tms ticks;
  CHECK(times(&ticks) > 0 && ticks.tms_cutime == 0 && ticks.tms_cstime == 0);  // not waited for yet
  int status = 1;
  rusage told;
  CHECK(wait4(child, &status, 0, &told) == child && status == 0);
  CHECK(us(told.ru_utime) == us(seen.ru_utime) && us(told.ru_stime) == us(seen.ru_stime));
  CHECK(times(&ticks) > 0 && ticks.tms_cutime >= 3 && ticks.tms_cstime >= 3);
  const rusage after = of(RUSAGE_CHILDREN);
  CHECK(us(after.ru_utime) >= us(told.ru_utime) && us(after.ru_stime) >= us(told.ru_stime) &&
        after.ru_maxrss > 0);
}

void a_fork_begins_anew() {
  CHECK(WEXITSTATUS(status_of_child([] {
          const rusage own = of(RUSAGE_SELF), children = of(RUSAGE_CHILDREN);
          _exit(us(own.ru_utime) + us(own.ru_stime) < 50 * kMs && us(children.ru_utime) == 0 ? 7 : 1);
        })) == 7);
}

volatile sig_atomic_t g_rang = 0;

long left(__itimer_which timer) {
  itimerval now;
  CHECK(getitimer(timer, &now) == 0);
  return us(now.it_value);
}

void interval_timers() {
  signal(SIGPROF, [](int) { g_rang = g_rang + 1; });
  signal(SIGVTALRM, [](int) { g_rang = g_rang + 1; });
  const itimerval in{{0, 0}, {2, 0}};
  CHECK(setitimer(ITIMER_VIRTUAL, &in, nullptr) == 0 && setitimer(ITIMER_PROF, &in, nullptr) == 0);
  call(150 * kMs);
  CHECK(left(ITIMER_VIRTUAL) > 1900 * kMs && left(ITIMER_PROF) < 1900 * kMs);
  compute(150 * kMs);
  CHECK(left(ITIMER_VIRTUAL) < 1900 * kMs && left(ITIMER_PROF) < 1750 * kMs && g_rang == 0);
  const itimerval never{}, soon{{0, 0}, {0, 40 * kMs}};
  CHECK(setitimer(ITIMER_VIRTUAL, &never, nullptr) == 0 && setitimer(ITIMER_PROF, &soon, nullptr) == 0);
  const timespec pause{0, 200'000'000};
  CHECK(nanosleep(&pause, nullptr) == 0 && g_rang == 0);  // time asleep does not count
  compute(100 * kMs);
  CHECK(g_rang == 1);
  CHECK(setitimer(ITIMER_VIRTUAL, &soon, nullptr) == 0);
  compute(200 * kMs);
  CHECK(g_rang == 2);
}

void switches() {
  const rusage before = of(RUSAGE_THREAD);
  const timespec moment{0, 1000};
  for (int i = 0; i < 10; ++i) CHECK(nanosleep(&moment, nullptr) == 0);
  const rusage after = of(RUSAGE_THREAD);
  CHECK(after.ru_nvcsw - before.ru_nvcsw >= 10 && after.ru_nvcsw - before.ru_nvcsw < 15);

  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  CHECK(sched_setaffinity(0, sizeof(first), &first) == 0);
  fflush(stdout);
  const pid_t rival = fork();
  CHECK(rival >= 0);
  if (rival == 0) {
    for (;;) compute(100 * kMs);
  }
  compute(200 * kMs);
  const rusage contended = of(RUSAGE_SELF);
  CHECK(contended.ru_nivcsw > after.ru_nivcsw);
  int status;
  rusage of_rival;
  CHECK(kill(rival, SIGKILL) == 0 && wait4(rival, &status, 0, &of_rival) == rival && of_rival.ru_nivcsw > 0);

  FILE* const file = fopen("/proc/self/status", "r");
  CHECK(file != nullptr);
  char line[256];
  long voluntary = -1, involuntary = -1;
  while (fgets(line, sizeof(line), file) != nullptr) {
    sscanf(line, "voluntary_ctxt_switches: %ld", &voluntary);
    sscanf(line, "nonvoluntary_ctxt_switches: %ld", &involuntary);
  }
  fclose(file);
  CHECK(voluntary >= after.ru_nvcsw && involuntary >= contended.ru_nivcsw);
}

// The nicer of two that want the processor has less of it.
void nice_shares() {
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  CHECK(sched_setaffinity(0, sizeof(first), &first) == 0);
  fflush(stdout);
  pid_t rivals[2];
  for (int i = 0; i < 2; ++i) {
    rivals[i] = fork();
    CHECK(rivals[i] >= 0);
    if (rivals[i] == 0) {
      CHECK(setpriority(PRIO_PROCESS, 0, 10 * i) == 0);
      for (;;) compute(100 * kMs);
    }
  }
  const timespec while_they_run{0, 400'000'000};
  CHECK(nanosleep(&while_they_run, nullptr) == 0);
  long spent[2];
  for (int i = 0; i < 2; ++i) CHECK(kill(rivals[i], SIGSTOP) == 0);
  for (int i = 0; i < 2; ++i) {
    int status;
    rusage usage;
    CHECK(kill(rivals[i], SIGKILL) == 0 && wait4(rivals[i], &status, 0, &usage) == rivals[i]);
    spent[i] = us(usage.ru_utime) + us(usage.ru_stime);
  }
  CHECK(spent[0] > 3 * spent[1] && spent[1] > 0);
}

void faults() {
  const rusage before = of(RUSAGE_SELF);
  constexpr long kPages = 300, kPageBytes = 4096;
  char* const memory = static_cast<char*>(
      mmap(nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(memory != MAP_FAILED);
  for (long i = 0; i < kPages; ++i) memory[i * kPageBytes] = 1;
  const rusage after = of(RUSAGE_SELF);
  CHECK(after.ru_minflt - before.ru_minflt >= kPages && after.ru_minflt - before.ru_minflt < 2 * kPages);
  CHECK(after.ru_majflt == before.ru_majflt && after.ru_nswap == 0);
}

void refused() {
  rusage usage;
  CHECK_ERRNO(syscall(SYS_getrusage, 2, &usage), EINVAL);
  CHECK_ERRNO(syscall(SYS_getrusage, -2, &usage), EINVAL);
  CHECK_ERRNO(syscall(SYS_getrusage, -2, 8), EINVAL);
  CHECK_ERRNO(syscall(SYS_getrusage, 0, 8), EFAULT);
  CHECK_ERRNO(syscall(SYS_times, 8), EFAULT);
  CHECK(syscall(SYS_times, nullptr) > 0);
  CHECK_ERRNO(syscall(SYS_setitimer, 3, nullptr, nullptr), EINVAL);
  CHECK_ERRNO(syscall(SYS_getitimer, 3, &usage), EINVAL);
  CHECK_ERRNO(syscall(SYS_getitimer, -1, &usage), EINVAL);
  CHECK_ERRNO(syscall(SYS_getitimer, ITIMER_VIRTUAL, 8), EFAULT);
}

}  // namespace

int main() {
  check("user and system time", user_and_system);
  check("of children, when they were waited for", of_children);
  check("a fork begins anew", a_fork_begins_anew);
  check("timers of user time and of all", interval_timers);
  check("switches", switches);
  check("shares by nice value", nice_shares);
  check("faults", faults);
  check("refused", refused);
  return finish();
}
