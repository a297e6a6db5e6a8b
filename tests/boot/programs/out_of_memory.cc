// Memory, descriptors and processes run out: requests that cannot be had are refused, a touch that cannot be
// served ends the process with SIGKILL, and the kernel and its other processes go on. Each round starts with
// as much memory as the one before.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t kPage = 4096;

void check(bool condition, const char* what) {
  if (!condition) {
    std::printf("FAILED: %s (%s)\n", what, std::strerror(errno));
    std::exit(1);
  }
}

// A field of /proc/meminfo, in KiB.
uint64_t meminfo(const char* field) {
  FILE* file = std::fopen("/proc/meminfo", "r");
  check(file != nullptr, "open /proc/meminfo");
  char line[128];
  uint64_t found = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) == 0)
      found = std::strtoull(line + std::strlen(field), nullptr, 10);
  }
  std::fclose(file);
  check(found != 0, field);
  return found;
}

char* map(size_t bytes) {
  return static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

template <typename Body>
int status_of(Body body) {
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  check(waitpid(child, &status, 0) == child, "waitpid");
  return status;
}

void touch_too_much(uint64_t total) {
  const int status = status_of([&] {
    char* memory[4];
    for (char*& part : memory) part = map(total / 2);  // each could be had alone
    for (char* part : memory) {
      if (part == MAP_FAILED) _exit(3);
      for (uint64_t at = 0; at < total / 2; at += kPage) part[at] = 1;
    }
  });
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a touch that cannot be served is SIGKILL");
}

void open_too_many() {
  const int status = status_of([] {
    int count = 0;
    while (open("/dev/null", O_RDONLY) >= 0) ++count;
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM) _exit(4);
    if (count < 16) _exit(5);
  });
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "descriptors run out");
}

void fork_too_many() {
  const int status = status_of([] {
    int hold[2];
    if (pipe(hold) != 0) _exit(6);
    int count = 0;
    // Children that wait for the end of the pipe, until no more can be had. The pages that each copies use
    // memory up.
    constexpr int kMost = 100'000;
    pid_t child = 0;
    while (count < kMost && (child = fork()) > 0) ++count;
    if (child == 0) {
      close(hold[1]);
      char byte;
      _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);
    }
    if (child > 0 || (errno != EAGAIN && errno != ENOMEM) || count < 8) _exit(7);
    close(hold[1]);
    for (int i = 0; i < count; ++i) {
      // A child that found no memory for its stack is ended by SIGKILL; that is allowed.
      int ended = 0;
      if (wait(&ended) < 0) _exit(8);
    }
  });
  // The process that forks may itself be the one that a page is missing for.
  check(
      (WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL),
      "processes run out");
}

void fill_the_files(uint64_t total) {
  const int file = open("/tmp/fill", O_RDWR | O_CREAT | O_TRUNC, 0600);
  check(file >= 0, "open /tmp/fill");
  static char block[1 << 20];
  std::memset(block, 7, sizeof block);
  uint64_t written = 0;
  ssize_t last = 0;
  while (written <= total && (last = write(file, block, sizeof block)) > 0)
    written += static_cast<uint64_t>(last);
  check(last < 0 && (errno == ENOSPC || errno == ENOMEM), "a file that outgrows memory is refused");
  check(close(file) == 0 && unlink("/tmp/fill") == 0, "remove the file");
}

}  // namespace

int main() {
  const uint64_t total = meminfo("MemTotal:") * 1024;
  check(map(2 * total) == MAP_FAILED && errno == ENOMEM, "one request beyond all memory is refused");
  std::printf("beyond all memory: refused\n");
  char* large = map(total / 4 * 3);
  check(large != MAP_FAILED, "one request within all memory is granted");
  char* second = map(total / 4 * 3);
  check(second != MAP_FAILED, "a second one is granted too");
  munmap(large, total / 4 * 3);
  munmap(second, total / 4 * 3);
  std::printf("within all memory: granted\n");

  const auto round = [&] {
    touch_too_much(total);
    open_too_many();
    fill_the_files(total);
  };
  round();
  const uint64_t free_before = meminfo("MemFree:");
  for (int i = 0; i < 3; ++i) round();
  const uint64_t free_after = meminfo("MemFree:");
  std::printf("touched, opened and written too much: refused\n");
  check(free_after + 64 >= free_before, "memory is back");
  std::printf("memory is back\n");
  fork_too_many();
  fork_too_many();
  std::printf("forked too much: refused\n");
  check(WEXITSTATUS(status_of([] { _exit(9); })) == 9, "a process still runs");
  std::printf("done\n");
  return 0;
}
