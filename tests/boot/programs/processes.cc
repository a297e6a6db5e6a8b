// fork, vfork, posix_spawn, exec: what C libraries and shells rest on.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <initializer_list>

#include "checks.h"

extern char** environ;

namespace {

const char* g_self;

int run(const char* mode, const char* extra = nullptr) {
  return status_of_child([=] {
    char* argv[] = {const_cast<char*>(g_self), const_cast<char*>(mode), const_cast<char*>(extra), nullptr};
    execve(g_self, argv, environ);
    _exit(99);
  });
}

void forks() {
  check("fork_copy_on_write", [] {
    auto* page = static_cast<volatile int*>(
        mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (int i = 0; i < (1 << 20) / 4; i += 1024) page[i] = i;
    const int status = status_of_child([=] {
      for (int i = 0; i < (1 << 20) / 4; i += 1024) {
        CHECK(page[i] == i);
        page[i] = -i - 1;
      }
      for (int i = 0; i < (1 << 20) / 4; i += 1024) CHECK(page[i] == -i - 1);
    });
    CHECK(status == 0);
    for (int i = 0; i < (1 << 20) / 4; i += 1024) CHECK(page[i] == i);
    munmap(const_cast<int*>(page), 1 << 20);
  });
  check("fork_shared_memory", [] {
    auto* page = static_cast<volatile int*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    page[0] = 1;
    CHECK(status_of_child([=] { page[0] = 2; }) == 0);
    CHECK(page[0] == 2);
    munmap(const_cast<int*>(page), 4096);
  });
  check("fork_of_fork", [] {
    const int status = status_of_child([] {
      const int inner = status_of_child([] { _exit(7); });
      _exit(WEXITSTATUS(inner) + 1);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 8);
  });
  check("ids", [] {
    const pid_t parent = getpid();
    const int status = status_of_child([=] {
      CHECK(getppid() == parent);
      CHECK(getpid() != parent);
      CHECK(syscall(SYS_gettid) == getpid());
    });
    CHECK(status == 0);
  });
  check("vfork", [] {
    volatile int value = 1;
    const pid_t child = vfork();
    if (child == 0) {
      value = 2;
      _exit(4);
    }
    CHECK(child > 0 && value == 2);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
  });
  check("vfork_exec", [] {
    const pid_t child = vfork();
    if (child == 0) {
      execl(g_self, g_self, "exit", "21", nullptr);
      _exit(99);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 21);
  });
  check("many_children", [] {
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < 20; ++i) {
        if (fork() == 0) _exit(i);
      }
      int sum = 0, status = 0;
      while (wait(&status) > 0) sum += WEXITSTATUS(status);
      CHECK(errno == ECHILD && sum == 190);
    }
  });
}

void spawns() {
  check("posix_spawn", [] {
    char* argv[] = {const_cast<char*>(g_self), const_cast<char*>("exit"), const_cast<char*>("33"), nullptr};
    pid_t child = 0;
    CHECK(posix_spawn(&child, g_self, nullptr, nullptr, argv, environ) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 33);
  });
  check("posix_spawn_missing", [] {
    char* argv[] = {const_cast<char*>("none"), nullptr};
    pid_t child = 0;
    CHECK(posix_spawn(&child, "/no/such/program", nullptr, nullptr, argv, environ) == ENOENT);
    CHECK(wait(nullptr) == -1 && errno == ECHILD);
  });
  check("posix_spawn_actions", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    char* argv[] = {const_cast<char*>(g_self), const_cast<char*>("echo"), const_cast<char*>("spawned"),
                    nullptr};
    pid_t child = 0;
    CHECK(posix_spawn(&child, g_self, &actions, nullptr, argv, environ) == 0);
    close(ends[1]);
    char text[16] = {};
    CHECK(read(ends[0], text, sizeof(text)) == 8 && strcmp(text, "spawned\n") == 0);
    CHECK(waitpid(child, nullptr, 0) == child);
    close(ends[0]);
  });
  if (access("/bin/sh", X_OK) == 0) {
    check("system", [] {
      const int status = system("exit 17");
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
    });
    check("popen", [] {
      FILE* pipe = popen("echo from popen", "r");
      CHECK(pipe != nullptr);
      char text[64] = {};
      CHECK(fgets(text, sizeof(text), pipe) != nullptr);
      CHECK(strcmp(text, "from popen\n") == 0);
      CHECK(pclose(pipe) == 0);
    });
  }
}

