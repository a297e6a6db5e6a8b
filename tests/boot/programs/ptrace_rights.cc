// ptrace(2): what a tracer without rights does not get by tracing: the identity of a set-user-ID program, and
// the memory of one that hides. Prints the same on Linux.
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdint>

#include "tests/boot/programs/ptrace_checks.h"
#include "tests/boot/programs/show.h"

namespace {

constexpr unsigned kNobody = 65534;
const char* const kSetUser = "/var/tmp/ptrace_rights.suid";
const char* const kUnreadable = "/var/tmp/ptrace_rights.unreadable";

void copy_itself(const char* to, mode_t mode) {
  char buffer[4096];
  const int from_fd = open("/proc/self/exe", O_RDONLY);
  const int to_fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  CHECK(from_fd >= 0 && to_fd >= 0);
  for (ssize_t got; (got = read(from_fd, buffer, sizeof(buffer))) > 0;) {
    CHECK(write(to_fd, buffer, static_cast<size_t>(got)) == got);
  }
  CHECK(fchmod(to_fd, mode) == 0);
  CHECK(close(from_fd) == 0 && close(to_fd) == 0);
}

// What the kernel wrote beside the arguments is so.
bool knows_itself() {
  return getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() && getauxval(AT_GID) == getgid() &&
         getauxval(AT_EGID) == getegid() && getauxval(AT_SECURE) == (getuid() != geteuid() ? 1 : 0);
}

void execute(const char* path, const char* what, int descriptor = 0) {
  char number[12];
  snprintf(number, sizeof(number), "%d", descriptor);
  execl(path, path, what, number, nullptr);
  _exit(99);
}

void become_nobody() {
  CHECK(setgid(kNobody) == 0 && setuid(kNobody) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

void untraced_exec() {
  const pid_t child = untraced([] {
    become_nobody();
    execute(kSetUser, "user");
  });
  next_of(child, "nobody traces it (10: it is root)");
}

// What a tracer may do when it begins decides, not what it may later.
void rights_of_then() {
  const pid_t tracer = untraced([] {
    int go[2];
    CHECK(pipe(go) == 0);
    const pid_t child = untraced([&] {
      become_nobody();
      char byte;
      CHECK(read(go[0], &byte, 1) == 1);
      execute(kSetUser, "user");
    });
    await_state(child, 'S');
    CHECK(setresgid(kNobody, kNobody, kNobody) == 0 && setresuid(kNobody, kNobody, 0) == 0);
    CHECK(trace(PTRACE_SEIZE, child) == 0);
    CHECK(seteuid(0) == 0);
    CHECK(write(go[1], "", 1) == 1);
    next_of(child, "traced by who became root later");
  });
  next_of(tracer, "that tracer");
  // PTRACE_TRACEME gives the tracer what the tracee has.
  const pid_t parent = untraced([] {
    const pid_t child = traced([] {
      become_nobody();
      raise(SIGSTOP);
    });
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "a child of root's");
    end_of(child);
    const pid_t second = untraced([] {
      become_nobody();
      print_errno("it asks to be traced", trace(PTRACE_TRACEME, 0));
      execute(kSetUser, "user");
    });
    next_of(second, "its exec");
    CHECK(trace(PTRACE_CONT, second) == 0);
    next_of(second, "the end");
  });
  next_of(parent, "that parent");
}

// Who is traced from birth on has what its maker's tracer has.
void child_of_a_tracee() {
  const pid_t tracer = untraced([] {
    become_nobody();
    const pid_t child = traced([] {
      const pid_t own = untraced([] { execute(kSetUser, "user"); });
      int status = 0;
      CHECK(waitpid(own, &status, 0) == own);
    });
    CHECK(trace(PTRACE_SETOPTIONS, child, 0, uintptr_t{PTRACE_O_TRACEFORK}) == 0);
    CHECK(trace(PTRACE_CONT, child) == 0);
    next_of(child, "a tracee forks");
    unsigned long own = 0;
    CHECK(trace(PTRACE_GETEVENTMSG, child, 0, &own) == 0);
    const auto grandchild = static_cast<pid_t>(own);
    next_of(grandchild, "its child");
    CHECK(trace(PTRACE_CONT, grandchild) == 0);
    next_of(grandchild, "its exec");
    CHECK(trace(PTRACE_CONT, grandchild) == 0);
    next_of(grandchild, "its end");
    end_of(child);
  });
  next_of(tracer, "their tracer");
}

// A set-user-ID program whose exec waits for another thread, and somebody attaches meanwhile.
void attached_in_an_exec() {
  int from_program[2];
  int from_thread[2];
  int from_second[2];
  int go[2];
  CHECK(pipe(from_program) == 0 && pipe(from_thread) == 0 && pipe(from_second) == 0 && pipe(go) == 0);
  const pid_t tracer = untraced([&] {
    become_nobody();
    const pid_t child = untraced([&] {
      start_waiting_thread(from_thread[1]);
      char byte;
      CHECK(read(go[0], &byte, 1) == 1);
      execute(kSetUser, "tell", from_program[1]);
    });
    pid_t thread = 0;
    CHECK(read(from_thread[0], &thread, sizeof(thread)) == sizeof(thread));
    CHECK(trace(PTRACE_SEIZE, thread, 0, uintptr_t{PTRACE_O_TRACEEXIT}) == 0);
    CHECK(write(go[1], "", 1) == 1);
    next_of(thread, "the other thread");
    // Linux lets it wait for the exec.
    const pid_t second = untraced([&] {
      const bool traces = trace(PTRACE_SEIZE, child) == 0;
      CHECK(write(from_second[1], &traces, 1) == 1);
      for (;;) pause();
    });
    await_state(second, 'S');
    CHECK(trace(PTRACE_CONT, thread) == 0);
    next_of(thread, "its end");
    bool told[2] = {};
    bool traces = false;
    CHECK(read(from_program[0], told, 2) == 2 && read(from_second[0], &traces, 1) == 1);
    printf("it is root and traced by another user: %d\n", told[0] && traces);
    printf("its stack tells who it is: %d\n", told[1]);
    end_of(second);
    _exit(0);
  });
  next_of(tracer, "the tracer");
}

void print_peek(const char* what, pid_t child) {
  static long word = 77;
  long seen = 0;
  if (trace(PTRACE_PEEKDATA, child, reinterpret_cast<uintptr_t>(&word), &seen) == 0) {
    printf("%s: %ld\n", what, seen);
  } else {
    printf("%s: %s\n", what, strerrorname_np(errno));
  }
  print_errno("a word written",
              trace(PTRACE_POKEDATA, child, reinterpret_cast<uintptr_t>(&word), uintptr_t{77}));
}

void hidden_memory() {
  for (const bool root : {true, false}) {
    const pid_t tracer = untraced([root] {
      if (!root) become_nobody();
      const pid_t child = traced([] {
        CHECK(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0);
        raise(SIGSTOP);
        CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
        raise(SIGSTOP);
      });
      print_peek("open", child);
      CHECK(trace(PTRACE_CONT, child) == 0);
      next_of(child, "it hides");
      print_peek("hidden", child);
      CHECK(trace(PTRACE_CONT, child) == 0);
      next_of(child, "it shows itself");
      print_peek("open again", child);
      end_of(child);
    });
    next_of(tracer, root ? "root" : "another user");
  }
}

void print_open(pid_t pid, const char* file, int flags) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", static_cast<int>(pid), file);
  const int descriptor = open(path, flags);
  char byte = 0;
  if (descriptor >= 0 && read(descriptor, &byte, 0) >= 0) {
    printf("%s: open\n", file);
  } else {
    printf("%s: %s\n", file, strerrorname_np(errno));
  }
  if (descriptor >= 0) close(descriptor);
}

// A program that its user may run but not read, nobody of that user looks into.
void unreadable_program() {
  for (const mode_t mode : {0711u, 0755u}) {
    copy_itself(kUnreadable, mode);
    int ready[2];
    CHECK(pipe(ready) == 0);
    const pid_t child = untraced([&ready] {
      become_nobody();
      execute(kUnreadable, "wait", ready[1]);
    });
    bool dumpable = false;
    CHECK(read(ready[0], &dumpable, 1) == 1);
    printf("mode %o: dumpable %d\n", mode, dumpable);
    const pid_t other = untraced([child] {
      become_nobody();
      print_open(child, "mem", O_RDWR);
      print_open(child, "maps", O_RDONLY);
      print_open(child, "environ", O_RDONLY);
      print_errno("attached to", trace(PTRACE_SEIZE, child));
    });
    next_of(other, "its user");
    print_open(child, "mem", O_RDWR);
    end_of(child);
    CHECK(close(ready[0]) == 0 && close(ready[1]) == 0 && unlink(kUnreadable) == 0);
  }
}

// A thread that ended counts as its user's until its tracer has seen it.
void ended_tracees() {
  const pid_t first = untraced([] {
    constexpr unsigned kUser = 4242;
    const rlimit most = {4, 4};
    CHECK(setrlimit(RLIMIT_NPROC, &most) == 0 && setgid(kUser) == 0 && setuid(kUser) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
    int from_thread[2];
    int go[2];
    CHECK(pipe(from_thread) == 0 && pipe(go) == 0);
    const pid_t second = untraced([&] {
      pthread_t thread;
      int* const both[2] = {from_thread, go};
      CHECK(pthread_create(
                &thread, nullptr,
                [](void* ends) -> void* {
                  int* const* const pipes = static_cast<int* const*>(ends);
                  const pid_t self = gettid();
                  CHECK(write(pipes[0][1], &self, sizeof(self)) == sizeof(self));
                  char byte;
                  CHECK(read(pipes[1][0], &byte, 1) == 1);
                  syscall(SYS_exit, 0);
                  return nullptr;
                },
                const_cast<int**>(both)) == 0);
      for (;;) pause();
    });
    pid_t thread = 0;
    CHECK(read(from_thread[0], &thread, sizeof(thread)) == sizeof(thread));
    CHECK(trace(PTRACE_SEIZE, thread) == 0 && write(go[1], "", 1) == 1);
    siginfo_t info = {};
    CHECK(waitid(P_PID, static_cast<id_t>(thread), &info, WEXITED | WNOWAIT | __WALL) == 0);
    const pid_t third = untraced([] {
      for (;;) pause();
    });
    print_errno("a fifth", fork());
    next_of(thread, "the thread");
    const pid_t fifth = fork();
    if (fifth == 0) _exit(0);
    printf("then a fifth: %d\n", fifth > 0);
    next_of(fifth, "its end");
    end_of(third);
    end_of(second);
  });
  next_of(first, "the user");
}

// With PR_SET_NO_NEW_PRIVS root's exec gives no capability that was given up.
void no_new_capabilities() {
  const pid_t child = untraced([] {
    __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2] = {};
    sets[0].permitted = sets[0].effective = 1u << CAP_KILL;
    CHECK(syscall(SYS_capset, &head, sets) == 0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    execute("/proc/self/exe", "capabilities");
  });
  next_of(child, "root without new privileges");
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 2) {
    const bool root = geteuid() == 0;
    if (strcmp(arguments[1], "tell") == 0) {
      const bool told[2] = {root, knows_itself()};
      return write(atoi(arguments[2]), told, 2) == 2 ? 0 : 1;
    }
    if (strcmp(arguments[1], "wait") == 0) {
      const bool dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1;
      CHECK(write(atoi(arguments[2]), &dumpable, 1) == 1);
      for (;;) pause();
    }
    if (strcmp(arguments[1], "user") == 0) return root ? 10 : 11;
    __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2] = {};
    if (syscall(SYS_capget, &head, sets) != 0) return 1;
    printf("permitted %x %x, effective %x %x\n", sets[0].permitted, sets[1].permitted, sets[0].effective,
           sets[1].effective);
    return 0;
  }
  show_lines();
  umask(0);
  (void)mkdir("/var", 0755);
  (void)mkdir("/var/tmp", 01777);
  copy_itself(kSetUser, 04755);
  untraced_exec();
  rights_of_then();
  child_of_a_tracee();
  attached_in_an_exec();
  hidden_memory();
  unreadable_program();
  ended_tracees();
  no_new_capabilities();
  CHECK(unlink(kSetUser) == 0);
  return finish();
}
