// ptrace(2): stops at system calls, and the events of fork, vfork, clone, exec, exit and seccomp. Prints the
// same on Linux.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

#include <vector>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

using Registers = struct user_regs_struct;

Registers registers_of(pid_t pid) {
  Registers registers;
  CHECK(trace(PTRACE_GETREGS, pid, 0, &registers) == 0);
  return registers;
}
unsigned long message_of(pid_t pid) {
  unsigned long message = ~0ul;
  CHECK(trace(PTRACE_GETEVENTMSG, pid, 0, &message) == 0);
  return message;
}

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

// Prints events of a child and of those that come of it, until all have ended. What runs at the same time is
// printed when its parent has got to its next stop.
void follow(pid_t child, long request) {
  struct Known {
    pid_t pid;
    const char* name;
  };
  std::vector<Known> known = {{child, "it"}};
  auto name_of = [&](pid_t pid) {
    for (const Known& one : known) {
      if (one.pid == pid) return one.name;
    }
    known.push_back({pid, "its child"});
    return "its child";
  };
  std::vector<int> of_child;
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid == -1) break;
    uintptr_t signal = 0;
    const bool first = pid != child;
    if (first) {
      of_child.push_back(status);
    } else {
      print_status(name_of(pid), status);
    }
    if (!WIFSTOPPED(status)) continue;
    const int event = status >> 16;
    if (!first && event != 0 && event != PTRACE_EVENT_STOP) {
      const unsigned long message = message_of(pid);
      if (event == PTRACE_EVENT_EXIT) {
        printf("  message %lx\n", message);
      } else if (event == PTRACE_EVENT_EXEC) {
        printf("  message is its pid: %d\n", message == static_cast<unsigned long>(pid));
      } else {
        printf("  message is a pid: %d\n", message > 1 && message != static_cast<unsigned long>(pid));
      }
      print_info("  its information", pid);
    } else if (event == 0 && WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) {
      signal = static_cast<uintptr_t>(WSTOPSIG(status));
    }
    CHECK(trace(request, pid, 0, signal) == 0);
  }
  for (const int status : of_child) print_status("its child", status);
}

constexpr uintptr_t kAll = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                           PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT |
                           PTRACE_O_EXITKILL;

template <class Body>
void events(const char* what, uintptr_t options, Body body) {
  printf("%s:\n", what);
  const pid_t child = traced(body);
  CHECK(trace(PTRACE_SETOPTIONS, child, 0, options) == 0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  follow(child, PTRACE_CONT);
}

template <class Body>
void seized_events(const char* what, uintptr_t options, Body body) {
  printf("%s:\n", what);
  int go[2];
  CHECK(pipe(go) == 0);
  const pid_t child = untraced([&] {
    char byte;
    CHECK(read(go[0], &byte, 1) == 1);
    body();
  });
  CHECK(trace(PTRACE_SEIZE, child, 0, options) == 0);
  CHECK(write(go[1], "", 1) == 1);
  follow(child, PTRACE_CONT);
}

void forks() {
  const pid_t child = fork();
  if (child == 0) _exit(4);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
}

void vforks() {
  const pid_t child = vfork();
  if (child == 0) _exit(4);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
}

void threads() {
  pthread_t thread;
  CHECK(pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0);
  CHECK(pthread_join(thread, nullptr) == 0);
}

void execs() {
  char name[] = "/proc/self/exe";
  char end[] = "end";
  char* arguments[] = {name, end, nullptr};
  execv(name, arguments);
  _exit(99);
}

// Of several threads one that is not the leader execs.
void execs_from_a_thread() {
  pthread_t thread;
  CHECK(pthread_create(
            &thread, nullptr,
            [](void*) -> void* {
              execs();
              return nullptr;
            },
            nullptr) == 0);
  for (;;) pause();
}

void exec_from_thread() {
  printf("an exec that is not the leader's:\n");
  const pid_t child = traced(execs_from_a_thread);
  CHECK(trace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL) ==
        0);
  CHECK(trace(PTRACE_CONT, child) == 0);
  pid_t thread = 0;
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (pid == -1) break;
    if (status >> 16 == PTRACE_EVENT_CLONE) thread = static_cast<pid_t>(message_of(pid));
    if (status >> 16 == PTRACE_EVENT_EXEC) {
      printf("exec: by the pid %d, message is the thread's number %d\n", pid == child,
             message_of(pid) == static_cast<unsigned long>(thread));
    }
    if (WIFSTOPPED(status)) {
      CHECK(trace(PTRACE_CONT, pid) == 0);
    } else if (pid == child) {
      print_status("it", status);
    } else {
      print_status("a thread", status);
    }
  }
}

// Whoever kills a process ends all of it, though a tracer holds one thread at its end.
void all_end() {
  for (const bool by_call : {false, true}) {
    int ready[2];
    int go[2];
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    const pid_t child = untraced([&] {
      pthread_t thread;
      CHECK(pthread_create(
                &thread, nullptr,
                [](void* to) -> void* {
                  const pid_t self = gettid();
                  CHECK(write(*static_cast<int*>(to), &self, sizeof(self)) == sizeof(self));
                  for (;;) pause();
                },
                &ready[1]) == 0);
      char byte;
      CHECK(read(go[0], &byte, 1) == 1);
      _exit(5);
    });
    pid_t thread = 0;
    CHECK(read(ready[0], &thread, sizeof(thread)) == sizeof(thread));
    CHECK(trace(PTRACE_SEIZE, child, 0, uintptr_t{PTRACE_O_TRACEEXIT}) == 0);
    if (by_call) {
      CHECK(write(go[1], "", 1) == 1);
    } else {
      kill(child, SIGKILL);
    }
    next_of(child, "held at its end");
    printf("message %lx\n", message_of(child));
    bool gone = false;
    for (int i = 0; i < 1000 && !gone; ++i) {
      gone = syscall(SYS_tgkill, child, thread, 0) == -1 && errno == ESRCH;
      usleep(1000);
    }
    printf("its other thread is gone: %d\n", gone);
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "the end");
  }
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

void rseq_of_it() {
  const pid_t child = traced([] {});
  __ptrace_rseq_configuration told;
  memset(&told, 0xee, sizeof(told));
  print_errno("its rseq", trace(PTRACE_GET_RSEQ_CONFIGURATION, child, sizeof(told), &told));
  printf("signature %x, flags %u\n", told.signature, told.flags);
  end_of(child);
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1 && strcmp(arguments[1], "end") == 0) return 6;
  show_lines();
  calls();
  emulated();
  events("without options", 0, forks);
  events("fork", kAll, forks);
  events("vfork", kAll, vforks);
  events("a thread", kAll, threads);
  events("exec", kAll, execs);
  events("exec without its option", 0, execs);
  seized_events("fork, seized", kAll, forks);
  seized_events("exec, seized, without its option", 0, execs);
  exec_from_thread();
  all_end();
  filtered();
  killed_at_a_filter();
  ended_by_a_filter();
  rseq_of_it();
  return finish();
}
