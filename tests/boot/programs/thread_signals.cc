// Signals in a process of several threads: who gets them, masks, faults, waiting, stopping, death.
#include <sys/mman.h>
#include <time.h>

#include "tests/boot/programs/signal_checks.h"
#include "tests/boot/programs/thread_checks.h"

namespace {

volatile pid_t g_taker;
void note_taker(int signal, siginfo_t* info, void*) {
  g_taker = tid();
  g_signal = signal;
  g_code = info->si_code;
  g_count = g_count + 1;
}
void block(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
}
void unblock(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  CHECK(pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0);
}
sigset_t set_of(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}
int tgkill_to(pid_t thread, int signal) {
  return static_cast<int>(syscall(SYS_tgkill, getpid(), thread, signal));
}

void to_one_thread() {
  static volatile pid_t other;
  static Flag done;
  install(SIGUSR1, note_taker, 0);
  auto body = [] {
    other = tid();
    done.await();
  };
  const pthread_t thread = start(body);
  while (other == 0) sched_yield();
  g_count = 0;
  CHECK(tgkill_to(other, SIGUSR1) == 0);
  while (g_count == 0) sched_yield();
  CHECK(g_taker == other && g_code == SI_TKILL);
  CHECK(syscall(SYS_tkill, tid(), SIGUSR1) == 0 && g_count == 2 && g_taker == tid());
  CHECK(pthread_kill(thread, SIGUSR1) == 0);
  while (g_count == 2) sched_yield();
  CHECK(g_taker == other);
  CHECK(tgkill_to(other, 0) == 0);
  CHECK_ERRNO(syscall(SYS_tgkill, 1 + getpid(), other, SIGUSR1), ESRCH);
  CHECK_ERRNO(syscall(SYS_tgkill, -1, other, SIGUSR1), EINVAL);
  CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 0, SIGUSR1), EINVAL);
  CHECK_ERRNO(tgkill_to(other, 65), EINVAL);
  CHECK_ERRNO(syscall(SYS_tkill, 0, SIGUSR1), EINVAL);
  // kill() by a thread's number means the process.
  CHECK(kill(other, SIGUSR1) == 0);
  while (g_count == 3) sched_yield();
  CHECK(g_code == SI_USER);
  done.set();
  join(thread);
  CHECK_ERRNO(tgkill_to(other, 0), ESRCH);
}

// A signal for the process goes to a thread that does not block it.
void to_whoever_takes_it() {
  static volatile pid_t other;
  static Flag done;
  block(SIGUSR1);
  auto body = [] {
    unblock(SIGUSR1);
    other = tid();
    done.await();
  };
  const pthread_t thread = start(body);
  while (other == 0) sched_yield();
  g_count = 0;
  CHECK(kill(getpid(), SIGUSR1) == 0);
  while (g_count == 0) sched_yield();
  CHECK(g_taker == other);
  done.set();
  join(thread);
  // Nobody: it stays, seen by sigpending, for the first who unblocks it.
  CHECK(kill(getpid(), SIGUSR1) == 0 && g_count == 1);
  sigset_t pending;
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
  static sigset_t seen;
  static volatile pid_t third;
  auto later = [] {
    third = tid();
    CHECK(sigpending(&seen) == 0);
    unblock(SIGUSR1);
  };
  join(start(later));
  CHECK(sigismember(&seen, SIGUSR1) == 1 && g_count == 2 && g_taker == third);
  unblock(SIGUSR1);
  CHECK(g_count == 2);
}

// What is pending for one thread is no other's.
void private_pending() {
  static volatile pid_t other;
  static Flag sent, looked;
  block(SIGUSR2);
  install(SIGUSR2, note_taker, 0);
  g_count = 0;
  auto body = [] {
    other = tid();
    sent.await();
    sigset_t pending;
    CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 1);
    looked.await();
    unblock(SIGUSR2);
    CHECK(g_count == 1 && g_taker == tid());
  };
  const pthread_t thread = start(body);
  while (other == 0) sched_yield();
  CHECK(tgkill_to(other, SIGUSR2) == 0);
  sent.set();
  sigset_t pending;
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR2) == 0);
  unblock(SIGUSR2);
  CHECK(g_count == 0);
  looked.set();
  join(thread);
}

void waiting_for_one() {
  static int got;
  static siginfo_t info;
  static volatile pid_t other;
  block(SIGUSR1);
  auto body = [] {
    other = tid();
    const sigset_t set = set_of(SIGUSR1);
    got = sigwaitinfo(&set, &info);
  };
  pthread_t thread = start(body);
  while (other == 0) sched_yield();
  await_thread_state(other, 'S');
  g_count = 0;
  CHECK(kill(getpid(), SIGUSR1) == 0);
  join(thread);
  CHECK(got == SIGUSR1 && info.si_pid == getpid() && g_count == 0);
  const sigset_t set = set_of(SIGUSR1);
  const timespec now = {};
  CHECK_ERRNO(sigtimedwait(&set, nullptr, &now), EAGAIN);
  CHECK(tgkill_to(tid(), SIGUSR1) == 0 && sigtimedwait(&set, &info, &now) == SIGUSR1);
  CHECK(info.si_code == SI_USER);  // so the C library says
  unblock(SIGUSR1);
}

// The thread that blocks a signal just before it takes it leaves it to another one.
void suspended() {
  static volatile pid_t other;
  block(SIGUSR1);
  auto body = [] {
    other = tid();
    sigset_t none;
    sigemptyset(&none);
    CHECK(sigsuspend(&none) == -1 && errno == EINTR);
  };
  const pthread_t thread = start(body);
  while (other == 0) sched_yield();
  await_thread_state(other, 'S');
  g_count = 0;
  CHECK(kill(getpid(), SIGUSR1) == 0);
  join(thread);
  CHECK(g_count == 1 && g_taker == other);
  unblock(SIGUSR1);
}

