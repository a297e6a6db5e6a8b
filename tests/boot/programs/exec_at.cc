// execveat(2): programs by descriptor. The same on Linux.
#include <sys/syscall.h>

#include "tests/boot/programs/file_checks.h"

namespace {

// The exit status of what runs in a child, or 100 and the errno.
int executed(int directory, const char* path, int flags) {
  return WEXITSTATUS(status_of_child([&] {
    const char* const arguments[] = {"name", "run", nullptr};
    const char* const environment[] = {"WORD=value", nullptr};
    syscall(SYS_execveat, directory, path, arguments, environment, flags);
    _exit(100 + errno);
  }));
}
constexpr int kRan = 42;

void programs_by_descriptor() {
  put("program", contents("/proc/self/exe"));
  CHECK(chmod("program", 0755) == 0 && symlink("program", "link") == 0);
  const int folder = open(".", O_PATH);
  const int file = open("program", O_RDONLY | O_CLOEXEC);
  const int path = open("program", O_PATH);
  CHECK(folder >= 0 && file >= 0 && path >= 0);
  CHECK(executed(AT_FDCWD, "program", 0) == kRan && executed(folder, "program", 0) == kRan);
  CHECK(executed(folder, "link", 0) == kRan && executed(folder, "program", AT_SYMLINK_NOFOLLOW) == kRan);
  CHECK(executed(file, "", AT_EMPTY_PATH) == kRan && executed(path, "", AT_EMPTY_PATH) == kRan);
  CHECK(executed(99, "/proc/self/exe", 0) == kRan);
  CHECK(executed(folder, "link", AT_SYMLINK_NOFOLLOW) == 100 + ELOOP);
  CHECK(executed(file, "", 0) == 100 + ENOENT && executed(99, "", 0) == 100 + ENOENT);
  CHECK(executed(99, "", AT_EMPTY_PATH) == 100 + EBADF && executed(99, "program", 0) == 100 + EBADF);
  CHECK(executed(file, "program", 0) == 100 + ENOTDIR && executed(folder, "none", 0) == 100 + ENOENT);
  CHECK(executed(folder, "", AT_EMPTY_PATH) == 100 + EACCES);
  CHECK(executed(AT_FDCWD, "", AT_EMPTY_PATH) == 100 + EACCES);
  CHECK(executed(file, "", AT_EMPTY_PATH | 1) == 100 + EINVAL);
  CHECK(executed(folder, reinterpret_cast<char*>(8), 0) == 100 + EFAULT);
  CHECK(chmod("program", 0644) == 0 && executed(file, "", AT_EMPTY_PATH) == 100 + EACCES);
  CHECK(chmod("program", 0755) == 0);
  for (const int one : {folder, file, path}) CHECK(close(one) == 0);
}

void scripts_by_descriptor() {
  char here[256];
  CHECK(getcwd(here, sizeof(here)) != nullptr);
  put("script", std::string("#!") + here + "/program script\n");
  CHECK(chmod("script", 0755) == 0);
  const int folder = open(".", O_PATH);
  const int file = open("script", O_RDONLY);
  const int closed = open("script", O_RDONLY | O_CLOEXEC);
  CHECK(executed(folder, "script", 0) == kRan && executed(file, "", AT_EMPTY_PATH) == kRan);
  CHECK(executed(AT_FDCWD, "script", 0) == kRan);
  // Its name would be gone.
  CHECK(executed(closed, "", AT_EMPTY_PATH) == 100 + ENOENT);
  for (const int one : {folder, file, closed}) CHECK(close(one) == 0);
}

}  // namespace

int main(int count, char** arguments) {
  if (count > 1) {
    // As a script's interpreter: program, "script", the script's name, "run".
    const bool script =
        count == 4 && strcmp(arguments[1], "script") == 0 && contents(arguments[2]).starts_with("#!");
    const bool program = count == 2 && strcmp(arguments[0], "name") == 0;
    const char* const word = getenv("WORD");
    return (script || program) && strcmp(arguments[count - 1], "run") == 0 && word != nullptr ? kRan : 1;
  }
  begin_with_fresh_directory();
  check("programs by descriptor", programs_by_descriptor);
  check("scripts by descriptor", scripts_by_descriptor);
  return finish();
}
