// Signals about files: F_SETOWN and its kin, F_SETSIG, O_ASYNC, leases, F_NOTIFY. The same on Linux.
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "tests/boot/programs/answers.h"

namespace {

sigset_t g_signals;

// What is pending of them, first to last.
void heard(const char* what, int file) {
  printf("  %s:", what);
  const timespec now = {0, 0};
  siginfo_t info;
  int number;
  while ((number = sigtimedwait(&g_signals, &info, &now)) > 0) {
    const char* name = number == SIGIO     ? "SIGIO"
                       : number == SIGUSR1 ? "SIGUSR1"
                       : number == SIGURG  ? "SIGURG"
                                           : "RT";
    printf(" %s code %d", name, info.si_code);
    if (info.si_code > 0 && info.si_code < 0x80) {
      printf(" band %lx %s", static_cast<unsigned long>(info.si_band),
             info.si_fd == file ? "its fd" : "another fd");
    }
    printf(";");
  }
  printf("\n");
}

void owners() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const int file = ends[0];
  f_owner_ex owner = {};
  SAY(fcntl(file, F_GETOWN_EX, &owner));
  printf("  type %d pid %d\n", owner.type, owner.pid);
  SAY(fcntl(file, F_GETOWN));
  SAY(fcntl(file, F_SETOWN, getpid()));
  SAY(fcntl(file, F_GETOWN) == getpid());
  SAY(fcntl(file, F_GETOWN_EX, &owner));
  printf("  type %d mine %d\n", owner.type, owner.pid == getpid());
  SAY(fcntl(file, F_SETOWN, -getpgrp()));
  SAY(fcntl(file, F_GETOWN_EX, &owner));
  printf("  type %d group %d\n", owner.type, owner.pid == getpgrp());
  owner = {F_OWNER_TID, static_cast<pid_t>(syscall(SYS_gettid))};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  SAY(fcntl(file, F_GETOWN) == getpid());
  owner = {static_cast<__pid_type>(3), 1};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  owner = {F_OWNER_PID, 3999999};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  owner = {F_OWNER_PGRP, 3999999};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  owner = {F_OWNER_PID, -1};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  SAY(fcntl(file, F_SETOWN_EX, 8));
  SAY(fcntl(file, F_GETOWN_EX, 8));
  SAY(fcntl(file, F_SETOWN, INT_MIN));
  SAY(fcntl(file, F_SETOWN, -3999999));
  owner = {F_OWNER_PID, 0};
  SAY(fcntl(file, F_SETOWN_EX, &owner));
  SAY(fcntl(file, F_GETOWN));
  // One that ended owns nothing any more.
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  SAY(fcntl(file, F_SETOWN, child));
  SAY(fcntl(file, F_GETOWN) == child);
  CHECK(kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child);
  SAY(fcntl(file, F_GETOWN));
  close(ends[0]);
  close(ends[1]);
}

void events_of_pipes() {
  int ends[2];
  CHECK(pipe(ends) == 0);
  char buffer[8];
  SAY(fcntl(ends[0], F_SETFL, O_ASYNC));
  SAY(fcntl(ends[0], F_GETFL));
  CHECK(write(ends[1], "a", 1) == 1);
  heard("nobody owns it", ends[0]);
  SAY(fcntl(ends[0], F_SETOWN, getpid()));
  CHECK(read(ends[0], buffer, 8) == 1 && write(ends[1], "a", 1) == 1);
  heard("written", ends[0]);
  CHECK(write(ends[1], "a", 1) == 1);
  heard("written again", ends[0]);
  SAY(fcntl(ends[0], F_SETSIG, SIGUSR1));
  CHECK(read(ends[0], buffer, 8) == 2);
  heard("read", ends[0]);
  CHECK(write(ends[1], "a", 1) == 1);
  heard("written", ends[0]);
  SAY(fcntl(ends[0], F_SETSIG, SIGRTMIN + 1));
  CHECK(read(ends[0], buffer, 8) == 1 && write(ends[1], "a", 1) == 1 && read(ends[0], buffer, 8) == 1 &&
        write(ends[1], "a", 1) == 1);
  heard("written twice", ends[0]);
  f_owner_ex owner = {F_OWNER_TID, static_cast<pid_t>(syscall(SYS_gettid))};
  SAY(fcntl(ends[0], F_SETOWN_EX, &owner));
  CHECK(read(ends[0], buffer, 8) == 1 && write(ends[1], "a", 1) == 1);
  heard("for the thread", ends[0]);
  SAY(fcntl(ends[0], F_SETOWN, -getpgrp()));
  CHECK(read(ends[0], buffer, 8) == 1 && write(ends[1], "a", 1) == 1);
  heard("for the group", ends[0]);
  int copy = dup(ends[0]);
  CHECK(close(ends[0]) == 0);
  CHECK(read(copy, buffer, 8) == 1 && write(ends[1], "a", 1) == 1);
  heard("by its old number", ends[0]);
  SAY(fcntl(copy, F_SETFL, 0));
  CHECK(read(copy, buffer, 8) == 1 && write(ends[1], "a", 1) == 1);
  heard("no more", copy);
  close(copy);
  close(ends[1]);
  heard("closed", 0);
}

