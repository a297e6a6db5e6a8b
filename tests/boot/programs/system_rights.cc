// Calls about the whole system that need a capability: what they say to those without it, and what to root
// when they make no sense. The same on Linux.
#include <sys/klog.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>

#include <initializer_list>

#include "tests/boot/programs/checks.h"

namespace {

constexpr uid_t kUser = 54351;
constexpr long kMagic = 0xfee1dead, kSecondMagic = 672'274'793;

void of_a_user() {
  CHECK(status_of_child([] {
          CHECK(setresuid(kUser, kUser, kUser) == 0);
          CHECK_ERRNO(sethostname("x", 1), EPERM);
          CHECK_ERRNO(syscall(SYS_sethostname, "x", -1), EPERM);
          CHECK_ERRNO(setdomainname("x", 1), EPERM);
          CHECK_ERRNO(syscall(SYS_reboot, 0, 0, 0, 0), EPERM);
          CHECK_ERRNO(syscall(SYS_reboot, kMagic, kSecondMagic, 0, 0), EPERM);
          char text[8];
          for (const int type : {0, 1, 2, 4, 5, 6, 7, 8, 9, 100}) CHECK_ERRNO(klogctl(type, text, 0), EPERM);
          const timespec then{1'700'000'000, 0};
          const timeval when{1'700'000'000, 0};
          CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &then), EPERM);
          CHECK_ERRNO(settimeofday(&when, nullptr), EPERM);
          timex step{};
          step.modes = ADJ_OFFSET;
          CHECK_ERRNO(adjtimex(&step), EPERM);
          step.modes = 0;
          CHECK(adjtimex(&step) >= 0);
          utsname name;
          CHECK(uname(&name) == 0);
        }) == 0);
}

void of_root() {
  CHECK_ERRNO(syscall(SYS_reboot, 0, kSecondMagic, 0, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_reboot, kMagic, 0, 0, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_reboot, kMagic, kSecondMagic, 12345, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_sethostname, "x", 65), EINVAL);
  CHECK_ERRNO(syscall(SYS_sethostname, "x", -1), EINVAL);
  CHECK_ERRNO(syscall(SYS_sethostname, 8, 5), EFAULT);
  CHECK_ERRNO(syscall(SYS_setdomainname, "x", 65), EINVAL);
  CHECK_ERRNO(syscall(SYS_setdomainname, 8, 5), EFAULT);
  char text[8];
  CHECK_ERRNO(klogctl(100, text, 0), EINVAL);
  CHECK_ERRNO(klogctl(2, nullptr, 0), EINVAL);
  CHECK_ERRNO(klogctl(3, text, -1), EINVAL);
  CHECK_ERRNO(klogctl(8, text, -1), EINVAL);
  CHECK_ERRNO(klogctl(8, text, 9), EINVAL);
  CHECK_ERRNO(syscall(SYS_uname, 8), EFAULT);
  CHECK_ERRNO(syscall(SYS_sysinfo, 8), EFAULT);
}

// Linux may be built without them.
void ports() {
  utsname name;
  CHECK(uname(&name) == 0);
  const bool there = syscall(SYS_iopl, 0) == 0;
  CHECK(there || (errno == ENOSYS && strstr(name.release, "nopte") == nullptr));
  if (!there) return;
  for (const int level : {1, 2, 3, 0}) CHECK(syscall(SYS_iopl, level) == 0);
  CHECK_ERRNO(syscall(SYS_iopl, 4), EINVAL);
  CHECK(syscall(SYS_ioperm, 0x378, 3, 1) == 0 && syscall(SYS_ioperm, 0x378, 3, 0) == 0);
  CHECK(syscall(SYS_ioperm, 65533, 3, 0) == 0);
  CHECK_ERRNO(syscall(SYS_ioperm, 65534, 3, 1), EINVAL);
  CHECK_ERRNO(syscall(SYS_ioperm, 0, 0, 1), EINVAL);
  CHECK_ERRNO(syscall(SYS_ioperm, 1, -1L, 1), EINVAL);
  CHECK(status_of_child([] {
          CHECK(setresuid(kUser, kUser, kUser) == 0);
          CHECK(syscall(SYS_iopl, 0) == 0 && syscall(SYS_ioperm, 0x378, 3, 0) == 0);
          CHECK_ERRNO(syscall(SYS_iopl, 1), EPERM);
          CHECK_ERRNO(syscall(SYS_iopl, 4), EINVAL);
          CHECK_ERRNO(syscall(SYS_ioperm, 65533, 3, 1), EPERM);
        }) == 0);
}

}  // namespace

int main() {
  check("of a user", of_a_user);
  check("of root", of_root);
  check("ports", ports);
  return finish();
}
