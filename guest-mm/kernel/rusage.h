// struct rusage (Linux, uapi/linux/resource.h). Processor time is not split: all of it counts as user time.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Timeval {
  i64 seconds = 0;
  i64 microseconds = 0;
};
constexpr Timeval to_timeval(u64 ns) {
  return {static_cast<i64>(ns / 1'000'000'000), static_cast<i64>(ns % 1'000'000'000 / 1000)};
}

struct Rusage {
  Timeval user;
  Timeval system;
  i64 most_resident_kib = 0;
  i64 other[13] = {};
};
static_assert(sizeof(Rusage) == 144);

constexpr Rusage rusage_of(u64 cpu_ns) { return {.user = to_timeval(cpu_ns), .system = {}}; }

}  // namespace nopte::guest
