// ptrace(2): what stops a tracee, how it goes on, and what its tracer hears of it. Prints the same on Linux.
#include <time.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

volatile int g_handled = 0;
void handler(int signal) { g_handled = signal; }

void signals() {
  const pid_t child = traced([] {
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    signal(SIGUSR2, handler);
    raise(SIGUSR2);
    printf("the handler saw %d\n", g_handled);
    g_handled = 0;
    raise(SIGUSR2);
    printf("then %d\n", g_handled);
    raise(SIGUSR1);
    printf("then %d\n", g_handled);
    raise(SIGCHLD);
    raise(SIGTERM);
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "an ignored signal");
  print_info("its information", child);
  CHECK(trace(PTRACE_CONT, child, 0, SIGUSR1) == 0);
  next_of(child, "one with a handler");
  CHECK(trace(PTRACE_CONT, child, 0, SIGUSR2) == 0);
  next_of(child, "one that is dropped");
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "one that becomes another");
  CHECK(trace(PTRACE_CONT, child, 0, SIGUSR2) == 0);
  next_of(child, "one that is ignored unless asked");
  CHECK(trace(PTRACE_CONT, child, 0, SIGCHLD) == 0);
  next_of(child, "one that ends it");
  print_errno("a signal that is none", trace(PTRACE_CONT, child, 0, 65));
  CHECK(trace(PTRACE_CONT, child, 0, SIGTERM) == 0);
  next_of(child, "the end");
}

void each_signal() {
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == 32 || signal == 33) continue;
    const pid_t child = untraced([signal] {
      CHECK(trace(PTRACE_TRACEME, 0) == 0);
      kill(getpid(), signal);
      _exit(2);
    });
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (signal == SIGKILL) {
      CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    } else {
      CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == signal);
      end_of(child);
    }
  }
  printf("each signal but SIGKILL stops\n");
}

// A stopped tracee dies at once, whatever holds it.
void killed_in_a_stop() {
  const pid_t child = traced([] {});
  kill(child, SIGTERM);
  int status = 0;
  CHECK(waitpid(child, &status, WNOHANG) == 0);
  kill(child, SIGKILL);
  next_of(child, "killed in a stop");
}

void attached() {
  const pid_t child = untraced([] {
    for (;;) pause();
  });
  await_state(child, 'S');
  CHECK(trace(PTRACE_ATTACH, child) == 0);
  next_of(child, "attached", 0);
  print_info("its information", child);
  CHECK(trace(PTRACE_CONT, child) == 0);
  await_state(child, 'S');
  kill(child, SIGSTOP);
  next_of(child, "sent SIGSTOP");
  print_info("its information", child);
  CHECK(trace(PTRACE_CONT, child, 0, SIGSTOP) == 0);
  next_of(child, "stopped as a group");
  print_info("its information", child);
  await_state(child, 't');
  CHECK(trace(PTRACE_CONT, child) == 0);
  await_state(child, 'S');
  print_errno("let go while it runs", trace(PTRACE_DETACH, child));
  kill(child, SIGUSR1);
  next_of(child, "sent SIGUSR1");
  print_errno("let go", trace(PTRACE_DETACH, child));
  await_state(child, 'T');
  int status = 0;
  kill(child, SIGCONT);
  await_state(child, 'S');
  CHECK(waitpid(child, &status, WNOHANG) == 0);
  end_of(child);
}

void attached_to_a_stopped_one() {
  const pid_t child = untraced([] {
    raise(SIGSTOP);
    for (;;) pause();
  });
  next_of(child, "stopped", WUNTRACED);
  CHECK(trace(PTRACE_ATTACH, child) == 0);
  print_errno("a word at once", trace(PTRACE_POKEUSER, child, offsetof(struct user, u_debugreg[6]), 0ul));
  int status = 0;
  CHECK(waitpid(child, &status, WNOHANG) == child);
  print_status("without waiting", status);
  CHECK(trace(PTRACE_DETACH, child) == 0);
  kill(child, SIGCONT);
  await_state(child, 'S');
  end_of(child);
}