void write_file(const char* path, const char* text, mode_t mode) {
  unlink(path);
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
  CHECK(file >= 0);
  CHECK(write(file, text, strlen(text)) == static_cast<ssize_t>(strlen(text)));
  CHECK(fchmod(file, mode) == 0);
  close(file);
}

void execs() {
  check("exec_arguments", [] {
    const int status = status_of_child([] {
      char* argv[] = {const_cast<char*>("name"), const_cast<char*>("check"), const_cast<char*>(""),
                      const_cast<char*>("two words"), nullptr};
      char* environment[] = {const_cast<char*>("A=1"), const_cast<char*>("B="), nullptr};
      execve(g_self, argv, environment);
      _exit(99);
    });
    CHECK(status == 0);
  });
  check("exec_many_arguments", [] {
    const int status = status_of_child([] {
      static char text[1000];
      memset(text, 'x', sizeof(text) - 1);
      static char* argv[1003];
      argv[0] = const_cast<char*>("name");
      argv[1] = const_cast<char*>("count");
      for (int i = 2; i < 1002; ++i) argv[i] = text;
      execve(g_self, argv, environ);
      _exit(99);
    });
    CHECK(status == 0);
  });
  check("exec_errors", [] {
    char* argv[] = {const_cast<char*>("x"), nullptr};
    CHECK(execve("/no/such", argv, environ) == -1 && errno == ENOENT);
    CHECK(execve("/", argv, environ) == -1 && errno == EACCES);
    CHECK(execve(reinterpret_cast<char*>(8), argv, environ) == -1 && errno == EFAULT);
    CHECK(execve(g_self, reinterpret_cast<char**>(8), environ) == -1 && errno == EFAULT);
    char* bad[] = {const_cast<char*>("x"), reinterpret_cast<char*>(8), nullptr};
    CHECK(execve(g_self, bad, environ) == -1 && errno == EFAULT);
    write_file("/tmp/processes-plain", "not a program\n", 0600);
    CHECK(execve("/tmp/processes-plain/x", argv, environ) == -1 && errno == ENOTDIR);
    write_file("/tmp/processes-text", "not a program\n", 0700);
    CHECK(execve("/tmp/processes-text", argv, environ) == -1 && errno == ENOEXEC);
    write_file("/tmp/processes-empty", "", 0700);
    CHECK(execve("/tmp/processes-empty", argv, environ) == -1 && errno == ENOEXEC);
    write_file("/tmp/processes-script", "#!/no/such/interpreter\n", 0700);
    CHECK(execve("/tmp/processes-script", argv, environ) == -1 && errno == ENOENT);
    static char* huge[40];
    static char text[100'000];
    memset(text, 'x', sizeof(text) - 1);
    huge[0] = const_cast<char*>("x");
    for (int i = 1; i < 39; ++i) huge[i] = text;
    CHECK(execve(g_self, huge, environ) == -1 && errno == E2BIG);
    for (const char* name : {"plain", "text", "empty", "script"}) {
      char path[64];
      snprintf(path, sizeof(path), "/tmp/processes-%s", name);
      unlink(path);
    }
  });
  check("exec_script", [] {
    char line[300];
    snprintf(line, sizeof(line), "#! %s script-argument \nrest\n", g_self);
    write_file("/tmp/processes-script", line, 0700);
    const int status = status_of_child([] {
      char* argv[] = {const_cast<char*>("gone"), const_cast<char*>("one"), nullptr};
      execve("/tmp/processes-script", argv, environ);
      _exit(99);
    });
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 44);
    unlink("/tmp/processes-script");
  });
  check("exec_keeps_and_closes", [] {
    int ends[2], closed[2];
    CHECK(pipe(ends) == 0);
    CHECK(pipe2(closed, O_CLOEXEC) == 0);
    char text[32];
    snprintf(text, sizeof(text), "%d,%d", ends[1], closed[1]);
    CHECK(run("descriptors", text) == 0);
    close(ends[0]);
    close(ends[1]);
    close(closed[0]);
    close(closed[1]);
  });
  check("exec_resets_signals", [] {
    const int status = status_of_child([] {
      signal(SIGUSR1, SIG_IGN);
      signal(SIGUSR2, [](int) {});
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGTERM);
      sigprocmask(SIG_BLOCK, &set, nullptr);
      execl(g_self, g_self, "signals", nullptr);
      _exit(99);
    });
    CHECK(status == 0);
  });
}

