// What an address space may come to: the resource limits that are about memory (setrlimit(2)), in bytes.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

inline constexpr u64 kUnlimited = ~u64{0};

// How many regions a space may have, with the edges that address_space.h tells: Linux's max_map_count. All
// spaces have this one.
inline constexpr u64 kMostRegionsByDefault = 65530;
inline constinit u64 g_most_regions = kMostRegionsByDefault;

struct SpaceLimits {
  u64 bytes = kUnlimited;       // RLIMIT_AS: all that is promised
  u64 data_bytes = kUnlimited;  // RLIMIT_DATA: the heap, and all that is private and may be written
  u64 stack_bytes = 8 << 20;    // RLIMIT_STACK: a region that grows down
};

}  // namespace nopte::guest
