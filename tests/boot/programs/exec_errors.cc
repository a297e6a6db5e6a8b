// What exec refuses, what of a process it keeps, files that are busy, chosen numbers, and the end of memory
// by pidfd.
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

char g_self[300];
char* const kArguments[] = {const_cast<char*>("x"), const_cast<char*>("child"), nullptr};
char* const kEnvironment[] = {const_cast<char*>("A=1"), nullptr};

long run(const char* path) { return execve(path, kArguments, kEnvironment); }

void make(const char* name, const char* text, mode_t mode) {
  const int file = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0700);
  CHECK(file >= 0 && write(file, text, strlen(text)) == ssize_t(strlen(text)));
  close(file);
  chmod(name, mode);
}

const char* action_of(int number) {
  struct sigaction action;
  sigaction(number, nullptr, &action);
  return action.sa_handler == SIG_IGN ? "ignored" : action.sa_handler == SIG_DFL ? "default" : "handled";
}

int child(int count, char** arguments) {
  sigset_t blocked, pending;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  sigpending(&pending);
  int death = -1;
  prctl(PR_GET_PDEATHSIG, &death);
  printf(
      "%d arguments, the first is \"%s\"; USR1 %s, USR2 %s; blocked %d, pending %d, alarm %d, dumpable %d, "
      "death %d\n",
      count, arguments[0], action_of(SIGUSR1), action_of(SIGUSR2), sigismember(&blocked, SIGUSR1),
      sigismember(&pending, SIGUSR1), alarm(0) != 0, prctl(PR_GET_DUMPABLE), death);
  return 3;
}

void refused() {
  make("empty", "", 0755);
  make("text", "hello\n", 0755);
  make("plain", "#!/bin/sh\n", 0644);
  make("nobody", "#!/bin/sh\n", 0);
  make("nowhere", "#!/no/such/program\n", 0755);
  make("nameless", "#!\n", 0755);
  make("circle", "#!./circle\n", 0755);
  symlink("loop", "loop");
  mkdir("folder", 0700);
  mkfifo("fifo", 0777);
  for (const char* name : {"", "./none", "./text/x", "/", "./empty", "./text", "./plain", "./nobody",
                           "./nowhere", "./nameless", "./circle", "./loop", "./folder", "./fifo"}) {
    printf("%s ", name);
    SHOW(run(name));
  }
  static char longest[5000];
  memset(longest, 'a', sizeof longest - 1);
  SHOW(run(longest));
  longest[300] = 0;
  SHOW(run(longest));
  auto* const bad = reinterpret_cast<char*>(8);
  char* const bad_list[] = {bad, nullptr};
  SHOW(run(bad));
  SHOW(execve(g_self, reinterpret_cast<char**>(8), kEnvironment));
  SHOW(execve(g_self, kArguments, reinterpret_cast<char**>(8)));
  SHOW(execve(g_self, bad_list, kEnvironment));
  // They are looked at before the program's text is.
  SHOW(execve("./plain", reinterpret_cast<char**>(8), kEnvironment));
  SHOW(execve("./text", kArguments, reinterpret_cast<char**>(8)));
  SHOW(execve("./empty", bad_list, kEnvironment));
  SHOW(execve("./nowhere", bad_list, kEnvironment));
  SHOW(execve("./none", bad_list, kEnvironment));
  SHOW(execve("./circle", bad_list, kEnvironment));
  static char large[140'000];
  memset(large, 'b', sizeof large - 1);
  char* const too_long[] = {large, nullptr};
  SHOW(execve(g_self, too_long, kEnvironment));
}

void busy() {
  const int file = open("script", O_CREAT | O_RDWR | O_TRUNC, 0755);
  CHECK(write(file, "#!/no/such/program\n", 19) == 19);
  SHOW(run("./script"));
  const int reader = open("script", O_RDONLY);
  close(file);
  SHOW(run("./script"));
  close(reader);
  SHOW(open(g_self, O_WRONLY));
  SHOW(open(g_self, O_RDWR));
  SHOW(open(g_self, O_RDONLY | O_TRUNC));
  SHOW(truncate(g_self, 0));
  SHOW(open("/proc/self/exe", O_WRONLY));
  SHOW(close(open(g_self, O_RDONLY)));
}

void kept() {
  signal(SIGUSR1, [](int) {});
  signal(SIGUSR2, SIG_IGN);
  const auto begin = [] {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    raise(SIGUSR1);
    alarm(100);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_SET_DUMPABLE, 0);
    run(g_self);
  };
  SHOW(status_of_child(begin));
  SHOW(status_of_child([] {
    char* const none[] = {nullptr};
    execve(g_self, none, none);
  }));
  SHOW(status_of_child([] { syscall(SYS_execve, g_self, nullptr, nullptr); }));
}

