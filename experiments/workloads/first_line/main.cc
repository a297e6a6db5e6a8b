// first-line COMMAND...: runs a command until it has printed a line, and says by the time-stamp counter,
// which on the emulated machine are instructions, how long that was after its exec, and after the machine's
// start: "first line after EXEC instructions, at START: LINE".
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

void require(bool done, const char* what) {
  if (done) return;
  std::perror(what);
  _exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  int ends[2];
  require(argc > 1 && pipe(ends) == 0, "first-line COMMAND...");
  void* const memory =
      mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "mmap");
  auto* const begin = static_cast<volatile uint64_t*>(memory);
  const pid_t child = fork();
  require(child >= 0, "fork");
  if (child == 0) {
    require(dup2(ends[1], STDOUT_FILENO) == STDOUT_FILENO, "dup2");
    close(ends[0]);
    close(ends[1]);
    // Python's own choice of hashes is another at each start, and so is what it takes.
    require(setenv("PYTHONHASHSEED", "0", 1) == 0, "setenv");
    *begin = __rdtsc();
    execvp(argv[1], argv + 1);
    require(false, argv[1]);
  }
  close(ends[1]);
  char line[256];
  size_t bytes = 0;
  do {
    require(bytes < sizeof line && read(ends[0], line + bytes, 1) == 1, "the command ended without a line");
  } while (line[bytes++] != '\n');
  const uint64_t end = __rdtsc();
  std::printf("first line after %llu instructions, at %llu: %.*s",
              static_cast<unsigned long long>(end - *begin), static_cast<unsigned long long>(end),
              static_cast<int>(bytes), line);
  std::fflush(stdout);
  close(ends[0]);
  int status = 0;
  require(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
