// Names of the system, priorities, personality, the kernel's log.
#include <sys/klog.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

void print(const char* what, long result) {
  printf("%s %ld errno %d\n", what, result, result < 0 ? errno : 0);
  errno = 0;
}

void names() {
  utsname before, after;
  CHECK(uname(&before) == 0);
  if (unshare(CLONE_NEWUTS) != 0) errno = 0;  // where there is none, there is nobody else either
  print("sethostname", sethostname("a-name", 6));
  CHECK(uname(&after) == 0);
  printf("%s\n", after.nodename);
  print("sethostname -1", syscall(SYS_sethostname, "a", -1));
  print("sethostname 65", syscall(SYS_sethostname, "a", 65));
  print("sethostname nowhere", syscall(SYS_sethostname, 16, 3));
  print("setdomainname", setdomainname("domain", 6));
  CHECK(uname(&after) == 0);
  printf("%s\n", after.domainname);
  print("setdomainname -1", syscall(SYS_setdomainname, "a", -1));
  print("setdomainname 65", syscall(SYS_setdomainname, "a", 65));
  print("empty", sethostname("", 0));
  CHECK(uname(&after) == 0);
  printf("'%s'\n", after.nodename);
  print("uname nowhere", syscall(SYS_uname, 16));
  CHECK(sethostname(before.nodename, strlen(before.nodename)) == 0);
}

void priorities() {
  (void)setpgid(0, 0);
  print("get", syscall(SYS_getpriority, PRIO_PROCESS, 0));
  print("set", setpriority(PRIO_PROCESS, 0, 5));
  print("get", syscall(SYS_getpriority, PRIO_PROCESS, 0));
  print("in a child",
        WEXITSTATUS(status_of_child([] { _exit(int(syscall(SYS_getpriority, PRIO_PROCESS, 0))); })));
  print("group", syscall(SYS_getpriority, PRIO_PGRP, 0));
  print("set 100", setpriority(PRIO_PGRP, 0, 100));
  print("get", syscall(SYS_getpriority, PRIO_PGRP, getpid()));
  print("which", syscall(SYS_getpriority, 3, 0));
  print("which", setpriority(-1, 0, 0));
  print("nobody", setpriority(PRIO_PROCESS, 999'999'999, 0));
  print("nobody", syscall(SYS_getpriority, PRIO_PGRP, 999'999'999));
  print("nobody", syscall(SYS_getpriority, PRIO_USER, 77'777));
  for (const int value : {4 << 13, 2 << 13 | 3, 3 << 13, 0, 1})
    print("ioprio_set", syscall(SYS_ioprio_set, 1, 0, value));
  CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 3) == 0);
  print("ioprio_get", syscall(SYS_ioprio_get, 1, 0));
  print("ioprio which", syscall(SYS_ioprio_get, 4, 0));
  print("ioprio which", syscall(SYS_ioprio_set, 0, 0, 2 << 13));
  print("ioprio nobody", syscall(SYS_ioprio_get, 1, 999'999'999));
}

void words() {
  print("personality", personality(0xffff'ffff));
  print("set", personality(ADDR_NO_RANDOMIZE));
  print("personality", personality(0xffff'ffff));
  print("in a child",
        WEXITSTATUS(status_of_child([] { _exit(personality(0xffff'ffff) == ADDR_NO_RANDOMIZE); })));
  print("back", personality(PER_LINUX));
}

void an_old_number() {
  utsname now, old;
  CHECK(uname(&now) == 0 && personality(UNAME26) >= 0);
  memset(&old, 'x', sizeof old);
  CHECK(uname(&old) == 0 && personality(PER_LINUX) == UNAME26);
  int major, minor, end = 0, rest = 0, claimed;
  CHECK(sscanf(now.release, "%d.%d%n%*[0-9.]%n", &major, &minor, &end, &rest) == 2);
  CHECK(sscanf(old.release, "2.6.%d%n", &claimed, &end) == 1 && claimed == minor + 60);
  CHECK(strcmp(old.release + end, now.release + strcspn(now.release, "-+")) == 0);
  for (size_t i = strlen(old.release); i < sizeof old.release; ++i) CHECK(old.release[i] == 0);
  CHECK(strcmp(old.version, now.version) == 0);
}

void log() {
  char text[16];
  print("type", klogctl(-1, text, 1));
  print("type", klogctl(11, text, 1));
  print("no buffer", klogctl(3, nullptr, 1));
  print("length", klogctl(3, text, -1));
  print("level 0", klogctl(8, nullptr, 0));
  print("level 9", klogctl(8, nullptr, 9));
}

}  // namespace

int main() {
  check("names", names);
  check("priorities", priorities);
  check("words", words);
  check("an_old_number", an_old_number);
  check("log", log);
  return finish();
}