void preemption() {
  check("round_robin", [] {
    // The parent spins until its children, which never sleep, have shared the processor with it.
    auto* flags = static_cast<volatile long*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t children[3];
    for (int i = 0; i < 3; ++i) {
      children[i] = fork();
      if (children[i] == 0) {
        while (flags[8] == 0) flags[i] = flags[i] + 1;
        _exit(0);
      }
    }
    while (flags[0] == 0 || flags[1] == 0 || flags[2] == 0) {
    }
    flags[8] = 1;
    for (const pid_t child : children) CHECK(waitpid(child, nullptr, 0) == child);
    munmap(const_cast<long*>(flags), 4096);
    CHECK(sched_yield() == 0);
  });
}

void system_facts() {
  check("uname", [] {
    utsname names;
    CHECK(uname(&names) == 0);
    CHECK(strcmp(names.sysname, "Linux") == 0 && strcmp(names.machine, "x86_64") == 0);
  });
  check("limits", [] {
    rlimit limit;
    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != 0);
    CHECK(getrlimit(static_cast<__rlimit_resource>(99), &limit) == -1 && errno == EINVAL);
  });
  check("unknown_call", [] { CHECK(syscall(600) == -1 && errno == ENOSYS); });
}

int child_mode(int argc, char** argv) {
  const char* mode = argv[1];
  if (strcmp(mode, "exit") == 0) return atoi(argv[2]);
  if (strcmp(mode, "echo") == 0) {
    puts(argv[2]);
    return 0;
  }
  if (strcmp(mode, "check") == 0) {
    CHECK(argc == 4 && strcmp(argv[0], "name") == 0 && argv[2][0] == 0 && strcmp(argv[3], "two words") == 0);
    CHECK(argv[4] == nullptr);
    CHECK(strcmp(environ[0], "A=1") == 0 && strcmp(environ[1], "B=") == 0 && environ[2] == nullptr);
    return 0;
  }
  if (strcmp(mode, "count") == 0) {
    CHECK(argc == 1002);
    for (int i = 2; i < argc; ++i) CHECK(strlen(argv[i]) == 999);
    return 0;
  }
  if (strcmp(mode, "script-argument") == 0) {
    CHECK(argc == 4 && strcmp(argv[2], "/tmp/processes-script") == 0 && strcmp(argv[3], "one") == 0);
    return 44;
  }
  if (strcmp(mode, "descriptors") == 0) {
    int kept = -1, closed = -1;
    CHECK(sscanf(argv[2], "%d,%d", &kept, &closed) == 2);
    CHECK(fcntl(kept, F_GETFD) == 0);
    CHECK(fcntl(closed, F_GETFD) == -1 && errno == EBADF);
    return 0;
  }
  if (strcmp(mode, "signals") == 0) {
    struct sigaction action;
    CHECK(sigaction(SIGUSR1, nullptr, &action) == 0 && action.sa_handler == SIG_IGN);
    CHECK(sigaction(SIGUSR2, nullptr, &action) == 0 && action.sa_handler == SIG_DFL);
    sigset_t set;
    CHECK(sigprocmask(SIG_BLOCK, nullptr, &set) == 0 && sigismember(&set, SIGTERM) == 1);
    return 0;
  }
  return 98;
}

}  // namespace

int main(int argc, char** argv) {
  g_self = argv[0];
  if (argc > 1) return child_mode(argc, argv);
  forks();
  spawns();
  execs();
  preemption();
  system_facts();
  return finish();
}
