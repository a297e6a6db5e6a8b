// ptrace(2): stops at system calls, and where a seccomp filter asks the tracer. Prints the same on Linux.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

using Registers = struct user_regs_struct;

void print_call(pid_t pid) {
  __ptrace_syscall_info info;
  memset(&info, 0xee, sizeof(info));
  const long bytes = trace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info);
  printf("  %ld bytes, kind %d, machine %d", bytes, info.op, info.arch == AUDIT_ARCH_X86_64);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
    printf(", call %lu(%lx, %lx, %lx)", info.entry.nr, info.entry.args[0], info.entry.args[1],
           info.entry.args[2]);
  } else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    printf(", result %lld, error %d", static_cast<long long>(info.exit.rval), info.exit.is_error);
  } else if (info.op == PTRACE_SYSCALL_INFO_SECCOMP) {
    printf(", call %lu(%lx), data %u", info.seccomp.nr, info.seccomp.args[0], info.seccomp.ret_data);
  }
  printf("\n");
}

void calls() {
  const pid_t child = traced([] {
    getuid();
    syscall(39, 1, 2, 3);
    syscall(3, 999, 0x11, 0x22);
    syscall(9999, 1, 2, 3);
    syscall(600, 1, 2, 3);
    syscall(-1, 1, 2, 3);
    syscall(0x5'0000'0066, 1, 2, 3);  // getuid
    errno = 0;
    const long changed = syscall(39);
    printf("a number of 32 bits: %ld\n", syscall(0x7'0000'0066));
    printf("a call that the tracer changed: %ld\n", changed);
    const long left_out = syscall(39);
    printf("one that it left out: %ld\n", left_out);
    const long answered = syscall(3, 999);
    printf("one that it answered: %ld\n", answered);
    fflush(stdout);
    asm volatile("int3");
    _exit(7);
  });
  print_errno("information at a signal", trace(PTRACE_GET_SYSCALL_INFO, child, 8, 0ul));
  print_call(child);
  // Without TRACESYSGOOD a call's stop is SIGTRAP.
  CHECK(trace(PTRACE_SYSCALL, child) == 0);
  next_of(child, "the first call");
  print_info("its information", child);
  print_call(child);
  CHECK(trace(PTRACE_SETOPTIONS, child, 0, uintptr_t{PTRACE_O_TRACESYSGOOD}) == 0);
  auto run_to_call = [&](long number) {
    for (;;) {
      CHECK(trace(PTRACE_SYSCALL, child) == 0);
      int status = 0;
      CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
            WSTOPSIG(status) == (SIGTRAP | 0x80));
      if (static_cast<long>(registers_of(child).orig_rax) == number && message_of(child) == 1) return;
    }
  };
  auto end_call = [&] {
    CHECK(trace(PTRACE_SYSCALL, child) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
  };
  run_to_call(39);
  Registers registers = registers_of(child);
  printf("getpid: rax %lld, message %lu\n", static_cast<long long>(registers.rax), message_of(child));
  print_info("its information", child);
  print_call(child);
  end_call();
  registers = registers_of(child);
  printf("it is its pid: %d, number %lld, rcx is rip: %d, message %lu\n",
         registers.rax == static_cast<unsigned>(child), static_cast<long long>(registers.orig_rax),
         registers.rcx == registers.rip, message_of(child));
  for (const long number : {3l, 9999l, 600l, -1l}) {
    run_to_call(number);
    print_call(child);
    end_call();
    print_call(child);
  }
  run_to_call(39);
  registers = registers_of(child);
  registers.orig_rax = 3;
  registers.rdi = 1000;
  CHECK(trace(PTRACE_SETREGS, child, 0, &registers) == 0);
  end_call();
  print_call(child);
  run_to_call(39);
  CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), ~0ul) == 0);
  CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 55ul) == 0);
  end_call();
  print_call(child);
  run_to_call(3);
  end_call();
  print_call(child);
  CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 77ul) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the breakpoint");
  run_to_call(231);
  CHECK(trace(PTRACE_SYSCALL, child) == 0);
  next_of(child, "the end");
}

void emulated() {
  const pid_t child = traced([] {
    const long made = syscall(39);
    printf("made: %ld\n", made);
  });
  for (;;) {
    CHECK(trace(PTRACE_SYSEMU, child) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    const Registers registers = registers_of(child);
    if (registers.orig_rax == 39) {
      CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 123ul) == 0);
      break;
    }
    CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 0ul) == 0);
  }
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");
}

// One that is killed at a filter's stop does not make the call.
void killed_at_a_filter() {
  int pipes[2];
  CHECK(pipe(pipes) == 0);
  const pid_t child = traced([&] {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_writev, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog given = {4, program};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given, 0, 0) == 0);
    char byte = 1;
    const iovec vector = {&byte, 1};
    (void)syscall(SYS_writev, pipes[1], &vector, 1);
  });
  CHECK(trace(PTRACE_SETOPTIONS, child, 0, uintptr_t{PTRACE_O_TRACESECCOMP}) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "a filter's call");
  kill(child, SIGKILL);
  next_of(child, "killed there");
  CHECK(close(pipes[1]) == 0);
  char byte;
  printf("bytes written: %zd\n", read(pipes[0], &byte, 1));
  CHECK(close(pipes[0]) == 0);
}

// A filter that kills, and one that refuses to end.
void ended_by_a_filter() {
  for (const unsigned answer : {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_ERRNO | 1}) {
    const pid_t child = traced([answer] {
      sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
          BPF_STMT(BPF_RET | BPF_K, answer),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      const sock_fprog given = {4, program};
      CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given, 0, 0) == 0);
      (void)syscall(SYS_exit_group, 3);
      syscall(SYS_exit, 4);
    });
    CHECK(trace(PTRACE_SETOPTIONS, child, 0, uintptr_t{PTRACE_O_TRACEEXIT}) == 0);
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "a filter's answer to the end");
    printf("message %lx\n", message_of(child) & 0xff7f);  // without what says that there is a core
    CHECK(trace(PTRACE_CONT, child) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    print_status("the end", status);
  }
}

void filtered() {
  const pid_t child = traced([] {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 42),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 71),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog given = {6, program};
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given, 0, 0) == 0);
    print_errno("a call that nobody looks at", syscall(SYS_getuid, 9));
    raise(SIGSTOP);
    printf("its user is root: %d\n", syscall(SYS_getuid, 9) == 0 && syscall(SYS_getuid, 9) == 0);
    print_errno("left out", syscall(SYS_getuid, 9));
    print_errno("changed to one that is refused", syscall(SYS_getuid, 9));
  });
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "stopped");
  CHECK(trace(PTRACE_SETOPTIONS, child, 0, uintptr_t{PTRACE_O_TRACESECCOMP}) == 0);
  for (int i = 0; i < 4; ++i) {
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "a filter's call");
    print_call(child);
    if (i == 2) {
      CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), ~0ul) == 0);
      CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 5ul) == 0);
    }
    if (i == 3) CHECK(trace(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), 3ul) == 0);
  }
  CHECK(trace(PTRACE_CONT, child) == 0);
  next_of(child, "the end");
}

}  // namespace

int main() {
  show_lines();
  calls();
  emulated();
  filtered();
  killed_at_a_filter();
  ended_by_a_filter();
  return finish();
}
