// Signals of real time in their order and with their values, rt_sigqueueinfo, SS_AUTODISARM, what parents
// learn of stopping, orphaned groups, turns.
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/signal_checks.h"

namespace {

void print(const char* what, long result) {
  printf("%s %ld errno %d\n", what, result, result < 0 ? errno : 0);
  errno = 0;
}

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

void seen(int signal, siginfo_t* info, void*) {
  printf("signal %d code %d errno %d value %d from %s uid %u\n", signal, info->si_code, info->si_errno,
         info->si_value.sival_int, info->si_pid == getpid() ? "me" : "other", info->si_uid);
}

void order() {
  const sigset_t all = set_of({SIGUSR1, SIGRTMIN + 1, SIGRTMIN + 2});
  for (const int signal : {SIGUSR1, SIGRTMIN + 1, SIGRTMIN + 2}) install(signal, seen, 0);
  CHECK(sigprocmask(SIG_BLOCK, &all, nullptr) == 0);
  for (int i = 0; i < 3; ++i) {
    CHECK(sigqueue(getpid(), SIGRTMIN + 2, {.sival_int = 20 + i}) == 0);
    CHECK(sigqueue(getpid(), SIGRTMIN + 1, {.sival_int = 10 + i}) == 0);
    CHECK(sigqueue(getpid(), SIGUSR1, {.sival_int = i}) == 0);
  }
  CHECK(kill(getpid(), SIGRTMIN + 1) == 0 && raise(SIGRTMIN + 1) == 0);
  siginfo_t info;
  const sigset_t one = set_of({SIGRTMIN + 1});
  CHECK(sigwaitinfo(&one, &info) == SIGRTMIN + 1);
  seen(SIGRTMIN + 1, &info, nullptr);
  sigset_t pending;
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN + 1) == 1);
  CHECK(sigprocmask(SIG_UNBLOCK, &all, nullptr) == 0);
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGRTMIN + 1) == 0);
  CHECK(sigprocmask(SIG_BLOCK, &one, nullptr) == 0);
  CHECK(raise(SIGRTMIN + 1) == 0 && raise(SIGRTMIN + 1) == 0);
  signal(SIGRTMIN + 1, SIG_IGN);  // forgets what is pending
  install(SIGRTMIN + 1, seen, 0);
  CHECK(sigprocmask(SIG_UNBLOCK, &one, nullptr) == 0);
}

void queue_info() {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  siginfo_t info = {};
  const auto queue = [&](pid_t pid, int signal, int code) {
    info.si_code = code;
    return syscall(SYS_rt_sigqueueinfo, pid, signal, &info);
  };
  print("code 0 to other", queue(child, 0, SI_USER));
  print("tkill's to other", queue(child, 0, SI_TKILL));
  print("queue's to other", queue(child, 0, SI_QUEUE));
  print("signal 65", queue(child, 65, SI_QUEUE));
  print("nobody", queue(999'999, 0, SI_QUEUE));
  print("nowhere", syscall(SYS_rt_sigqueueinfo, child, 0, nullptr));
  info.si_errno = 7;
  info.si_value.sival_int = 42;
  print("code 0 to me", queue(getpid(), SIGUSR1, SI_USER));
  print("code -60 to me", queue(getpid(), SIGUSR1, SI_ASYNCNL));
  info.si_code = SI_QUEUE;
  print("thread", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info));
  print("thread 0", syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info));
  print("group 0", syscall(SYS_rt_tgsigqueueinfo, 0, gettid(), SIGUSR1, &info));
  print("other group", syscall(SYS_rt_tgsigqueueinfo, child, gettid(), SIGUSR1, &info));
  print("signal 65", syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), 65, &info));
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  const rlimit none = {0, 4096};
  status_of_child([&] {
    CHECK(setrlimit(RLIMIT_SIGPENDING, &none) == 0);
    print("queue without room", sigqueue(getpid(), SIGRTMIN + 2, {.sival_int = 1}));
    print("kill without room", kill(getpid(), SIGRTMIN + 2));
    fflush(stdout);
  });
}

stack_t g_inside;
void look(int) { CHECK(sigaltstack(nullptr, &g_inside) == 0); }

