// Users, groups and capabilities: who may become whom, and what the kernel then refuses. The same on Linux.
#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>

#include "tests/boot/programs/file_checks.h"

namespace {

constexpr uid_t kUser = 1000, kOther = 2000;

// In a child, so that nothing stays.
template <class Body>
void aside(Body body) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    body();
    _exit(0);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

bool users_are(uid_t real, uid_t effective, uid_t saved) {
  uid_t r, e, s;
  CHECK(getresuid(&r, &e, &s) == 0);
  return r == real && e == effective && s == saved;
}

__user_cap_data_struct capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  CHECK(syscall(SYS_capget, &header, data) == 0);
  return data[0];
}

void becoming_somebody() {
  CHECK_ERRNO(syscall(SYS_setuid, -1), EINVAL);
  CHECK_ERRNO(syscall(SYS_setgid, -1), EINVAL);
  aside([] {
    CHECK(syscall(SYS_setresuid, kUser, kUser, 0) == 0 && users_are(kUser, kUser, 0));
    CHECK(capabilities().effective == 0 && capabilities().permitted != 0);
    CHECK_ERRNO(syscall(SYS_setuid, kOther), EPERM);
    CHECK(syscall(SYS_setuid, 0) == 0 && users_are(kUser, 0, 0) && capabilities().effective != 0);
    CHECK(syscall(SYS_setuid, kOther) == 0 && users_are(kOther, kOther, kOther));
    CHECK(capabilities().permitted == 0);
    CHECK_ERRNO(syscall(SYS_setreuid, -1, 0), EPERM);
    CHECK_ERRNO(syscall(SYS_setresuid, -1, -1, 0), EPERM);
    CHECK_ERRNO(syscall(SYS_setgroups, 0, nullptr), EPERM);
    CHECK(setfsuid(0) == kOther && setfsuid(uid_t(-1)) == kOther);
  });
}

void groups() {
  aside([] {
    gid_t list[] = {30, 10, 20};
    CHECK(syscall(SYS_setgroups, 3, list) == 0);
    gid_t back[3] = {};
    CHECK_ERRNO(getgroups(2, back), EINVAL);
    CHECK(getgroups(0, nullptr) == 3 && getgroups(3, back) == 3 && back[0] == 10 && back[2] == 30);
    CHECK_ERRNO(syscall(SYS_setgroups, 65537, list), EINVAL);
    CHECK_ERRNO(syscall(SYS_setgroups, 1, 1), EFAULT);
  });
}

void files_of_others() {
  CHECK(mkdir("shut", 0700) == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
  put("sticky/roots", "r");
  CHECK(chmod("sticky/roots", 0640) == 0 && chown("sticky/roots", 0, 10) == 0);
  aside([] {
    CHECK(syscall(SYS_setgroups, 0, nullptr) == 0 && setgid(kUser) == 0 && setuid(kUser) == 0);
    CHECK_ERRNO(open("sticky/roots", O_RDONLY), EACCES);
    CHECK_ERRNO(access("sticky/roots", R_OK), EACCES);
    CHECK_ERRNO(open("shut/x", O_RDONLY), EACCES);
    CHECK_ERRNO(mkdir("shut/x", 0777), EACCES);
    CHECK_ERRNO(chdir("shut"), EACCES);
    CHECK_ERRNO(unlink("sticky/roots"), EPERM);
    CHECK_ERRNO(rename("sticky/roots", "sticky/mine"), EPERM);
    CHECK_ERRNO(chmod("sticky/roots", 0666), EPERM);
    CHECK_ERRNO(chown("sticky/roots", kUser, -1), EPERM);
    CHECK_ERRNO(truncate("sticky/roots", 0), EACCES);
    CHECK_ERRNO(utimensat(AT_FDCWD, "sticky/roots", nullptr, 0), EACCES);
    CHECK_ERRNO(mknod("sticky/device", S_IFCHR | 0600, 0x103), EPERM);
    CHECK_ERRNO(mknod("sticky/device", S_IFBLK | 0600, 0), EPERM);
    CHECK(mknod("sticky/whiteout", S_IFCHR | 0600, 0) == 0 && unlink("sticky/whiteout") == 0);
    CHECK_ERRNO(chroot("sticky"), EPERM);
    put("sticky/own", "o");
    CHECK(stat_of("sticky/own").st_uid == kUser && stat_of("sticky/own").st_gid == kUser);
    CHECK(chmod("sticky/own", 0400) == 0 && access("sticky/own", W_OK) == -1 && errno == EACCES);
    CHECK(unlink("sticky/own") == 0);
  });
  aside([] {
    gid_t ten = 10;
    CHECK(syscall(SYS_setgroups, 1, &ten) == 0 && setuid(kUser) == 0);
    CHECK(open("sticky/roots", O_RDONLY) >= 0);
    CHECK_ERRNO(open("sticky/roots", O_RDWR), EACCES);
  });
  CHECK_ERRNO(unlink("/"), EISDIR);
  CHECK_ERRNO(unlink("."), EISDIR);
  CHECK_ERRNO(unlink(".."), EISDIR);
  CHECK(unlink("sticky/roots") == 0 && rmdir("sticky") == 0 && rmdir("shut") == 0);
}

void signals_to_others() {
  const pid_t root = getpid();
  aside([root] {
    CHECK(setuid(kUser) == 0);
    CHECK_ERRNO(kill(root, 0), EPERM);
    CHECK(kill(getpid(), 0) == 0 && kill(root, SIGCONT) == 0);
  });
}

void capability_calls() {
  __user_cap_header_struct header{0, 0};
  __user_cap_data_struct data[2];
  CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
  CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
  header.pid = -1;
  CHECK_ERRNO(syscall(SYS_capget, &header, data), EINVAL);
  aside([&] {
    header.pid = getppid();
    CHECK(syscall(SYS_capget, &header, data) == 0);
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
  });
  aside([] {
    __user_cap_header_struct own{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2] = {};
    CHECK(syscall(SYS_capset, &own, none) == 0);
    none[0].permitted = 1;
    CHECK_ERRNO(syscall(SYS_capset, &own, none), EPERM);
    CHECK_ERRNO(chroot("/"), EPERM);
  });
}

}  // namespace

int main() {
  char place[] = "/tmp/credentials.XXXXXX";
  umask(0);
  CHECK(mkdtemp(place) != nullptr && chmod(place, 0777) == 0 && chdir(place) == 0);
  check("becoming_somebody", becoming_somebody);
  check("groups", groups);
  check("files_of_others", files_of_others);
  check("signals_to_others", signals_to_others);
  check("capability_calls", capability_calls);
  CHECK(chdir("/") == 0 && rmdir(place) == 0);
  return finish();
}
