// wait4, waitid, process groups and sessions.
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "tests/boot/programs/checks.h"

namespace {

const char* g_self;

void waits() {
  check("wait_status", [] {
    CHECK(WEXITSTATUS(status_of_child([] { _exit(255); })) == 255);
    CHECK(WTERMSIG(status_of_child([] { kill(getpid(), SIGKILL); })) == SIGKILL);
    CHECK(wait(nullptr) == -1 && errno == ECHILD);
    CHECK(waitpid(999'999, nullptr, 0) == -1 && errno == ECHILD);
    CHECK(waitpid(-1, nullptr, 0x1234'0000) == -1 && errno == EINVAL);
  });
  check("wait_before_the_signal", [] {
    static volatile int handled = 0;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = [](int) { handled = handled + 1; };
    CHECK(sigaction(SIGCHLD, &action, nullptr) == 0);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
      await_state(parent, 'S');
      _exit(3);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    CHECK(handled == 1);
    signal(SIGCHLD, SIG_DFL);
  });
  check("wait_nohang", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      char byte;
      close(ends[1]);
      CHECK(read(ends[0], &byte, 1) == 0);
      _exit(6);
    }
    CHECK(waitpid(child, nullptr, WNOHANG) == 0);
    close(ends[0]);
    close(ends[1]);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 6);
  });
  check("waitid", [] {
    const pid_t child = fork();
    if (child == 0) _exit(9);
    siginfo_t info = {};
    CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == child && info.si_status == 9 && info.si_code == CLD_EXITED);
    CHECK(waitid(P_PID, child, &info, WEXITED) == 0);
    CHECK(waitid(P_PID, child, &info, WEXITED) == -1 && errno == ECHILD);
  });
  // A child that ended has no other event to come: nothing is left to wait for.
  check("waitid_of_an_ended_child", [] {
    const pid_t child = fork();
    if (child == 0) _exit(9);
    siginfo_t info = {};
    CHECK(waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0);
    CHECK_ERRNO(waitid(P_PID, child, &info, WSTOPPED), ECHILD);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WCONTINUED | WSTOPPED | WNOHANG), ECHILD);
    const pid_t other = fork();
    if (other == 0) {
      pause();
      _exit(0);
    }
    CHECK(waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid == 0);
    CHECK(kill(other, SIGKILL) == 0);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WSTOPPED), ECHILD);  // it blocks until the last one has ended
    CHECK(waitpid(child, nullptr, 0) == child && waitpid(other, nullptr, 0) == other);
  });
  check("wait_for_clones", [] {
    // Without SIGCHLD at its end a child is waited for by those who ask for such ones.
    const auto silent = [] {
      const long child = syscall(SYS_clone, 0, nullptr, nullptr, nullptr, 0);
      if (child == 0) _exit(5);
      return static_cast<pid_t>(child);
    };
    pid_t child = silent();
    int status = 0;
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
    CHECK(waitpid(child, &status, __WCLONE) == child && WEXITSTATUS(status) == 5);
    child = silent();
    CHECK(waitpid(-1, &status, __WALL) == child && WEXITSTATUS(status) == 5);
    child = fork();
    if (child == 0) _exit(6);
    CHECK_ERRNO(waitpid(-1, &status, __WCLONE), ECHILD);
    CHECK(waitpid(-1, &status, __WALL) == child && WEXITSTATUS(status) == 6);
  });
  check("wait_for_clone_that_execs", [] {
    static char stack[64 << 10];
    const auto becomes_another = [](void*) { return execl(g_self, g_self, "child", nullptr); };
    const pid_t child = clone(becomes_another, stack + sizeof(stack), CLONE_VM | CLONE_VFORK, nullptr);
    int status = 0;
    CHECK(waitpid(-1, &status, 0) == child && WEXITSTATUS(status) == 8);
  });
  check("wait_rusage", [] {
    const pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 20'000'000; ++i) {
        asm volatile("");
      }
      _exit(0);
    }
    rusage usage = {};
    int status = 0;
    CHECK(wait4(child, &status, 0, &usage) == child);
    CHECK(usage.ru_utime.tv_sec > 0 || usage.ru_utime.tv_usec > 0);
  });
  check("orphans_go_on", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const int status = status_of_child([=] {
      if (fork() == 0) {
        while (getppid() > 1 && getppid() != 1) {
          timespec time{0, 1'000'000};
          nanosleep(&time, nullptr);
          static int rounds;
          if (++rounds > 20) break;  // a host may have another reaper than 1
        }
        CHECK(write(ends[1], "z", 1) == 1);
        _exit(0);
      }
    });
    CHECK(status == 0);
    char byte = 0;
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'z');
    close(ends[0]);
    close(ends[1]);
  });
  check("orphans_from_the_start_stay_stopped", [] {
    // A session of its own: nobody holds its group, so that no end of a member can let go of it.
    const pid_t leader = fork();
    if (leader == 0) {
      CHECK(setsid() == getpid());
      const pid_t stopped = fork();
      if (stopped == 0) {
        raise(SIGSTOP);
        _exit(0);
      }
      int status = 0;
      CHECK(waitpid(stopped, &status, WUNTRACED) == stopped && WIFSTOPPED(status));
      const pid_t ends = fork();
      if (ends == 0) _exit(3);
      CHECK(waitpid(ends, &status, 0) == ends && WEXITSTATUS(status) == 3);
      CHECK(waitpid(stopped, &status, WNOHANG | WCONTINUED) == 0);
      CHECK(kill(stopped, SIGCONT) == 0);
      CHECK(waitpid(stopped, &status, 0) == stopped && status == 0);
      _exit(0);
    }
    int status = 0;
    CHECK(waitpid(leader, &status, 0) == leader && status == 0);
  });
  check("children_ignored", [] {
    const int status = status_of_child([] {
      signal(SIGCHLD, SIG_IGN);
      if (fork() == 0) _exit(1);
      CHECK(wait(nullptr) == -1 && errno == ECHILD);
    });
    CHECK(status == 0);
  });
}

void groups() {
  check("process_groups", [] {
    int ends[2];
    CHECK(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
      CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
      if (fork() == 0) {
        pause();
        _exit(0);
      }
      CHECK(write(ends[1], "r", 1) == 1);
      pause();
      _exit(0);
    }
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    CHECK(getpgid(child) == child);
    CHECK(kill(-child, SIGTERM) == 0);
    int status = 0;
    CHECK(waitpid(-child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    CHECK(kill(-999'999, SIGTERM) == -1 && errno == ESRCH);
    close(ends[0]);
    close(ends[1]);
  });
  check("sessions", [] {
    const int status = status_of_child([] {
      CHECK(setsid() == getpid());
      CHECK(getsid(0) == getpid() && getpgrp() == getpid());
      CHECK(setsid() == -1 && errno == EPERM);
    });
    CHECK(status == 0);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return 8;
  g_self = argv[0];
  waits();
  groups();
  return finish();
}
