// timer_create and its kin; setitimer by processor time.
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

#include <initializer_list>

#include "tests/boot/programs/signal_checks.h"

namespace {

void print(const char* what, long result) {
  printf("%s %ld errno %d\n", what, result, result < 0 ? errno : 0);
  errno = 0;
}

void* const kNowhere = reinterpret_cast<void*>(16);

void errors() {
  int id = 0;
  sigevent event = {};
  for (const int clock : {-1, 4, 5, 6, 10, 12, 99}) {
    printf("clock %d: ", clock);
    print("create", syscall(SYS_timer_create, clock, nullptr, &id));
  }
  const struct {
    int notify, signal;
  } kinds[] = {{3, SIGUSR1},     {SIGEV_SIGNAL, 0},          {SIGEV_SIGNAL, 65},     {SIGEV_SIGNAL, -1},
               {SIGEV_NONE, 99}, {SIGEV_THREAD_ID, SIGUSR1}, {SIGEV_THREAD, SIGUSR1}};
  for (const auto& kind : kinds) {
    event.sigev_notify = kind.notify;
    event.sigev_signo = kind.signal;
    printf("notify %d signal %d: ", kind.notify, kind.signal);
    print("create", syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
  }
  print("event nowhere", syscall(SYS_timer_create, CLOCK_MONOTONIC, kNowhere, &id));
  print("id nowhere", syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, kNowhere));
  CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, nullptr, &id) == 0);
  itimerspec spec = {};
  print("no setting", syscall(SYS_timer_settime, id, 0, nullptr, nullptr));
  print("setting nowhere", syscall(SYS_timer_settime, id, 0, kNowhere, nullptr));
  print("old nowhere", syscall(SYS_timer_settime, id, 0, &spec, kNowhere));
  print("no timer", syscall(SYS_timer_settime, 9999, 0, &spec, nullptr));
  spec.it_value.tv_nsec = 1'000'000'000;
  print("too many ns", syscall(SYS_timer_settime, id, 0, &spec, nullptr));
  spec.it_value = {-1, 0};
  print("negative", syscall(SYS_timer_settime, id, 0, &spec, nullptr));
  print("gettime of none", syscall(SYS_timer_gettime, 9999, &spec));
  print("gettime nowhere", syscall(SYS_timer_gettime, id, kNowhere));
  print("overrun of none", syscall(SYS_timer_getoverrun, -2));
  print("delete none", syscall(SYS_timer_delete, -1));
  print("delete", syscall(SYS_timer_delete, id));
  print("delete again", syscall(SYS_timer_delete, id));
}

void fires(int clock, int signal, int flags) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = signal;
  event.sigev_value.sival_int = 7;
  timer_t timer;
  CHECK(timer_create(clock, &event, &timer) == 0);
  itimerspec spec = {{0, 0}, {0, 20'000'000}}, now;
  if (flags != 0) {
    timespec at;
    CHECK(clock_gettime(clock, &at) == 0);
    spec.it_value.tv_sec = at.tv_sec;
    spec.it_value.tv_nsec = at.tv_nsec;  // that is now
  }
  CHECK(timer_settime(timer, flags, &spec, nullptr) == 0);
  siginfo_t info;
  const bool cpu = clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
  sigset_t pending;
  do {
    CHECK(sigpending(&pending) == 0);
  } while (cpu && sigismember(&pending, signal) == 0);
  CHECK(sigwaitinfo(&set, &info) == signal);
  CHECK(timer_gettime(timer, &now) == 0);
  printf("clock %d: code %d value %d overrun %d left %ld %ld\n", clock, info.si_code, info.si_value.sival_int,
         info.si_overrun, now.it_value.tv_sec, now.it_value.tv_nsec);
  spec = {{0, 1'000'000}, {0, 1'000'000}};
  CHECK(timer_settime(timer, 0, &spec, nullptr) == 0);
  timespec begin, end;
  CHECK(clock_gettime(clock, &begin) == 0);
  do {
    CHECK(clock_gettime(clock, &end) == 0);
  } while ((end.tv_sec - begin.tv_sec) * 1'000'000'000L + end.tv_nsec - begin.tv_nsec < 50'000'000);
  CHECK(sigwaitinfo(&set, &info) == signal);
  printf("many overruns %d\n", info.si_overrun > 5 && info.si_overrun == timer_getoverrun(timer));
  CHECK(timer_delete(timer) == 0);
  const timespec none = {};
  printf("after delete: ");
  print("sigtimedwait", sigtimedwait(&set, nullptr, &none));
}

void cpu_alarms() {
  const struct {
    int which, signal;
  } kinds[] = {{ITIMER_VIRTUAL, SIGVTALRM}, {ITIMER_PROF, SIGPROF}};
  for (const auto& kind : kinds) {
    install(kind.signal, count, 0);
    g_count = 0;
    const itimerval setting = {{0, 10'000}, {0, 10'000}}, off = {};
    itimerval old;
    CHECK(setitimer(kind.which, &setting, nullptr) == 0);
    while (g_count < 3) {
    }
    CHECK(setitimer(kind.which, &off, &old) == 0);
    printf("interval %ld armed %d signal %d code %d\n", old.it_interval.tv_usec, old.it_value.tv_usec > 0,
           g_signal, g_code);
    CHECK(getitimer(kind.which, &old) == 0 && old.it_value.tv_usec == 0);
  }
  const itimerval bad = {{0, 1'000'000}, {0, 0}};
  print("usec", setitimer(ITIMER_PROF, &bad, nullptr));
  print("which", syscall(SYS_setitimer, 3, &bad, nullptr));
  print("which", syscall(SYS_getitimer, -1, kNowhere));
}

// What is kept of those that are not armed, and of one whose predecessor has no place.
void alarms_without_value() {
  const auto show = [](__itimer_which which) {
    itimerval now;
    CHECK(getitimer(which, &now) == 0);
    printf(" %ld.%06ld%s", now.it_interval.tv_sec, now.it_interval.tv_usec,
           now.it_value.tv_sec + now.it_value.tv_usec != 0 ? " armed" : "");
  };
  for (const __itimer_which which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
    const itimerval off = {}, interval = {{10, 20}, {0, 0}}, both = {{10, 20}, {100, 0}};
    printf("timer %d:", which);
    CHECK(setitimer(which, &interval, nullptr) == 0);
    show(which);
    CHECK_ERRNO(syscall(SYS_setitimer, which, &both, 8), EFAULT);
    show(which);
    itimerval old;
    CHECK(setitimer(which, &interval, &old) == 0 && old.it_interval.tv_sec == 10);
    show(which);
    CHECK(setitimer(which, &off, nullptr) == 0);
    show(which);
    printf("\n");
  }
}

}  // namespace

int main() {
  check("errors", errors);
  check("realtime", [] { fires(CLOCK_REALTIME, SIGUSR1, 0); });
  check("monotonic", [] { fires(CLOCK_MONOTONIC, SIGRTMIN + 1, 0); });
  check("absolute", [] { fires(CLOCK_MONOTONIC, SIGALRM, TIMER_ABSTIME); });
  check("boottime", [] { fires(CLOCK_BOOTTIME, SIGRTMIN + 2, 0); });
  check("process time", [] { fires(CLOCK_PROCESS_CPUTIME_ID, SIGUSR2, 0); });
  check("thread time", [] { fires(CLOCK_THREAD_CPUTIME_ID, SIGRTMIN + 3, 0); });
  check("cpu_alarms", cpu_alarms);
  check("alarms without a value", alarms_without_value);
  return finish();
}
