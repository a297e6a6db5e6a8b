// close_range(CLOSE_RANGE_UNSHARE), and arch_prctl of the GS base. Prints the same on Linux.
#include <asm/prctl.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "tests/boot/programs/checks.h"
#include "tests/boot/programs/show.h"

namespace {

bool is_open(int file) { return fcntl(file, F_GETFD) >= 0; }
long close_ranges(unsigned first, unsigned last, unsigned flags) {
  return syscall(SYS_close_range, first, last, flags);
}

int g_files[4];

void* closes_its_own(void* flags) {
  const auto wanted = static_cast<unsigned>(reinterpret_cast<unsigned long>(flags));
  const long answer =
      close_ranges(static_cast<unsigned>(g_files[1]), static_cast<unsigned>(g_files[2]), wanted);
  printf("flags %u: %ld; here %d %d %d %d\n", wanted, answer, is_open(g_files[0]), is_open(g_files[1]),
         is_open(g_files[2]), is_open(g_files[3]));
  return nullptr;
}

void ranges() {
  for (const unsigned long flags : {0ul, 2ul, 4ul, 6ul}) {
    for (int& file : g_files) file = open("/dev/null", O_RDONLY);
    pthread_t thread;
    CHECK(pthread_create(&thread, nullptr, closes_its_own, reinterpret_cast<void*>(flags)) == 0 &&
          pthread_join(thread, nullptr) == 0);
    printf("there %d %d %d %d, close on exec %d\n", is_open(g_files[0]), is_open(g_files[1]),
           is_open(g_files[2]), is_open(g_files[3]), fcntl(g_files[1], F_GETFD));
    for (const int file : g_files) close(file);
  }
  SHOW(close_ranges(10, 9, 0));
  SHOW(close_ranges(10, 9, 2));
  SHOW(close_ranges(100, 200, 1));
  SHOW(close_ranges(100, 200, 8));
  SHOW(close_ranges(100, ~0u, 2));
  SHOW(close_ranges(~0u, ~0u, 0));
}

void bases() {
  unsigned long base = 1;
  const auto arch_prctl = [](int code, unsigned long address) {
    return syscall(SYS_arch_prctl, code, address);
  };
  const auto own = reinterpret_cast<unsigned long>(&base);
  SHOW(arch_prctl(ARCH_GET_GS, own));
  printf("at first %lu\n", base);
  SHOW(arch_prctl(ARCH_SET_GS, 0x123456789000));
  SHOW(arch_prctl(ARCH_GET_GS, own));
  printf("then %lx\n", base);
  CHECK(status_of_child([&] {
          SHOW(arch_prctl(ARCH_GET_GS, own));
          printf("the child has %lx\n", base);
          SHOW(arch_prctl(ARCH_SET_GS, 0x1000));
          sched_yield();
        }) == 0);
  SHOW(arch_prctl(ARCH_GET_GS, own));
  printf("stays %lx\n", base);
  const unsigned long value = 4711;
  SHOW(arch_prctl(ARCH_SET_GS, reinterpret_cast<unsigned long>(&value)));
  unsigned long read = 0;
  asm volatile("mov %%gs:0, %0" : "=r"(read));
  printf("read %lu\n", read);
  SHOW(arch_prctl(ARCH_SET_GS, 0x7ffffffff000));
  SHOW(arch_prctl(ARCH_SET_GS, ~0ul));
  SHOW(arch_prctl(ARCH_GET_GS, 0x10));
  SHOW(arch_prctl(0x1005, own));
}

}  // namespace

int main() {
  show_lines();
  check("ranges", ranges);
  check("bases", bases);
  return finish();
}
