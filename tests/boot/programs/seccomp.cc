// seccomp(2) and prctl(PR_SET_SECCOMP): the strict mode, filters, what they may say, who keeps them. Prints
// the same on Linux.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

using Program = std::vector<sock_filter>;

long seccomp(unsigned operation, unsigned flags, void* what) {
  return syscall(SYS_seccomp, operation, flags, what);
}
long install(Program program, unsigned flags = 0) {
  sock_fprog given = {static_cast<unsigned short>(program.size()), program.data()};
  return seccomp(SECCOMP_SET_MODE_FILTER, flags, &given);
}
// What becomes of the call by that number; others are allowed.
Program about(unsigned number, unsigned action) {
  return {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, action),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
}
void no_new_privileges() { CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0); }
void print_end(const char* what, int status) {
  if (WIFSIGNALED(status)) {
    printf("%s: signal %d\n", what, WTERMSIG(status));
  } else {
    printf("%s: status %d\n", what, WEXITSTATUS(status));
  }
}
template <class Body>
void in_child(const char* what, Body body) {
  print_end(what, status_of_child([&] {
              no_new_privileges();
              body();
              fflush(stdout);
            }));
}
void print_status_lines() {
  char line[200];
  FILE* const file = fopen("/proc/self/status", "r");
  CHECK(file != nullptr);
  while (fgets(line, sizeof line, file) != nullptr) {
    if (strncmp(line, "Seccomp", 7) == 0 || strncmp(line, "NoNewPrivs", 10) == 0) fputs(line, stdout);
  }
  fclose(file);
}

void strict() {
  in_child("a call that is allowed", [] {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    CHECK(write(1, "written\n", 8) == 8);
    syscall(SYS_exit, 7);
  });
  in_child("one that is not", [] {
    CHECK(seccomp(SECCOMP_SET_MODE_STRICT, 0, nullptr) == 0);
    syscall(SYS_getpid);
  });
  in_child("the time stamp counter", [] {
    // A kernel in ring 3 (Xen's PV) cannot take it away, and says so: there is nothing to see then.
    if (prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0) raise(SIGSEGV);
    CHECK(prctl(PR_SET_TSC, PR_TSC_ENABLE) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    syscall(SYS_exit, __builtin_ia32_rdtsc() != 0 ? 1 : 2);
  });
  in_child("one that nobody knows", [] {
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    syscall(5000);
  });
}

void actions() {
  in_child("errno", [] {
    CHECK(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 77)) == 0);
    SHOW(syscall(SYS_getppid));
    CHECK(install(about(SYS_getuid, SECCOMP_RET_ERRNO)) == 0);
    SHOW(syscall(SYS_getuid));
    CHECK(install(about(SYS_getgid, SECCOMP_RET_ERRNO | 5000)) == 0);
    const long most = syscall(SYS_getgid);
    printf("most %ld %d\n", most, errno);
    CHECK(install(about(5000, SECCOMP_RET_ERRNO | 3)) == 0);
    SHOW(syscall(5000));
    CHECK(install(about(SYS_geteuid, SECCOMP_RET_LOG)) == 0);
    CHECK(syscall(SYS_geteuid) == 0);
    CHECK(install(about(SYS_getegid, SECCOMP_RET_TRACE | 1)) == 0);
    SHOW(syscall(SYS_getegid));
    SHOW(prctl(PR_GET_SECCOMP));
    print_status_lines();
  });
  in_child("the strictest counts", [] {
    CHECK(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 5)) == 0);
    CHECK(install(about(SYS_getppid, SECCOMP_RET_ALLOW)) == 0);
    SHOW(syscall(SYS_getppid));
    CHECK(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 6)) == 0);
    SHOW(syscall(SYS_getppid));
    CHECK(install(about(SYS_getppid, SECCOMP_RET_KILL_PROCESS)) == 0);
    fflush(stdout);
    syscall(SYS_getppid);
  });
  in_child("kill", [] {
    signal(SIGSYS, SIG_IGN);
    CHECK(install(about(SYS_getppid, SECCOMP_RET_KILL_THREAD)) == 0);
    syscall(SYS_getppid);
  });
  in_child("what it does not know", [] {
    CHECK(install(about(SYS_getppid, 0x12340000)) == 0);
    syscall(SYS_getppid);
  });
}

siginfo_t g_info;
volatile long g_register;
void on_sigsys(int, siginfo_t* info, void* context) {
  g_info = *info;
  g_register = static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX];
  static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RAX] = 4321;
}