void* volatile g_at;
void skip_fault(int signal, siginfo_t* info, void* context) {
  g_signal = signal;
  g_taker = tid();
  g_at = info->si_addr;
  CHECK(mprotect(info->si_addr, 4096, PROT_READ | PROT_WRITE) == 0);
  (void)context;
}
void faults_are_ones_own() {
  static char* page;
  static pid_t other;
  page = static_cast<char*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  install(SIGSEGV, skip_fault, 0);
  auto body = [] {
    other = tid();
    *static_cast<volatile char*>(page) = 1;
  };
  join(start(body));
  CHECK(g_signal == SIGSEGV && g_taker == other && g_at == page);
  reset(SIGSEGV);
  munmap(page, 4096);
}

// Each thread has an alternate stack of its own, a new one none.
void alternate_stacks() {
  static char first[1 << 16], second[1 << 16];
  static char* volatile where[2];
  const stack_t mine = {.ss_sp = first, .ss_flags = 0, .ss_size = sizeof(first)};
  CHECK(sigaltstack(&mine, nullptr) == 0);
  install(
      SIGUSR1,
      [](int, siginfo_t*, void*) {
        char here;
        where[g_count] = &here;
        g_count = g_count + 1;
      },
      SA_ONSTACK);
  g_count = 0;
  raise(SIGUSR1);
  auto body = [] {
    stack_t old;
    CHECK(sigaltstack(nullptr, &old) == 0 && old.ss_flags == SS_DISABLE);
    const stack_t own = {.ss_sp = second, .ss_flags = 0, .ss_size = sizeof(second)};
    CHECK(sigaltstack(&own, nullptr) == 0);
    raise(SIGUSR1);
  };
  join(start(body));
  CHECK(where[0] >= first && where[0] < first + sizeof(first));
  CHECK(where[1] >= second && where[1] < second + sizeof(second));
  const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  CHECK(sigaltstack(&none, nullptr) == 0);
  install(SIGUSR1, note_taker, 0);
}

// A handler interrupts the call of the thread that runs it, no other's.
void interrupted_calls() {
  static int pipes[2];
  static volatile pid_t readers[2];
  static volatile int results[2];
  CHECK(pipe(pipes) == 0);
  auto reads = [](int which) {
    readers[which] = tid();
    char byte;
    results[which] = read(pipes[0], &byte, 1) == -1 ? errno : 0;
  };
  auto first = [&] { reads(0); };
  auto second = [&] { reads(1); };
  const pthread_t threads[2] = {start(first), start(second)};
  for (const volatile pid_t& reader : readers) {
    while (reader == 0) sched_yield();
    await_thread_state(reader, 'S');
  }
  CHECK(tgkill_to(readers[1], SIGUSR1) == 0);
  join(threads[1]);
  CHECK(results[1] == EINTR);
  CHECK(write(pipes[1], "x", 1) == 1);
  join(threads[0]);
  CHECK(results[0] == 0);
}

void death_takes_all() {
  int status = status_of_child([] {
    auto body = [] { raise(SIGTERM); };
    start(body);
    for (;;) pause();
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  status = status_of_child([] {
    auto body = [] { *static_cast<volatile int*>(nullptr) = 1; };
    start(body);
    for (;;) {
    }
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  // Blocked in every thread but ours, asleep, running, waiting for a child that never ends.
  status = status_of_child([] {
    auto runs = [] {
      for (;;) {
      }
    };
    auto sleeps = [] {
      for (;;) pause();
    };
    start(runs);
    start(sleeps);
    kill(getpid(), SIGKILL);
    for (;;) pause();
  });
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

void stop_and_go_on() {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    CHECK(setpgid(0, 0) == 0);  // not in an orphaned group, which SIGTSTP does not stop
    static int out;
    out = pipes[1];
    auto body = [] {
      for (;;) {
        const timespec nap = {0, 1'000'000};
        nanosleep(&nap, nullptr);
        if (write(out, "t", 1) != 1) _exit(1);
      }
    };
    start(body);
    auto sleeps = [] {
      for (;;) pause();
    };
    start(sleeps);
    for (;;) sched_yield();
  }
  close(pipes[1]);
  char byte;
  CHECK(read(pipes[0], &byte, 1) == 1);
  int status = 0;
  CHECK(kill(child, SIGSTOP) == 0);
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
  CHECK(waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
  // Nobody writes any more: what is there can be read away.
  char path[64], state = 0;
  snprintf(path, sizeof(path), "/proc/%d/stat", child);
  FILE* const file = fopen(path, "r");
  CHECK(file != nullptr && fscanf(file, "%*d %*s %c", &state) == 1 && state == 'T');
  fclose(file);
  CHECK(kill(child, SIGCONT) == 0);
  CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
  for (int i = 0; i < 3; ++i) CHECK(read(pipes[0], &byte, 1) == 1);
  // And once more, to be killed while stopped.
  CHECK(kill(child, SIGTSTP) == 0);
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTSTP);
  CHECK(kill(child, SIGKILL) == 0);
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  close(pipes[0]);
}

}  // namespace

int main() {
  check("to one thread", to_one_thread);
  check("to whoever takes it", to_whoever_takes_it);
  check("pending for one", private_pending);
  check("waiting for one", waiting_for_one);
  check("suspended", suspended);
  check("a fault is its thread's", faults_are_ones_own);
  check("alternate stacks", alternate_stacks);
  check("interrupted calls", interrupted_calls);
  check("death takes all", death_takes_all);
  check("stop and go on", stop_and_go_on);
  return finish();
}