pid_t clone_as(pid_t* wanted, size_t count) {
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<unsigned long>(wanted);
  arguments.set_tid_size = count;
  return pid_t(syscall(SYS_clone3, &arguments, sizeof arguments));
}

void chosen_numbers() {
  pid_t wanted[2] = {1, 1};
  SHOW(clone_as(wanted, 1));
  SHOW(clone_as(wanted, 2));
  SHOW(clone_as(wanted, 33));
  SHOW(clone_as(wanted, 0));
  SHOW(clone_as(nullptr, 1));
  SHOW(clone_as(reinterpret_cast<pid_t*>(8), 1));
  wanted[0] = 0;
  SHOW(clone_as(wanted, 1));
  wanted[0] = -5;
  SHOW(clone_as(wanted, 1));
  wanted[0] = 1 << 23;
  SHOW(clone_as(wanted, 1));
  wanted[0] = 30'000;
  const pid_t made = clone_as(wanted, 1);
  if (made == 0) {
    const bool right = getpid() == 30'000;
    const pid_t next = fork();
    if (next == 0) _exit(0);
    waitpid(next, nullptr, 0);
    _exit(right && next != 30'000 && next > 1 ? 5 : 6);
  }
  SHOW(made);
  int status = 0;
  SHOW(waitpid(made, &status, 0));
  SHOW(WEXITSTATUS(status));
  clone_args arguments{};
  arguments.exit_signal = SIGCHLD;
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.cgroup = 999;
  SHOW(syscall(SYS_clone3, &arguments, sizeof arguments));
}

void children() {
  siginfo_t info{};
  const pid_t pid = fork();
  if (pid == 0) {
    setuid(12'345);
    raise(SIGTERM);
  }
  SHOW(waitid(P_PID, pid, &info, WEXITED));
  SHOW(info.si_uid);
  SHOW(info.si_status);
}

void released() {
  const auto release = [](int descriptor, unsigned flags = 0) { return syscall(448, descriptor, flags); };
  const int self = int(syscall(SYS_pidfd_open, getpid(), 0));
  SHOW(release(self));
  SHOW(release(self, 1));
  SHOW(release(999));
  SHOW(release(0));
  const pid_t pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  const int other = int(syscall(SYS_pidfd_open, pid, 0));
  SHOW(release(other));
  kill(pid, SIGKILL);
  await_state(pid, 'Z');
  SHOW(release(other));
  waitpid(pid, nullptr, 0);
  SHOW(release(other));
}

// As a user without rights.
void others() {
  const int segment = shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT);
  SHOW(shmctl(segment, SHM_LOCK, nullptr));
  SHOW(shmctl(segment, SHM_UNLOCK, nullptr));
  shmctl(segment, IPC_RMID, nullptr);
  const int status = status_of_child([] {
    const rlimit none{0, 0};
    setrlimit(RLIMIT_MEMLOCK, &none);
    CHECK(setuid(12'345) == 0);
    const int own = shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT);
    SHOW(shmctl(own, SHM_LOCK, nullptr));
    SHOW(shmctl(own, SHM_UNLOCK, nullptr));
    shmctl(own, IPC_RMID, nullptr);
    void* head;
    size_t bytes;
    SHOW(syscall(SYS_get_robust_list, 0, &head, &bytes));
    SHOW(syscall(SYS_get_robust_list, 1, &head, &bytes));
    SHOW(syscall(SYS_get_robust_list, getppid(), &head, &bytes));
  });
  SHOW(status);
}

}  // namespace

int main(int count, char** arguments) {
  show_lines();
  const ssize_t bytes = readlink("/proc/self/exe", g_self, sizeof g_self - 1);
  CHECK(bytes > 0);
  if (count == 0 || arguments[0][0] == 0 || count == 2) return child(count, arguments);
  char folder[] = "/tmp/exec-XXXXXX";
  mkdir("/tmp", 01777);
  CHECK(mkdtemp(folder) != nullptr && chdir(folder) == 0);
  check("refused", refused);
  check("busy files", busy);
  check("what is kept", kept);
  check("chosen numbers", chosen_numbers);
  check("children", children);
  check("memory of who ends", released);
  check("without rights", others);
  return finish();
}