void stacks() {
  static char memory[65'536];
  stack_t stack = {.ss_sp = memory, .ss_flags = 0, .ss_size = sizeof(memory)};
  const auto put = [&](int flags, size_t bytes) {
    stack.ss_flags = flags;
    stack.ss_size = bytes;
    return sigaltstack(&stack, nullptr);
  };
  print("small", put(0, 2047));
  print("flags", put(4, sizeof(memory)));
  print("nowhere", sigaltstack(reinterpret_cast<stack_t*>(16), nullptr));
  constexpr int kAutodisarm = int(1U << 31);
  struct sigaction action = {};
  action.sa_handler = look;
  action.sa_flags = SA_ONSTACK;
  CHECK(sigaction(SIGUSR2, &action, nullptr) == 0);
  for (const int flags : {0, int{SS_ONSTACK}, kAutodisarm, int(kAutodisarm | SS_ONSTACK), int{SS_DISABLE},
                          int(kAutodisarm | SS_DISABLE)}) {
    print("set", put(flags, sizeof(memory)));
    CHECK(raise(SIGUSR2) == 0);
    stack_t after;
    CHECK(sigaltstack(nullptr, &after) == 0);
    printf("flags %x inside %x %zu after %x %zu\n", flags, g_inside.ss_flags, g_inside.ss_size,
           after.ss_flags, after.ss_size);
  }
  struct sigaction old;
  action.sa_flags = 0x7fff'ffff & ~SA_RESETHAND;
  CHECK(sigaction(SIGUSR2, &action, nullptr) == 0 && sigaction(SIGUSR2, nullptr, &old) == 0);
  printf("action flags %x\n", old.sa_flags);
}

void on_child(int, siginfo_t* info, void*) {
  g_code = info->si_code;
  g_signal = info->si_status;
  g_count = g_count + 1;
}

void await_child() {
  const sigset_t none = set_of({});
  sigsuspend(&none);
  printf("child code %d status %d uid %u\n", g_code, g_signal, 0U);
}

void parents() {
  const sigset_t child_set = set_of({SIGCHLD});
  CHECK(sigprocmask(SIG_BLOCK, &child_set, nullptr) == 0);
  install(SIGCHLD, on_child, 0);
  const pid_t child = fork();
  if (child == 0) {
    CHECK(sigprocmask(SIG_UNBLOCK, &child_set, nullptr) == 0);
    for (;;) pause();
  }
  kill(child, SIGSTOP);
  await_child();
  kill(child, SIGCONT);
  await_child();
  int status;
  CHECK(waitpid(child, &status, WUNTRACED | WCONTINUED) == child && WIFCONTINUED(status));
  kill(child, SIGKILL);
  await_child();
  CHECK(waitpid(child, &status, 0) == child);
  install(SIGCHLD, on_child, SA_NOCLDSTOP);
  g_count = 0;
  const pid_t quiet = fork();
  if (quiet == 0) {
    for (;;) pause();
  }
  kill(quiet, SIGSTOP);
  CHECK(waitpid(quiet, &status, WUNTRACED) == quiet && WSTOPSIG(status) == SIGSTOP);
  kill(quiet, SIGCONT);
  CHECK(waitpid(quiet, &status, WCONTINUED) == quiet);
  kill(quiet, SIGKILL);
  CHECK(waitpid(quiet, &status, 0) == quiet);
  sigset_t pending;
  const timespec now = {};
  CHECK(sigtimedwait(&child_set, nullptr, &now) == SIGCHLD);
  CHECK(sigpending(&pending) == 0);
  printf("handled while stops are not told: %d\n", g_count);
  CHECK(sigprocmask(SIG_UNBLOCK, &child_set, nullptr) == 0);
  reset(SIGCHLD);
}

void groups() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  // A group that nobody outside cares for does not stop for the terminal's signals.
  status_of_child([&] {
    CHECK(setsid() > 0);
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    raise(SIGTTIN);
    printf("an orphaned group goes on\n");
    fflush(stdout);
    print("a leader's setsid", setsid());
    print("a leader's setpgid", setpgid(0, 0));
    // One that loses its last tie while it is stopped learns of it.
    const pid_t middle = fork();
    if (middle == 0) {
      const pid_t last = fork();
      if (last == 0) {
        setpgid(0, 0);
        install(
            SIGHUP,
            [](int, siginfo_t* info, void*) {
              char text[] = "hangup code 0x00\n";
              text[14] = char('0' + info->si_code / 16);
              write(1, text, sizeof(text) - 1);
            },
            0);
        raise(SIGSTOP);
        write(1, "went on\n", 8);
        write(ends[1], "x", 1);
        _exit(0);
      }
      int status;
      CHECK(waitpid(last, &status, WUNTRACED) == last && WIFSTOPPED(status));
      fflush(stdout);
      _exit(0);
    }
    char byte;
    CHECK(waitpid(middle, nullptr, 0) == middle && read(ends[0], &byte, 1) == 1);
    fflush(stdout);
  });
  // After exec a child's group is its own affair.
  int ready[2], go[2];
  CHECK(pipe(ready) == 0 && pipe(go) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(go[0], 0);
    dup2(ready[1], 1);
    execl("/proc/self/exe", "signal_queue", "wait", nullptr);
    _exit(1);
  }
  char byte;
  CHECK(read(ready[0], &byte, 1) == 1);
  print("setpgid of a child after exec", setpgid(child, child));
  CHECK(write(go[1], "x", 1) == 1 && waitpid(child, nullptr, 0) == child);
}

// On one processor: who sleeps has its turn soon after it was sent a signal, by who never sleeps.
void turns() {
  cpu_set_t all, one;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
  void* const page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  auto* const sent = static_cast<volatile long*>(page);
  install(SIGUSR1, count, 0);
  g_count = 0;
  const pid_t parent = getpid(), child = fork();
  CHECK(child >= 0);
  while (child == 0) {
    kill(parent, SIGUSR1);
    *sent = *sent + 1;
  }
  constexpr int kSignals = 2000;
  while (g_count < kSignals) pause();
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  CHECK(*sent < 100L * kSignals);
  reset(SIGUSR1);
  CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
}

}  // namespace

int main(int argc, char**) {
  if (argc > 1) {
    char byte = 'x';
    return write(1, &byte, 1) == 1 && read(0, &byte, 1) == 1 ? 0 : 1;
  }
  setvbuf(stdout, nullptr, _IONBF, 0);
  check("order", order);
  check("queue_info", queue_info);
  check("stacks", stacks);
  check("parents", parents);
  check("groups", groups);
  check("turns", turns);
  return finish();
}