void events_of_sockets() {
  int pair[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  char buffer[8];
  int on = 1;
  SAY(ioctl(pair[0], FIOASYNC, &on));
  SAY(fcntl(pair[0], F_GETFL));
  SAY(fcntl(pair[0], F_SETOWN, getpid()));
  SAY(fcntl(pair[0], F_SETSIG, SIGUSR1));
  CHECK(write(pair[1], "a", 1) == 1);
  heard("written", pair[0]);
  CHECK(read(pair[0], buffer, 8) == 1);
  heard("read", pair[0]);
  close(pair[1]);
  heard("closed", pair[0]);
  close(pair[0]);
}

void leases() {
  put("file", "text");
  int file = open("file", O_RDONLY);
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_SETLEASE, F_UNLCK));
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_GETOWN) == getpid());
  SAY(fcntl(file, F_SETLEASE, F_WRLCK));
  SAY(fcntl(file, F_GETLEASE));
  int other = open("file", O_RDONLY | O_NONBLOCK);
  SAY_OF("open to read beside a write lease", other);
  heard("opened", file);
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_GETLEASE));
  other = open("file", O_RDONLY | O_NONBLOCK);
  SAY_OF("open to read beside a read lease", other > 0);
  heard("opened", file);
  SAY(fcntl(file, F_SETLEASE, F_WRLCK));
  SAY(fcntl(other, F_SETLEASE, F_RDLCK));
  SAY(fcntl(other, F_SETLEASE, F_WRLCK));
  SAY_OF("open to write", open("file", O_WRONLY | O_NONBLOCK));
  heard("opened to write", file);
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(other, F_GETLEASE));
  SAY(fcntl(other, F_SETLEASE, F_UNLCK));
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_GETLEASE));
  SAY(fcntl(file, F_SETLEASE, F_UNLCK));
  SAY(fcntl(file, F_GETLEASE));
  close(other);
  const int writer = open("file", O_WRONLY);
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_SETLEASE, F_WRLCK));
  SAY(fcntl(writer, F_SETLEASE, F_WRLCK));
  close(file);
  SAY(fcntl(writer, F_SETLEASE, F_RDLCK));
  SAY(fcntl(writer, F_SETLEASE, F_WRLCK));
  close(writer);
  CHECK(mkdir("folder", 0755) == 0);
  file = open("folder", O_RDONLY);
  SAY(fcntl(file, F_GETLEASE));
  close(file);
  file = open("file", O_RDWR);
  SAY(fcntl(file, F_SETLEASE, F_RDLCK));
  SAY(fcntl(file, F_SETLEASE, F_WRLCK));
  SAY(fcntl(file, F_SETSIG, SIGRTMIN + 1));
  // Somebody waits, and goes on.
  for (int how = 0; how < 5; ++how) {
    const int lease = how == 4 ? F_RDLCK : F_WRLCK;
    if (how == 4) {
      close(file);
      file = open("file", O_RDONLY);
      SAY(fcntl(file, F_SETSIG, SIGRTMIN + 1));
    }
    SAY(fcntl(file, F_SETLEASE, lease));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      close(file);
      if (how == 0) _exit(open("file", O_RDONLY) < 0);
      if (how == 1) _exit(open("file", O_WRONLY) < 0);
      if (how == 2) _exit(open("file", O_RDONLY | O_TRUNC) < 0);
      _exit(truncate("file", 0) != 0);
    }
    siginfo_t info;
    const timespec long_time = {100, 0};
    printf("  way %d: %d", how, sigtimedwait(&g_signals, &info, &long_time) == SIGRTMIN + 1);
    printf(" code %d band %lx fd %d\n", info.si_code, static_cast<unsigned long>(info.si_band),
           info.si_fd == file);
    SAY(fcntl(file, F_GETLEASE));
    SAY(fcntl(file, F_SETLEASE, F_RDLCK));
    SAY(fcntl(file, F_GETLEASE));
    if (how != 0) SAY(fcntl(file, F_SETLEASE, F_UNLCK));
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    if (how == 0) SAY(fcntl(file, F_SETLEASE, F_UNLCK));
  }
  close(file);
  as_user(65534, [] {
    const int there = open("file", O_RDONLY);
    SAY(fcntl(there, F_SETLEASE, F_RDLCK));
  });
}

