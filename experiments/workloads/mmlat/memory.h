// Mapping and touching memory for the rows. Every failure ends the row.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>

#include "experiments/workloads/mmlat/measure.h"

namespace mmlat {

inline constexpr size_t kPage = 4096;
inline constexpr size_t kMiB = size_t{1} << 20;
inline constexpr size_t kLeafTableSpan = 2 * kMiB;

// mmlat-low is the same program for a kernel whose user memory ends below 512 GiB: user-mode Linux has three
// levels of tables.
#ifndef MMLAT_AREA_SHIFT
#define MMLAT_AREA_SHIFT 40
#endif

// Nothing else is mapped in the 512 GiB from here: tables at every level below the root come and go with it.
inline constexpr uintptr_t kEmptyArea = uintptr_t{1} << MMLAT_AREA_SHIFT;
// Where rows place what they want at a known, 1 GiB-aligned address.
inline constexpr uintptr_t kFixedArea = uintptr_t{3} << MMLAT_AREA_SHIFT;

using Bytes = volatile uint8_t*;

inline Bytes map_anonymous(size_t bytes, int flags = 0, uintptr_t at = 0) {
  if (at != 0) flags |= MAP_FIXED_NOREPLACE;
  void* result = mmap(reinterpret_cast<void*>(at), bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (result == MAP_FAILED) fail("mmap");
  if (at != 0 && reinterpret_cast<uintptr_t>(result) != at) fail("mmap moved a fixed address");
  return static_cast<Bytes>(result);
}

inline void* plain(Bytes memory) { return const_cast<uint8_t*>(memory); }

inline void unmap(Bytes memory, size_t bytes) {
  if (munmap(plain(memory), bytes) != 0) fail("munmap");
}

inline void protect(Bytes memory, size_t bytes, int rights) {
  if (mprotect(plain(memory), bytes, rights) != 0) fail("mprotect");
}

// One store, or one load, to each page.
inline void write_pages(Bytes memory, size_t bytes, uint8_t value, size_t step = kPage) {
  for (size_t at = 0; at < bytes; at += step) memory[at] = value;
}

inline void read_pages(Bytes memory, size_t bytes) {
  for (size_t at = 0; at < bytes; at += kPage) static_cast<void>(memory[at]);
}

// Ends the row unless the first byte of every page is `value`.
inline void expect_pages(Bytes memory, size_t bytes, uint8_t value, size_t step = kPage) {
  for (size_t at = 0; at < bytes; at += step)
    expect(memory[at] == value, "a page does not hold what was written");
}

}  // namespace mmlat