void traps() {
  in_child("a handler", [] {
    struct sigaction action = {};
    action.sa_sigaction = on_sigsys;
    action.sa_flags = SA_SIGINFO;
    CHECK(sigaction(SIGSYS, &action, nullptr) == 0);
    CHECK(install(about(SYS_getppid, SECCOMP_RET_TRAP | 99)) == 0);
    printf("answered %ld\n", syscall(SYS_getppid));
    printf("signal %d code %d errno %d call %d machine %x there %d register %ld\n", g_info.si_signo,
           g_info.si_code, g_info.si_errno, g_info.si_syscall, g_info.si_arch, g_info.si_call_addr != nullptr,
           g_register);
  });
  in_child("no handler", [] {
    CHECK(install(about(SYS_getppid, SECCOMP_RET_TRAP)) == 0);
    syscall(SYS_getppid);
  });
  in_child("blocked", [] {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, nullptr);
    CHECK(install(about(SYS_getppid, SECCOMP_RET_TRAP)) == 0);
    syscall(SYS_getppid);
  });
}

// Programs as such: which are refused, and what the others compute. The answer is the errno of getppid.
Program then_errno(std::initializer_list<sock_filter> first) {
  Program program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
                     BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
                     BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  program.insert(program.end(), first);
  program.insert(program.end(),
                 {BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
                  BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)});
  return program;
}
void compute(const char* what, std::initializer_list<sock_filter> first) {
  CHECK(status_of_child([&] {
          no_new_privileges();
          CHECK(install(then_errno(first)) == 0);
          errno = 0;
          const long answer = syscall(SYS_getppid, 11, 22, 0x100000033, 44, 55, 66);
          printf("%s: %ld %d\n", what, answer, answer < 0 ? errno : 0);
          fflush(stdout);
        }) == 0);
}
#define A(operation, value) BPF_STMT(BPF_ALU | (operation) | BPF_K, value)
#define AX(operation) BPF_STMT(BPF_ALU | (operation) | BPF_X, 0)
#define LD(value) BPF_STMT(BPF_LD | BPF_IMM, value)
#define LDX(value) BPF_STMT(BPF_LDX | BPF_IMM, value)
#define CALL(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset)

void programs() {
  compute("constant", {LD(123)});
  compute("arguments", {CALL(16), BPF_STMT(BPF_ST, 3), CALL(24), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                        BPF_STMT(BPF_LD | BPF_MEM, 3), AX(BPF_ADD)});
  compute("low half", {CALL(32)});
  compute("high half", {CALL(36)});
  compute("machine", {CALL(4), A(BPF_RSH, 24)});
  compute("length", {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)});
  compute("length in x", {BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0)});
  compute("add", {LD(100), A(BPF_ADD, 11)});
  compute("subtract", {LD(100), LDX(1), AX(BPF_SUB)});
  compute("multiply", {LD(21), A(BPF_MUL, 3)});
  compute("divide", {LD(1000), LDX(7), AX(BPF_DIV)});
  compute("or", {LD(5), A(BPF_OR, 66)});
  compute("and", {LD(255), LDX(60), AX(BPF_AND)});
  compute("xor", {LD(255), A(BPF_XOR, 15)});
  compute("shift left", {LD(3), A(BPF_LSH, 4)});
  compute("shift by x", {LD(3), LDX(35), AX(BPF_LSH)});
  compute("shift right", {LD(1024), LDX(3), AX(BPF_RSH)});
  compute("negate", {LD(static_cast<uint32_t>(-9)), BPF_STMT(BPF_ALU | BPF_NEG, 0)});
  compute("jump", {BPF_STMT(BPF_JMP | BPF_JA, 1), LD(1), LD(2), BPF_STMT(BPF_JMP | BPF_JA, 0)});
  compute("if", {LD(5), LDX(5), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), LD(50),
                 BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 49, 0, 1), A(BPF_ADD, 1),
                 BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 52, 1, 0), A(BPF_ADD, 10),
                 BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 64, 1, 0), A(BPF_ADD, 100)});
  compute("memory of x",
          {LDX(77), BPF_STMT(BPF_STX, 15), BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0)});
  in_child("division by nothing", [] {
    CHECK(install(then_errno({LDX(0), AX(BPF_DIV)})) == 0);
    syscall(SYS_getppid);
  });
  no_new_privileges();
  const sock_filter end = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  SHOW(install({}));
  SHOW(install(Program(4097, end)));
  SHOW(install({LD(1)}));
  SHOW(install({BPF_STMT(BPF_RET | BPF_X, 0)}));
  SHOW(install({CALL(64), end}));
  SHOW(install({CALL(2), end}));
  SHOW(install({BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), end}));
  SHOW(install({BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), end}));
  SHOW(install({BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), end}));
  SHOW(install({A(BPF_DIV, 0), end}));
  SHOW(install({A(BPF_MOD, 5), end}));
  SHOW(install({A(BPF_LSH, 32), end}));
  SHOW(install({BPF_STMT(BPF_ST, 16), end}));
  SHOW(install({BPF_STMT(BPF_LD | BPF_MEM, 1), end}));
  SHOW(install({BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_ST, 1),
                BPF_STMT(BPF_LD | BPF_MEM, 1), end}));
  SHOW(install({BPF_STMT(BPF_JMP | BPF_JA, 1), end}));
  SHOW(install({BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), end}));
  SHOW(install({BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), end}));
  SHOW(install({BPF_STMT(0xffff, 0), end}));
  SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, nullptr));
  SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0x1000, nullptr));
  SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 1, nullptr));
  SHOW(seccomp(99, 0, nullptr));
  SHOW(prctl(PR_SET_SECCOMP, 0, 0, 0, 0));
  SHOW(prctl(PR_SET_SECCOMP, 3, 0, 0, 0));
  SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 1, 0, 0));
  for (const uint32_t action :
       {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO,
        SECCOMP_RET_TRACE, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 0x12340000u}) {
    uint32_t asked = action;
    SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &asked));
  }
  SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, nullptr));
}

