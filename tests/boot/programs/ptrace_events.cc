// ptrace(2): the events of fork, vfork, clone, exec and exit. Prints the same on Linux.
#include <sched.h>

#include <cstdint>
#include <vector>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

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
      start_waiting_thread(ready[1]);
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
  rseq_of_it();
  return finish();
}