void directories() {
  CHECK(mkdir("watched", 0755) == 0 && mkdir("watched/sub", 0755) == 0 && mkdir("elsewhere", 0755) == 0);
  const int folder = open("watched", O_RDONLY);
  const int sub = open("watched/sub", O_RDONLY);
  SAY(fcntl(folder, F_SETSIG, SIGRTMIN + 1));
  SAY(fcntl(folder, F_NOTIFY, DN_CREATE));
  put("watched/file", "text");
  put("watched/other", "text");
  heard("once", folder);
  SAY(fcntl(folder, F_NOTIFY, DN_CREATE | DN_MODIFY | DN_DELETE | DN_RENAME | DN_ATTRIB | DN_MULTISHOT));
  put("watched/file", "text");
  heard("written", folder);
  CHECK(contents("watched/file") == "text");
  heard("read", folder);
  CHECK(chmod("watched/file", 0600) == 0);
  heard("mode", folder);
  CHECK(rename("watched/file", "watched/name") == 0);
  heard("renamed", folder);
  CHECK(rename("watched/name", "elsewhere/name") == 0);
  heard("moved away", folder);
  CHECK(rename("elsewhere/name", "watched/name") == 0);
  heard("moved here", folder);
  CHECK(unlink("watched/name") == 0);
  heard("removed", folder);
  CHECK(chmod("watched", 0700) == 0);
  heard("its own mode", folder);
  SAY(fcntl(sub, F_SETSIG, SIGRTMIN + 1));
  SAY(fcntl(sub, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT));
  CHECK(chmod("watched/sub", 0700) == 0);
  heard("of the inner", sub);
  SAY(fcntl(folder, F_NOTIFY, 0));
  put("watched/file", "text");
  heard("no more", folder);
  SAY(fcntl(folder, F_SETSIG, 0));
  SAY(fcntl(folder, F_NOTIFY, DN_ACCESS));
  CHECK(contents("watched/file") == "text");
  heard("read, by SIGIO", folder);
  const int setting = open("/proc/sys/fs/dir-notify-enable", O_WRONLY);
  CHECK(pwrite(setting, "0", 1, 0) == 1);
  SAY(fcntl(folder, F_NOTIFY, 0));
  CHECK(pwrite(setting, "1", 1, 0) == 1);
  close(setting);
  close(folder);
  close(sub);
}

}  // namespace

int main() {
  begin_in_tmpfs();
  CHECK(setpgid(0, 0) == 0 || getpgrp() == getpid());
  sigemptyset(&g_signals);
  for (const int number : {SIGIO, SIGUSR1, SIGURG, SIGRTMIN + 1}) sigaddset(&g_signals, number);
  CHECK(sigprocmask(SIG_BLOCK, &g_signals, nullptr) == 0);
  check("owners", owners);
  check("events of pipes", events_of_pipes);
  check("events of sockets", events_of_sockets);
  check("leases", leases);
  check("directories", directories);
  return finish();
}
