// /proc/locks, of one file. The same on Linux.
#include <sys/file.h>

#include "tests/boot/programs/answers.h"

namespace {

// The lines about the file, without numbers, pids and devices.
void told(const char* what) {
  char number[32];
  snprintf(number, sizeof number, ":%lu ", static_cast<unsigned long>(stat_of("file").st_ino));
  const std::string text = contents("/proc/locks");
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    if (line.find(number) != std::string::npos) {
      char kind[16], how[16], type[16], from[32], to[32];
      int pid;
      CHECK(sscanf(line.c_str(), "%*d: %15s %15s %15s %d %*s %31s %31s", kind, how, type, &pid, from, to) ==
            6);
      const char* whose = pid == getpid() ? " mine" : pid == -1 ? " nobody's" : " another's";
      lines.push_back(std::string(kind) + " " + how + " " + type + whose + " " + from + " " + to);
    }
    at = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  printf(" %s\n", what);
  for (const std::string& line : lines) printf("  %s\n", line.c_str());
}

}  // namespace

int main() {
  begin_in_tmpfs();
  put("file", "0123456789");
  const int file = open("file", O_RDWR);
  struct flock lock = {};
  told("none");
  lock.l_type = F_WRLCK;
  lock.l_start = 3;
  lock.l_len = 4;
  SAY(fcntl(file, F_SETLK, &lock));
  told("some bytes");
  lock.l_type = F_RDLCK;
  lock.l_start = 100;
  lock.l_len = 0;
  SAY(fcntl(file, F_SETLK, &lock));
  told("to the end");
  SAY(fcntl(file, F_OFD_SETLK, &lock));
  told("the open file's");
  SAY(flock(file, LOCK_EX));
  told("the whole");
  close(file);
  told("closed");
  const int reader = open("file", O_RDONLY);
  SAY(fcntl(reader, F_SETLEASE, F_RDLCK));
  told("a lease");
  return finish();
}