void rights() {
  CHECK(status_of_child([] {
          CHECK(setresuid(54321, 54321, 54321) == 0);
          SHOW(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 1)));
          no_new_privileges();
          SHOW(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 1)));
          SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
          fflush(stdout);
        }) == 0);
}

void* in_thread(void*) { return reinterpret_cast<void*>(syscall(SYS_getppid) == -1 ? errno : 0); }
long of_thread() {
  pthread_t thread;
  void* answer = nullptr;
  CHECK(pthread_create(&thread, nullptr, in_thread, nullptr) == 0 && pthread_join(thread, &answer) == 0);
  return reinterpret_cast<long>(answer);
}
pthread_barrier_t g_barrier;
void* before_and_after(void*) {
  pthread_barrier_wait(&g_barrier);
  pthread_barrier_wait(&g_barrier);
  return in_thread(nullptr);
}
void* killed(void*) {
  syscall(SYS_getppid);
  return nullptr;
}

void who_keeps_it(const char* self) {
  in_child("children and programs", [self] {
    CHECK(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 42)) == 0);
    CHECK(status_of_child([] { CHECK(syscall(SYS_getppid) == -1 && errno == 42); }) == 0);
    printf("a thread: %ld\n", of_thread());
    fflush(stdout);
    execl(self, self, "after", nullptr);
  });
  for (const unsigned flags : {0u, static_cast<unsigned>(SECCOMP_FILTER_FLAG_TSYNC)}) {
    in_child("threads that run", [flags] {
      pthread_t thread;
      void* answer = nullptr;
      CHECK(pthread_barrier_init(&g_barrier, nullptr, 2) == 0);
      CHECK(pthread_create(&thread, nullptr, before_and_after, nullptr) == 0);
      pthread_barrier_wait(&g_barrier);
      CHECK(install(about(SYS_getppid, SECCOMP_RET_ERRNO | 43), flags) == 0);
      pthread_barrier_wait(&g_barrier);
      CHECK(pthread_join(thread, &answer) == 0);
      printf("flags %u: the other %ld\n", flags, reinterpret_cast<long>(answer));
    });
  }
  in_child("one thread dies", [] {
    pthread_t thread;
    CHECK(install(about(SYS_getppid, SECCOMP_RET_KILL_THREAD)) == 0);
    CHECK(pthread_create(&thread, nullptr, killed, nullptr) == 0);
    CHECK(pthread_join(thread, nullptr) == 0);
    printf("the others go on\n");
  });
}

}  // namespace

int main(int arguments, char** words) {
  show_lines();
  if (arguments > 1) {
    const long answer = syscall(SYS_getppid);
    printf("after exec: %ld %d\n", answer, errno);
    print_status_lines();
    return 0;
  }
  print_status_lines();
  check("strict", strict);
  check("actions", actions);
  check("traps", traps);
  check("keeping", [&] { who_keeps_it(words[0]); });
  check("rights", rights);
  check("programs", [] { CHECK(status_of_child(programs) == 0); });
  return finish();
}
