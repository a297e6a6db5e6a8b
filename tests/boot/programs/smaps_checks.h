// What /proc/self/smaps says of a mapping.
#pragma once

#include <stdint.h>

#include "tests/boot/programs/memory_checks.h"

// Of the mapping that contains an address, in /proc/self/smaps.
struct Mapping {
  bool found = false;
  uintptr_t begin = 0;
  uintptr_t end = 0;
  long size_kib = -1;
  long rss_kib = -1;
  long huge_kib = -1;
  char flags[256] = "";  // a blank before and behind each
};
inline Mapping mapping_of(const void* address) {
  static char line[4096];
  const uintptr_t at = reinterpret_cast<uintptr_t>(address);
  Mapping mapping;
  FILE* file = fopen("/proc/self/smaps", "r");
  CHECK(file != nullptr);
  bool inside = false;
  while (fgets(line, sizeof line, file) != nullptr) {
    unsigned long begin = 0;
    unsigned long end = 0;
    if (sscanf(line, "%lx-%lx %*4c", &begin, &end) == 2) {
      inside = begin <= at && at < end;
      if (inside) mapping.found = true, mapping.begin = begin, mapping.end = end;
    }
    if (!inside) continue;
    sscanf(line, "Size: %ld kB", &mapping.size_kib);
    sscanf(line, "Rss: %ld kB", &mapping.rss_kib);
    sscanf(line, "AnonHugePages: %ld kB", &mapping.huge_kib);
    if (strncmp(line, "VmFlags:", 8) == 0) snprintf(mapping.flags, sizeof mapping.flags, "%.250s", line + 8);
  }
  CHECK(fclose(file) == 0);
  return mapping;
}
inline bool flagged(const Mapping& mapping, const char* flag) {
  char wanted[8];
  snprintf(wanted, sizeof wanted, " %s ", flag);
  return strstr(mapping.flags, wanted) != nullptr;
}
inline bool flagged(const void* at, const char* flag) { return flagged(mapping_of(at), flag); }
inline bool is(const Mapping& mapping, const char* begin, size_t pages) {
  return mapping.begin == reinterpret_cast<uintptr_t>(begin) && mapping.end - mapping.begin == pages * kPage;
}

// A mapping that nothing continues: pages without rights are on both sides.
inline char* apart(size_t pages) {
  char* around = map(pages + 2, PROT_NONE);
  CHECK(mprotect(around + kPage, pages * kPage, PROT_READ | PROT_WRITE) == 0);
  return around + kPage;
}
inline void unmap_apart(char* at, size_t pages) { unmap(at - kPage, pages + 2); }
