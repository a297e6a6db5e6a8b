// Extended attributes of files in a tmpfs. The same on Linux.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "tests/boot/programs/answers.h"

namespace {

char* volatile g_bad = reinterpret_cast<char*>(8);

std::string listed(const char* path) {
  char names[512];
  const ssize_t bytes = listxattr(path, names, sizeof names);
  if (bytes < 0) return strerrorname_np(errno);
  std::string text(names, static_cast<size_t>(bytes));
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

void set_and_get() {
  put("file", "text");
  char value[64] = {};
  SAY(setxattr("file", "user.one", "1234", 4, 0));
  SAY(setxattr("file", "user.one", "12", 2, XATTR_CREATE));
  SAY(setxattr("file", "user.two", "12", 2, XATTR_REPLACE));
  SAY(setxattr("file", "user.one", "12345", 5, XATTR_REPLACE));
  SAY(getxattr("file", "user.one", value, sizeof value));
  printf("  %s\n", value);
  SAY(getxattr("file", "user.one", nullptr, 0));
  SAY(getxattr("file", "user.one", value, 4));
  SAY(getxattr("file", "user.one", value, 5));
  SAY(getxattr("file", "user.one", g_bad, 5));
  SAY(getxattr("file", "user.none", value, 5));
  SAY(setxattr("file", "user.empty", nullptr, 0, 0));
  SAY(getxattr("file", "user.empty", value, 5));
  SAY(setxattr("file", "user.zero", "", 0, XATTR_CREATE));
  SAY(setxattr("file", "trusted.one", "1", 1, 0));
  SAY(setxattr("file", "security.one", "1", 1, 0));
  printf("  %s\n", listed("file").c_str());
  SAY(listxattr("file", nullptr, 0));
  SAY(listxattr("file", value, 4));
  SAY(listxattr("file", g_bad, 512));
  SAY(removexattr("file", "user.zero"));
  SAY(removexattr("file", "user.zero"));
  printf("  %s\n", listed("file").c_str());
  CHECK(rename("file", "name") == 0);
  printf("  %s\n", listed("name").c_str());
}

void what_is_refused() {
  char value[64] = {};
  const std::string long_name = "user." + std::string(251, 'n');
  const std::string longest_name = "user." + std::string(250, 'n');
  const std::string big(65537, 'v');
  SAY(setxattr("name", long_name.c_str(), "1", 1, 0));
  SAY(setxattr("name", longest_name.c_str(), "1", 1, 0));
  SAY(removexattr("name", longest_name.c_str()));
  SAY(setxattr("name", "user.big", big.data(), 65537, 0));
  SAY(setxattr("name", "user.big", big.data(), 65536, 0));
  SAY(getxattr("name", "user.big", nullptr, 0));
  SAY(removexattr("name", "user.big"));
  SAY(setxattr("name", "", "1", 1, 0));
  SAY(setxattr("name", g_bad, "1", 1, 0));
  SAY(setxattr("name", "user.x", g_bad, 1, 0));
  SAY(setxattr("name", "user.x", "1", 1, 4));
  SAY(setxattr("name", "user.", "1", 1, 0));
  SAY(setxattr("name", "user", "1", 1, 0));
  SAY(setxattr("name", "none.x", "1", 1, 0));
  SAY(getxattr("name", "none.x", value, 1));
  SAY(getxattr("name", "user.", value, 1));
  SAY(getxattr("name", "", value, 1));
  SAY(removexattr("name", "none.x"));
  SAY(setxattr("missing", "user.x", "1", 1, 0));
  SAY(getxattr("missing", "user.x", value, 1));
  SAY(listxattr("missing", value, 1));
  SAY(removexattr("missing", "user.x"));
  SAY(listxattr("", value, 1));
  SAY(listxattr(g_bad, value, 1));
  SAY(fsetxattr(99, "user.x", "1", 1, 0));
  SAY(fgetxattr(99, "user.x", value, 1));
  SAY(flistxattr(99, value, 1));
  SAY(fremovexattr(99, "user.x"));
}

void kinds_of_files() {
  char value[64] = {};
  CHECK(mkdir("folder", 0755) == 0 && symlink("name", "link") == 0 && mkfifo("fifo", 0644) == 0);
  CHECK(mknod("device", S_IFCHR | 0666, 0x103) == 0);
  const int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {AF_UNIX, "socket"};
  CHECK(bind(socket_file, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  for (const char* file : {"folder", "fifo", "device", "socket", "link"}) {
    printf(" %s\n", file);
    SAY(lsetxattr(file, "user.x", "1", 1, 0));
    SAY(lgetxattr(file, "user.x", value, 1));
    SAY(lremovexattr(file, "user.x"));
    SAY(lsetxattr(file, "trusted.x", "1", 1, 0));
    SAY(lsetxattr(file, "security.x", "1", 1, 0));
    SAY(lgetxattr(file, "security.x", value, 1));
    SAY(llistxattr(file, value, sizeof value));
    SAY(lremovexattr(file, "security.x"));
    SAY(llistxattr(file, nullptr, 0));
  }
  SAY(setxattr("link", "user.through", "1", 1, 0));
  SAY(lgetxattr("name", "user.through", value, 1));
  const int file = open("name", O_RDONLY);
  SAY(fsetxattr(file, "user.open", "1", 1, 0));
  SAY(fgetxattr(file, "user.open", value, 1));
  SAY(flistxattr(file, value, sizeof value));
  SAY(fremovexattr(file, "user.open"));
  const int path = open("name", O_PATH);
  SAY(fgetxattr(path, "user.open", value, 1));
  int ends[2];
  CHECK(pipe(ends) == 0);
  SAY(fsetxattr(ends[0], "user.x", "1", 1, 0));
  SAY(fgetxattr(ends[0], "user.x", value, 1));
  SAY(flistxattr(ends[0], value, 1));
  close_range(3, ~0u, 0);
}

void rights() {
  CHECK(chmod("name", 0644) == 0 && mkdir("sticky", 0777) == 0 && chmod("sticky", 01777) == 0);
  put("closed", "text");
  CHECK(chmod("closed", 0600) == 0 && setxattr("closed", "user.x", "1", 1, 0) == 0 &&
        setxattr("closed", "security.x", "1", 1, 0) == 0);
  as_user(65534, [] {
    char value[512] = {};
    SAY(setxattr("name", "user.x", "1", 1, 0));
    SAY(getxattr("name", "user.one", value, 5));
    SAY(removexattr("name", "user.one"));
    SAY(getxattr("name", "trusted.one", value, 5));
    SAY(setxattr("name", "trusted.one", "1", 1, 0));
    SAY(getxattr("name", "security.one", value, 5));
    SAY(setxattr("name", "security.one", "1", 1, 0));
    SAY(setxattr("sticky", "user.x", "1", 1, 0));
    SAY(getxattr("closed", "user.x", value, 1));
    SAY(getxattr("closed", "security.x", value, 1));
    printf("  %s\n", listed("closed").c_str());
    printf("  %s\n", listed("name").c_str());
  });
}

}  // namespace

int main() {
  begin_in_tmpfs();
  check("set and get", set_and_get);
  check("what is refused", what_is_refused);
  check("kinds of files", kinds_of_files);
  check("rights", rights);
  return finish();
}
