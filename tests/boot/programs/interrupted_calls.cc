// A long memory call lets the machine's interrupts in while it runs: a timer that beats is heard about as
// often as it beats, not once when the call is over. How many were taken is read from /proc/stat.
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include "tests/boot/programs/checks.h"

namespace {

constexpr size_t kBytes = size_t{96} << 20;
// Longer than the 512 pages that a call may deal with between two looks.
constexpr uint64_t kBeatNs = 350'000;
// A call that is shorter says nothing.
constexpr uint64_t kLeastBeats = 5;

uint64_t interrupts() {
  char text[4096];
  FILE* const file = fopen("/proc/stat", "r");
  CHECK(file != nullptr);
  unsigned long long count = 0;
  bool found = false;
  while (!found && fgets(text, sizeof(text), file) != nullptr) found = sscanf(text, "intr %llu", &count) == 1;
  fclose(file);
  CHECK(found);
  return count;
}

uint64_t now_ns() {
  timespec now;
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return (uint64_t(now.tv_sec) * 1'000'000'000) + uint64_t(now.tv_nsec);
}

// More than half of the beats are heard while the call runs: in mode xen tables go in one stretch at its end.
// If none were let in it would be the one that waits, and one more with reading the count.
template <class Call>
void heard_during(const char* name, Call call) {
  check(name, [&] {
    const uint64_t taken_before = interrupts();
    const uint64_t began_ns = now_ns();
    call();
    const uint64_t beats = (now_ns() - began_ns) / kBeatNs;
    const uint64_t taken = interrupts() - taken_before;
    if (beats < kLeastBeats || 2 * taken <= beats)
      printf("%s: %ju beats, %ju interrupts\n", name, uintmax_t{beats}, uintmax_t{taken});
    CHECK(beats >= kLeastBeats);
    CHECK(2 * taken > beats);
  });
}

void* populated(int sharing) {
  void* const memory =
      mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  CHECK(memory != MAP_FAILED);
  return memory;
}

}  // namespace

int main() {
  CHECK(signal(SIGALRM, SIG_IGN) != SIG_ERR);
  itimerval timer = {};
  timer.it_value.tv_usec = timer.it_interval.tv_usec = kBeatNs / 1000;
  CHECK(setitimer(ITIMER_REAL, &timer, nullptr) == 0);

  void* memory = nullptr;
  heard_during("populate", [&] { memory = populated(MAP_PRIVATE); });
  CHECK(munmap(memory, kBytes) == 0);
  heard_during("populate_shared", [&] { memory = populated(MAP_SHARED); });
  heard_during("unmap_shared", [&] { CHECK(munmap(memory, kBytes) == 0); });
  return finish();
}
