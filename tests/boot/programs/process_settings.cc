// prctl(2): what a process says of itself, and what comes of it. The same on Linux.
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

void become_nobody() {
  CHECK(setgroups(0, nullptr) == 0 && setresgid(99, 99, 99) == 0 && setresuid(99, 99, 99) == 0);
}

void options_are_checked() {
  CHECK_ERRNO(prctl(9999, 0, 0, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 65), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, -1), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_DUMPABLE, 2), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_DUMPABLE, -1), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_TIMING, 1), EINVAL);
  CHECK(prctl(PR_SET_TIMING, 0) == 0 && prctl(PR_GET_TIMING) == 0);
  CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_CAPBSET_READ, 200), EINVAL);
  CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 200, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL);
  CHECK_ERRNO(prctl(PR_CAP_AMBIENT, 9, 0, 0, 0), EINVAL);
  for (const int option : {PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER, PR_SET_NAME, PR_GET_NAME}) {
    CHECK_ERRNO(prctl(option, 8), EFAULT);
  }
}

void words_are_kept() {
  int value = -1;
  CHECK(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == 0);
  CHECK(prctl(PR_SET_PDEATHSIG, 64) == 0 && prctl(PR_GET_PDEATHSIG, &value) == 0 && value == 64);
  CHECK(prctl(PR_GET_DUMPABLE) == 1 && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 7) == 0 && prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
  CHECK(status_of_child([] {
          int got = -1;
          CHECK(prctl(PR_GET_PDEATHSIG, &got) == 0 && got == 0);
          CHECK(prctl(PR_GET_CHILD_SUBREAPER, &got) == 0 && got == 0);
          CHECK(prctl(PR_GET_DUMPABLE) == 0);
        }) == 0);
  CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

void a_change_of_users_forgets() {
  CHECK(status_of_child([] {
          int got = -1;
          CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && setresuid(99, 99, 99) == 0);
          CHECK(prctl(PR_GET_PDEATHSIG, &got) == 0 && got == 0 && prctl(PR_GET_DUMPABLE) == 0);
        }) == 0);
}

void the_death_of_a_parent_is_told() {
  int told[2];
  CHECK(pipe(told) == 0);
  CHECK(status_of_child([&] {
          int ready[2];
          CHECK(pipe(ready) == 0);
          const pid_t parent = getpid();
          if (fork() == 0) {
            sigset_t set;
            sigemptyset(&set);
            sigaddset(&set, SIGUSR1);
            CHECK(sigprocmask(SIG_BLOCK, &set, nullptr) == 0 && prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
            CHECK(write(ready[1], "", 1) == 1);
            siginfo_t info{};
            CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
            const char right =
                info.si_code == SI_USER && info.si_pid == parent && info.si_uid == 0 && getppid() != parent
                    ? 'y'
                    : 'n';
            CHECK(write(told[1], &right, 1) == 1);
            _exit(0);
          }
          char c;
          CHECK(read(ready[0], &c, 1) == 1);
        }) == 0);
  char answer;
  CHECK(read(told[0], &answer, 1) == 1 && answer == 'y');
  CHECK(close(told[0]) == 0 && close(told[1]) == 0);
}

void children_come_to_who_asked() {
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  int told[2];
  int go[2];
  CHECK(pipe(told) == 0 && pipe(go) == 0);
  const pid_t self = getpid();
  CHECK(status_of_child([&] {
          // Two generations end above it: one that lives, one that ended already.
          if (fork() == 0) {
            pid_t grandchild = fork();
            if (grandchild == 0) {
              char c;
              CHECK(read(go[0], &c, 1) == 1);
              const pid_t parent = getppid();
              CHECK(write(told[1], &parent, sizeof(parent)) == sizeof(parent));
              _exit(7);
            }
            CHECK(write(told[1], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
            grandchild = fork();
            if (grandchild == 0) _exit(8);
            siginfo_t info;
            CHECK(waitid(P_PID, static_cast<id_t>(grandchild), &info, WEXITED | WNOWAIT) == 0);
            _exit(9);
          }
          int status;
          CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 9);
        }) == 0);
  pid_t first = 0;
  CHECK(read(told[0], &first, sizeof(first)) == sizeof(first));
  int status = 0;
  CHECK(wait(&status) > 0 && WEXITSTATUS(status) == 8);
  CHECK(write(go[1], "", 1) == 1);
  pid_t parent = 0;
  CHECK(read(told[0], &parent, sizeof(parent)) == sizeof(parent) && parent == self);
  CHECK(waitpid(first, &status, 0) == first && WEXITSTATUS(status) == 7);
  CHECK_ERRNO(wait(&status), ECHILD);
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
  for (const int file : {told[0], told[1], go[0], go[1]}) CHECK(close(file) == 0);
}

void no_new_privileges_stay() {
  CHECK(status_of_child([] {
          CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
          CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
          CHECK(status_of_child([] { CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1); }) == 0);
        }) == 0);
}

__user_cap_data_struct capabilities(int part = 0) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2];
  CHECK(syscall(SYS_capget, &header, sets) == 0);
  return sets[part];
}