void let_go_with_a_signal() {
  const pid_t child = traced([] { pause(); });
  CHECK(trace(PTRACE_DETACH, child, 0, SIGTERM) == 0);
  next_of(child, "let go with SIGTERM");
}

void seized() {
  const pid_t child = untraced([] {
    setpgid(0, 0);  // a group that could be made to go on, so that SIGTSTP stops it
    for (;;) pause();
  });
  await_state(child, 'S');
  print_errno("with an address", trace(PTRACE_SEIZE, child, 1));
  print_errno("with unknown options", trace(PTRACE_SEIZE, child, 0, 1ul << 30));
  CHECK(trace(PTRACE_SEIZE, child) == 0);
  int status = 0;
  CHECK(waitpid(child, &status, WNOHANG | __WALL) == 0);
  print_errno("listen while it runs", trace(PTRACE_LISTEN, child));
  CHECK(trace(PTRACE_INTERRUPT, child) == 0);
  next_of(child, "interrupted");
  print_info("its information", child);
  CHECK(trace(PTRACE_CONT, child) == 0);
  await_state(child, 'S');
  kill(child, SIGTSTP);
  next_of(child, "sent SIGTSTP");
  print_errno("listen at a signal", trace(PTRACE_LISTEN, child));
  CHECK(trace(PTRACE_CONT, child, 0, SIGTSTP) == 0);
  next_of(child, "stopped as a group");
  print_info("its information", child);
  CHECK(trace(PTRACE_LISTEN, child) == 0);
  print_errno("a request while it listens", trace(PTRACE_PEEKUSER, child));
  CHECK(waitpid(child, &status, WNOHANG | __WALL) == 0);
  kill(child, SIGCONT);
  next_of(child, "sent SIGCONT");
  print_info("its information", child);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "then");
  CHECK(trace(PTRACE_CONT, child, 0, SIGCONT) == 0);
  await_state(child, 'S');
  CHECK(trace(PTRACE_INTERRUPT, child) == 0);
  next_of(child, "interrupted again");
  CHECK(trace(PTRACE_DETACH, child) == 0);
  await_state(child, 'S');
  end_of(child);
}

