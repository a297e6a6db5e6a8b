// FS and GS bases that a program sets by itself (WRGSBASE) are its own: kept over switches, inherited by
// fork, and not seen by others.
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

#include "checks.h"

namespace {

sigjmp_buf no_instruction;

void on_sigill(int) { siglongjmp(no_instruction, 1); }

void set_gs(uint64_t base) { asm volatile("wrgsbase %0" ::"r"(base)); }
uint64_t gs() {
  uint64_t base;
  asm volatile("rdgsbase %0" : "=r"(base));
  return base;
}

bool have_instructions() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & 1) == 0) return false;
  signal(SIGILL, on_sigill);
  if (sigsetjmp(no_instruction, 1) != 0) return false;
  (void)gs();
  return true;
}

constexpr uint64_t kParent = 0x1234000, kChild = 0x5678000;
constexpr int kRounds = 3;

}  // namespace

int main() {
  // The same lines without the instructions.
  const bool have = have_instructions();
  check("fresh", [&] { CHECK(!have || gs() == 0); });
  check("kept_and_inherited", [&] {
    if (!have) return;
    set_gs(kParent);
    int down[2], up[2];
    CHECK(pipe(down) == 0 && pipe(up) == 0);
    char byte = 1;
    const pid_t child = fork();
    if (child == 0) {
      CHECK(gs() == kParent);
      set_gs(kChild);
      for (int i = 0; i < kRounds; ++i) {
        CHECK(read(down[0], &byte, 1) == 1 && gs() == kChild && write(up[1], &byte, 1) == 1);
      }
      _exit(0);
    }
    for (int i = 0; i < kRounds; ++i) {
      CHECK(write(down[1], &byte, 1) == 1 && read(up[0], &byte, 1) == 1 && gs() == kParent);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  });
  return finish();
}