void capabilities_are_kept() {
  CHECK(status_of_child([] {
          CHECK(prctl(PR_GET_KEEPCAPS) == 0 && prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
          CHECK(prctl(PR_GET_SECUREBITS) == SECBIT_KEEP_CAPS);
          const unsigned before = capabilities().permitted;
          become_nobody();
          CHECK(capabilities().permitted == before && capabilities().effective == 0);
        }) == 0);
  CHECK(status_of_child([] {
          become_nobody();
          CHECK(capabilities().permitted == 0);
          CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
          CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0), EPERM);
          CHECK_ERRNO(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM);
          CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 200), EPERM);
        }) == 0);
}

void bits_are_locked() {
  CHECK(status_of_child([] {
          CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0x1000), EPERM);
          CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE) == 0);
          CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 1), EPERM);
          CHECK_ERRNO(prctl(PR_SET_SECUREBITS, 0), EPERM);
          CHECK_ERRNO(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_KEEP_CAPS), EPERM);
          CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM);
          CHECK(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT) == 0);
          CHECK(prctl(PR_GET_SECUREBITS) == (SECBIT_KEEP_CAPS_LOCKED | SECBIT_NOROOT));
        }) == 0);
}

void bounds_and_ambience() {
  CHECK(status_of_child([] {
          CHECK(prctl(PR_CAPBSET_READ, CAP_KILL) == 1 && prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
          CHECK(prctl(PR_CAPBSET_READ, CAP_KILL) == 0 && prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
          CHECK((capabilities().permitted & 1u << CAP_KILL) != 0);
          CHECK_ERRNO(prctl(PR_CAPBSET_DROP, 200), EINVAL);
        }) == 0);
  CHECK(status_of_child([] {
          const auto ambient = [](int what) { return prctl(PR_CAP_AMBIENT, what, CAP_KILL, 0, 0); };
          __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
          __user_cap_data_struct sets[2];
          CHECK(syscall(SYS_capget, &header, sets) == 0);
          sets[0].inheritable = sets[1].inheritable = 0;
          CHECK(syscall(SYS_capset, &header, sets) == 0);
          CHECK_ERRNO(ambient(PR_CAP_AMBIENT_RAISE), EPERM);
          sets[0].inheritable = 1u << CAP_KILL;
          CHECK(syscall(SYS_capset, &header, sets) == 0);
          CHECK(ambient(PR_CAP_AMBIENT_IS_SET) == 0 && ambient(PR_CAP_AMBIENT_RAISE) == 0);
          CHECK(ambient(PR_CAP_AMBIENT_IS_SET) == 1 && ambient(PR_CAP_AMBIENT_LOWER) == 0);
          CHECK(ambient(PR_CAP_AMBIENT_IS_SET) == 0 && ambient(PR_CAP_AMBIENT_RAISE) == 0);
          CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
          CHECK(ambient(PR_CAP_AMBIENT_IS_SET) == 0);
        }) == 0);
}

void modes_in_proc_stay() {
  for (const char* const path : {"/proc/self/status", "/proc/self/comm", "/proc/self", "/proc/self/task",
                                 "/proc/sys", "/proc/sys/kernel/pid_max"}) {
    const int file = open(path, O_RDONLY);
    CHECK(file >= 0);
    CHECK_ERRNO(fchmod(file, 0600), EPERM);
    CHECK_ERRNO(chmod(path, 0600), EPERM);
    CHECK(close(file) == 0);
  }
}

}  // namespace

int main() {
  signal(SIGCHLD, SIG_DFL);
  check("options are checked", options_are_checked);
  check("words are kept", words_are_kept);
  check("a change of users forgets", a_change_of_users_forgets);
  check("the death of a parent is told", the_death_of_a_parent_is_told);
  // In a process of its own: orphans of others come to the first one.
  check("children come to who asked", [] { CHECK(status_of_child(children_come_to_who_asked) == 0); });
  check("no new privileges stay", no_new_privileges_stay);
  check("capabilities are kept", capabilities_are_kept);
  check("bits are locked", bits_are_locked);
  check("modes in /proc stay", modes_in_proc_stay);
  check("bounds and ambience", bounds_and_ambience);
  return finish();
}
