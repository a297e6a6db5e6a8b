// execve with several things wrong: which of them it tells. As Linux since 6.9: what cannot be opened, then
// bad arguments, then what the file is. Prints the same there.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <string>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

char* const kBad = reinterpret_cast<char*>(0x10);
char* g_good[] = {const_cast<char*>("name"), nullptr};
char* g_bad_string[] = {const_cast<char*>("name"), kBad, nullptr};

void make(const char* path, const char* text, mode_t mode = 0755) {
  const int file = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
  CHECK(file >= 0 && write(file, text, strlen(text)) == static_cast<ssize_t>(strlen(text)) &&
        close(file) == 0);
  CHECK(chmod(path, mode) == 0);
}

void print(const char* path) {
  printf("%s\n", path);
  char** const bad_array = reinterpret_cast<char**>(kBad);
  SHOW(execve(path, g_good, g_good));
  SHOW(execve(path, bad_array, g_good));
  SHOW(execve(path, g_good, bad_array));
  SHOW(execve(path, g_bad_string, g_good));
  SHOW(execve(path, g_good, g_bad_string));
  std::string longest(200'000, 'x');
  char* too_long[] = {longest.data(), nullptr};
  SHOW(execve(path, too_long, g_good));
  SHOW(execve(path, g_good, too_long));
}

}  // namespace

int main() {
  show_lines();
  char top[] = "/tmp/exec_order_XXXXXX";
  CHECK(mkdtemp(top) != nullptr && chdir(top) == 0);
  make("text", "no program\n");
  make("empty", "");
  make("script", "#!/nowhere/at/all\n");
  make("nameless", "#!\n");
  make("circle", "#!circle\n");
  make("elf",
       "\x7f"
       "ELF and no more");
  make("plain", "text\n", 0644);
  CHECK(mkdir("directory", 0755) == 0);
  for (const char* path : {"text", "empty", "script", "nameless", "circle", "elf", "plain", "directory",
                           "missing", "plain/below", ""}) {
    print(path);
  }
  SHOW(execve(kBad, g_bad_string, g_good));
  CHECK(chdir("/") == 0 && system((std::string("rm -r ") + top).c_str()) == 0);
  return finish();
}
