// openat2(2): rules for a walk, and what it refuses that open ignores. The same on Linux.
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cstdint>

#include "tests/boot/programs/file_checks.h"

namespace {

int asked(int directory, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode = 0) {
  const open_how how = {flags, mode, resolve};
  return static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}
bool opens(int directory, const char* path, uint64_t resolve, uint64_t flags = O_RDONLY) {
  const int file = asked(directory, path, flags, resolve);
  return file >= 0 && close(file) == 0;
}
#define REFUSES(path, resolve, error) CHECK_ERRNO(asked(folder, path, O_RDONLY, resolve), error)

void sizes_are_checked() {
  struct {
    open_how how;
    char more[8];
  } grown = {};
  CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &grown, sizeof(open_how) - 1), EINVAL);
  CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &grown, 0), EINVAL);
  CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &grown, 4097), E2BIG);
  CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", 8, sizeof(open_how)), EFAULT);
  const long file = syscall(SYS_openat2, AT_FDCWD, ".", &grown, sizeof(grown));
  CHECK(file >= 0 && close(static_cast<int>(file)) == 0);
  grown.more[7] = 1;
  CHECK_ERRNO(syscall(SYS_openat2, AT_FDCWD, ".", &grown, sizeof(grown)), E2BIG);
}

void what_open_ignores_is_refused() {
  CHECK_ERRNO(asked(AT_FDCWD, ".", 1ull << 40, 0), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, ".", 4, 0), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, ".", O_RDONLY, 64), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, ".", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, ".", O_RDONLY, 0, 0600), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0, 010600), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, ".", O_PATH | O_RDWR, 0), EINVAL);
  CHECK_ERRNO(asked(AT_FDCWD, "new", O_WRONLY | O_CREAT, RESOLVE_CACHED, 0600), EAGAIN);
  const int file = asked(AT_FDCWD, "new", O_WRONLY | O_CREAT, 0, 0640);
  CHECK(file >= 0 && close(file) == 0 && (stat_of("new").st_mode & 07777) == 0640 && unlink("new") == 0);
  CHECK_ERRNO(asked(99, "new", O_RDONLY, 0), EBADF);
}

void walks_are_restricted() {
  CHECK(mkdir("folder", 0755) == 0 && mkdir("folder/inner", 0755) == 0);
  put("outside", "o");
  put("folder/file", "f");
  CHECK(symlink("file", "folder/link") == 0 && symlink("/file", "folder/absolute") == 0);
  CHECK(symlink("../outside", "folder/out") == 0 && symlink("/proc/self/exe", "folder/far") == 0);
  const int folder = open("folder", O_PATH | O_DIRECTORY | O_CLOEXEC);
  CHECK(folder >= 0);
  constexpr uint64_t kBeneath = RESOLVE_BENEATH, kRoot = RESOLVE_IN_ROOT;
  for (const uint64_t rule : {kBeneath, kRoot}) {
    CHECK(opens(folder, "file", rule) && opens(folder, "link", rule) && opens(folder, ".", rule));
    CHECK(opens(folder, "inner/../file", rule));
    REFUSES("none", rule, ENOENT);
  }
  REFUSES("..", kBeneath, EXDEV);
  REFUSES("../folder/file", kBeneath, EXDEV);
  REFUSES("out", kBeneath, EXDEV);
  REFUSES("absolute", kBeneath, EXDEV);
  REFUSES("/file", kBeneath, EXDEV);
  CHECK(opens(folder, "..", kRoot) && opens(folder, "../../file", kRoot) && opens(folder, "/file", kRoot));
  CHECK(opens(folder, "absolute", kRoot));
  REFUSES("out", kRoot, ENOENT);
  CHECK_ERRNO(asked(99, "/file", O_RDONLY, kRoot), EBADF);
  CHECK_ERRNO(asked(99, "/file", O_RDONLY, kBeneath), EXDEV);
  REFUSES("far", kRoot, ENOENT);
  REFUSES("link", RESOLVE_NO_SYMLINKS, ELOOP);
  REFUSES("far", RESOLVE_NO_SYMLINKS, ELOOP);
  CHECK(opens(folder, "link", RESOLVE_NO_SYMLINKS, O_PATH | O_NOFOLLOW) &&
        opens(folder, "file", RESOLVE_NO_SYMLINKS));
  REFUSES("far", RESOLVE_NO_MAGICLINKS, ELOOP);
  CHECK(opens(folder, "link", RESOLVE_NO_MAGICLINKS) && opens(folder, "far", 0));
  CHECK(opens(folder, "out", RESOLVE_NO_XDEV) && opens(folder, "link", RESOLVE_NO_XDEV | RESOLVE_CACHED));
  const int root = open("/", O_PATH | O_CLOEXEC);
  const int proc = open("/proc", O_PATH | O_CLOEXEC);
  CHECK(root >= 0 && proc >= 0);
  CHECK_ERRNO(asked(root, "proc/self/stat", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
  CHECK_ERRNO(asked(proc, "..", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
  CHECK_ERRNO(asked(proc, "self/exe", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
  CHECK_ERRNO(asked(proc, "self/exe", O_RDONLY, kBeneath), EXDEV);
  CHECK(opens(proc, "self/stat", RESOLVE_NO_XDEV) && opens(root, "proc/self/stat", kBeneath));
  for (const int one : {folder, root, proc}) CHECK(close(one) == 0);
}

}  // namespace

int main() {
  begin_with_fresh_directory();
  check("sizes are checked", sizes_are_checked);
  check("what open ignores is refused", what_open_ignores_is_refused);
  check("walks are restricted", walks_are_restricted);
  return finish();
}
