// How far things move: as on Linux, x86-64 (arch/x86/mm/mmap.c, fs/binfmt_elf.c, arch/x86/kernel/process.c).
#include "guest-mm/kernel/program/randomize.h"

#include "guest-mm/kernel/system/random.h"

namespace nopte::guest {

constinit i32 g_randomize_va_space = 0;

namespace {

constexpr u64 kStackPages = u64{1} << 22, kMmapPages = u64{1} << 28, kHeapPages = u64{1} << 18;
constexpr u64 kStackGapBytes = 8192, kStackAlign = 16;

u64 pages_below(u64 count) {
  u64 word = 0;
  fill_random(&word, sizeof(word));
  return pages_to_bytes(word % count);
}

}  // namespace

void randomize_from(u64 seed) {
  seed_random(seed);
  g_randomize_va_space = 2;
}

Places random_places() {
  Places places;
  places.stack_top = places.stack_top - pages_below(kStackPages);
  places.mmap_top = places.mmap_top - pages_to_bytes(kStackPages) - pages_below(kMmapPages);
  places.program = places.program + pages_below(kMmapPages);
  fill_random(&places.stack_gap_bytes, sizeof(places.stack_gap_bytes));
  places.stack_gap_bytes &= (kStackGapBytes - 1) & ~(kStackAlign - 1);
  if (g_randomize_va_space >= 2) {
    places.heap_gap_bytes = pages_below(kHeapPages);
  }
  return places;
}

}  // namespace nopte::guest
