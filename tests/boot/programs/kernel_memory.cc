// What a user without rights can make the kernel keep is bound: record locks, the texts of symbolic links.
// Others go on meanwhile, and all of it comes back.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>

#include <string>

#include "tests/boot/programs/checks.h"

namespace {

constexpr uid_t kUser = 54321, kOther = 54322;
constexpr int kFiles = 900, kLocksPerFile = 1000;
constexpr long kWide = 1L << 40;

long memory_bytes() {
  struct sysinfo info;
  CHECK(sysinfo(&info) == 0);
  return static_cast<long>(info.totalram) * static_cast<long>(info.mem_unit);
}
void work_as_others() {
  CHECK(status_of_child([] {
          const int pair = open("/proc/self/stat", O_RDONLY);
          CHECK(pair >= 0);
        }) == 0);
}
int set_lock(int file, short type, long at, long bytes) {
  struct flock lock = {type, SEEK_SET, at, bytes, 0};
  return fcntl(file, F_SETLK, &lock);
}
int lock_byte(int file, long at) { return set_lock(file, F_WRLCK, at, 1); }

void locks() {
  char top[] = "/tmp/kernel_memory_XXXXXX";
  CHECK(mkdtemp(top) != nullptr && chmod(top, 0777) == 0);
  int told[2], done[2];
  CHECK(pipe(told) == 0 && pipe(done) == 0);
  fflush(stdout);
  const pid_t user = fork();
  if (user == 0) {
    CHECK(setresuid(kUser, kUser, kUser) == 0);
    long made = 0;
    bool refused = false;
    const int wide = open((std::string(top) + "/wide").c_str(), O_RDWR | O_CREAT, 0644);
    CHECK(wide >= 0 && set_lock(wide, F_WRLCK, 0, kWide) == 0);
    for (int i = 0; i < kFiles && !refused; ++i) {
      const int file = open((std::string(top) + "/" + std::to_string(i)).c_str(), O_RDWR | O_CREAT, 0644);
      CHECK(file >= 0);
      for (int at = 0; at < kLocksPerFile && !refused; ++at) {
        refused = lock_byte(file, 2 * at) != 0;
        made += refused ? 0 : 1;
      }
      CHECK(!refused || errno == ENOLCK);
    }
    CHECK(refused && made > 1000 && made * 48 < memory_bytes() / 4);
    const int whole = open((std::string(top) + "/0").c_str(), O_RDWR);
    CHECK_ERRNO(flock(whole, LOCK_EX), ENOMEM);
    CHECK(set_lock(wide, F_UNLCK, 1, 1) == 0);  // which makes two of one,
    long parts = 1;                             // but not without end
    while (set_lock(wide, F_UNLCK, kWide - 2 * parts, 1) == 0) {
      ++parts;
    }
    CHECK(errno == ENOLCK && parts <= 2 * made);
    char byte = 0;
    CHECK(write(told[1], &byte, 1) == 1 && read(done[0], &byte, 1) == 1);
    _exit(0);
  }
  char byte = 0;
  CHECK(read(told[0], &byte, 1) == 1);
  work_as_others();
  const int own = open((std::string(top) + "/own").c_str(), O_RDWR | O_CREAT, 0666);
  CHECK(own >= 0 && lock_byte(own, 0) == 0 && flock(own, LOCK_EX) == 0);
  CHECK(status_of_child([&] {
          CHECK(setresuid(kOther, kOther, kOther) == 0);
          const int others = open((std::string(top) + "/others").c_str(), O_RDWR | O_CREAT, 0644);
          CHECK(others >= 0 && lock_byte(others, 0) == 0 && flock(others, LOCK_EX) == 0);
        }) == 0);
  CHECK(write(done[1], &byte, 1) == 1);
  int status = 0;
  CHECK(waitpid(user, &status, 0) == user && status == 0);
  CHECK(status_of_child([&] {
          CHECK(setresuid(kUser, kUser, kUser) == 0);
          const int again = open((std::string(top) + "/again").c_str(), O_RDWR | O_CREAT, 0644);
          CHECK(again >= 0 && lock_byte(again, 0) == 0);
        }) == 0);
  CHECK(system((std::string("rm -r ") + top).c_str()) == 0);
}

void links() {
  char top[] = "/tmp/kernel_memory_XXXXXX";
  CHECK(mkdtemp(top) != nullptr && chmod(top, 0777) == 0 && chdir(top) == 0);
  struct statfs before, full, after;
  CHECK(statfs(".", &before) == 0);
  CHECK(status_of_child([&] {
          CHECK(setresuid(kUser, kUser, kUser) == 0);
          const std::string target(4000, 'x');
          long made = 0;
          while (symlink(target.c_str(), std::to_string(made).c_str()) == 0) {
            ++made;
          }
          CHECK(errno == ENOSPC && made > 100 && made * 4096 <= memory_bytes() / 2);
          CHECK(symlink("short", "s") == 0 || errno == ENOSPC);
        }) == 0);
  CHECK(statfs(".", &full) == 0 && full.f_bavail * 4096 < 8192);
  work_as_others();
  CHECK(chdir("/") == 0 && system((std::string("rm -r ") + top).c_str()) == 0);
  CHECK(statfs("/tmp", &after) == 0 && after.f_bavail >= before.f_bavail);
}

}  // namespace

int main() {
  check("record locks", locks);
  check("symbolic links", links);
  return finish();
}
