// exec in a process of several threads: the others end, the caller is the process.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>

#include "tests/boot/programs/thread_checks.h"

namespace {

const char* g_self;

// The new program: what exec says that it must be.
int look(char** arguments) {
  const pid_t expected = atoi(arguments[2]);
  CHECK(getpid() == expected && tid() == expected);
  CHECK(access("/proc/self/task", F_OK) == 0);
  char name[32] = {};
  CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "thread_exec") == 0);
  // Threads can be made again.
  static int value;
  auto body = [] { value = 5; };
  join(start(body));
  CHECK(value == 5);
  sigset_t blocked, pending;
  CHECK(pthread_sigmask(SIG_SETMASK, nullptr, &blocked) == 0);
  CHECK(sigismember(&blocked, SIGUSR1) == 1 && sigismember(&blocked, SIGUSR2) == 0);
  CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1);
  return 11;
}

[[noreturn]] void execute() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  CHECK(pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  CHECK(syscall(SYS_tkill, tid(), SIGUSR1) == 0);
  char number[16];
  snprintf(number, sizeof(number), "%d", getpid());
  execl(g_self, g_self, "look", number, nullptr);
  printf("exec failed: %s\n", strerror(errno));
  _exit(1);
}

void check_became(int status) { CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 11); }

void sleeps() {
  for (;;) pause();
}
void runs() {
  for (;;) {
  }
}

void by_the_leader() {
  check_became(status_of_child([] {
    static auto a = [] { sleeps(); };
    static auto b = [] { runs(); };
    start(a);
    start(b);
    sched_yield();
    execute();
  }));
}

void by_another() {
  check_became(status_of_child([] {
    static auto a = [] { sleeps(); };
    static auto b = [] { runs(); };
    static auto c = [] { execute(); };
    start(a);
    start(b);
    start(c);
    sleeps();
  }));
}

void while_the_leader_runs() {
  check_became(status_of_child([] {
    static auto c = [] { execute(); };
    start(c);
    runs();
  }));
}

void after_the_leader() {
  check_became(status_of_child([] {
    static pid_t leader;
    leader = tid();
    static auto c = [] {
      await_thread_state(leader, 'Z');
      execute();
    };
    start(c);
    syscall(SYS_exit, 3);
  }));
}

// One of them becomes the program, whichever.
void by_several() {
  check_became(status_of_child([] {
    static auto c = [] { execute(); };
    for (int i = 0; i < 5; ++i) start(c);
    execute();
  }));
}

// A parent that vforked goes on when a thread of the child's process execs.
void after_vfork() {
  const int status = status_of_child([] {
    char number[16];
    const pid_t child = vfork();
    if (child == 0) {
      snprintf(number, sizeof(number), "%d", getpid());
      execl(g_self, g_self, "plain", nullptr);
      _exit(1);
    }
    int inner = 0;
    CHECK(waitpid(child, &inner, 0) == child);
    _exit(WEXITSTATUS(inner));
  });
  CHECK(WEXITSTATUS(status) == 12);
}

// What cannot be run leaves the threads alone.
void a_failure_harms_nobody() {
  static Flag go, ready;
  static int answer;
  auto body = [] {
    ready.set();
    go.await();
    answer = 1;
  };
  const pthread_t thread = start(body);
  ready.await();
  CHECK_ERRNO(execl("/no/such/program", "x", nullptr), ENOENT);
  CHECK_ERRNO(execl("/", "x", nullptr), EACCES);
  go.set();
  join(thread);
  CHECK(answer == 1);
}

// Descriptors that were another process's, too, are the program's own.
void own_descriptors() {
  const int status = status_of_child([] {
    const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    static char stack[1 << 16];
    const pid_t child = clone(
        [](void*) {
          execl(g_self, g_self, "plain", nullptr);
          return 1;
        },
        stack + sizeof(stack), CLONE_FILES | SIGCHLD, nullptr);
    CHECK(child > 0);
    int inner = 0;
    CHECK(waitpid(child, &inner, 0) == child && WEXITSTATUS(inner) == 12);
    CHECK(fcntl(file, F_GETFD) == FD_CLOEXEC);
  });
  CHECK(status == 0);
}

}  // namespace

int main(int count, char** arguments) {
  g_self = arguments[0];
  if (count > 2) return look(arguments);
  if (count > 1) return 12;
  check("by the leader", by_the_leader);
  check("by another thread", by_another);
  check("while the leader runs", while_the_leader_runs);
  check("after the leader", after_the_leader);
  check("by several at once", by_several);
  check("after vfork", after_vfork);
  check("a failure harms nobody", a_failure_harms_nobody);
  check("descriptors of its own", own_descriptors);
  return finish();
}