// What a wait tells of a tracee's stop, and SIGCHLD.
void waits() {
  const pid_t child = traced([] {
    raise(SIGUSR1);
    _exit(3);
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  siginfo_t info;
  memset(&info, 0, sizeof(info));
  CHECK(waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
  printf("waitid: code %d status %d\n", info.si_code, info.si_status);
  memset(&info, 0, sizeof(info));
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0);
  printf("again: code %d status %d\n", info.si_code, info.si_status);
  memset(&info, 0, sizeof(info));
  CHECK(waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG) == 0);
  printf("once more: code %d\n", info.si_code);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end", 0);

  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
  const struct timespec no_time = {0, 0};
  while (sigtimedwait(&set, nullptr, &no_time) > 0) {
  }
  const pid_t second = traced([] {});
  CHECK(sigwaitinfo(&set, &info) == SIGCHLD);
  printf("SIGCHLD: code %d status %d\n", info.si_code, info.si_status);
  CHECK(trace(PTRACE_CONT, second) == 0);
  CHECK(sigwaitinfo(&set, &info) == SIGCHLD);
  printf("SIGCHLD: code %d status %d\n", info.si_code, info.si_status);
  next_of(second, "the end", 0);
  CHECK(sigprocmask(SIG_UNBLOCK, &set, nullptr) == 0);
}

// A call that waits goes on after a stop.
void interrupted_calls() {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  const pid_t child = untraced([&] {
    char byte = 0;
    const ssize_t got = read(pipes[0], &byte, 1);
    printf("read: %zd %d\n", got, byte);
    const struct timespec soon = {0, 20'000'000};
    printf("nanosleep: %d\n", nanosleep(&soon, nullptr));
  });
  await_state(child, 'S');
  CHECK(trace(PTRACE_SEIZE, child) == 0);
  CHECK(trace(PTRACE_INTERRUPT, child) == 0);
  next_of(child, "in read");
  struct user_regs_struct registers;
  CHECK(trace(PTRACE_GETREGS, child, 0, &registers) == 0);
  printf("call %lld, result %lld\n", static_cast<long long>(registers.orig_rax),
         static_cast<long long>(registers.rax));
  CHECK(trace(PTRACE_CONT, child) == 0);
  await_state(child, 'S');
  CHECK(write(pipes[1], "\7", 1) == 1);
  next_of(child, "the end");
}

// What a tracer resumed with is delivered though it ends at once.
void resumed_for_the_last_time() {
  int go[2];
  CHECK(pipe(go) == 0);
  const pid_t child = untraced([&] {
    struct sigaction action = {};
    action.sa_handler = handler;
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    g_handled = 0;
    char byte;
    CHECK(read(go[0], &byte, 1) == (g_handled == 0 ? 1 : -1));
    _exit(g_handled);
  });
  await_state(child, 'S');
  const pid_t tracer = untraced([&] {
    CHECK(trace(PTRACE_SEIZE, child) == 0);
    kill(child, SIGUSR1);
    next_of(child, "sent SIGUSR1");
    CHECK(trace(PTRACE_CONT, child, 0, SIGUSR1) == 0);
    _exit(0);
  });
  next_of(tracer, "the tracer ends");
  CHECK(write(go[1], "", 1) == 1);
  next_of(child, "what the handler saw");
}

constexpr unsigned long kNowhere = 1ul << 63;

void return_nowhere(int, siginfo_t*, void* context) {
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] = static_cast<greg_t>(kNowhere);
}
void told_of_it(int, siginfo_t* info, void* context) {
  const auto rip = static_cast<unsigned long>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
  printf("its handler: code %d, there %d\n", info->si_code, rip == kNowhere);
  fflush(stdout);
  _exit(3);
}
void handle_with(int signal, void (*handle)(int, siginfo_t*, void*)) {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  CHECK(sigaction(signal, &action, nullptr) == 0);
}

// A tracer sees what sigreturn makes of a frame that is none, and of an address that is none.
void bad_returns() {
  const pid_t frameless = traced([] { asm volatile("mov $4096, %rsp; mov $15, %eax; syscall; hlt"); });
  CHECK(trace(PTRACE_CONT, frameless) == 0);
  next_of(frameless, "no frame");
  print_info("its information", frameless);
  CHECK(trace(PTRACE_CONT, frameless, 0, SIGSEGV) == 0);
  next_of(frameless, "the end");
  for (const bool handled : {false, true}) {
    const pid_t child = traced([handled] {
      handle_with(SIGUSR1, return_nowhere);
      if (handled) handle_with(SIGSEGV, told_of_it);
      raise(SIGUSR1);
    });
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "sent SIGUSR1");
    CHECK(trace(PTRACE_CONT, child, 0, SIGUSR1) == 0);
    for (const char* what : {"nowhere", "the signal dropped"}) {
      next_of(child, what);
      print_info("its information", child);
      unsigned long rip = 0;
      CHECK(trace(PTRACE_PEEKUSER, child, offsetof(user_regs_struct, rip), &rip) == 0);
      printf("it is there: %d\n", rip == kNowhere);
      CHECK(trace(PTRACE_CONT, child, 0, *what == 'n' ? uintptr_t{0} : uintptr_t{SIGSEGV}) == 0);
    }
    next_of(child, "the end");
  }
}

}  // namespace

int main() {
  show_lines();
  signals();
  each_signal();
  killed_in_a_stop();
  attached();
  attached_to_a_stopped_one();
  let_go_with_a_signal();
  seized();
  waits();
  interrupted_calls();
  resumed_for_the_last_time();
  bad_returns();
  return finish();
}
