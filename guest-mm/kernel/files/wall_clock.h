// Unix time for inodes.
#pragma once

#include "guest-mm/kernel/files/linux_abi.h"
#include "guest-mm/kernel/wall_time.h"

namespace nopte::guest::files {

inline u64 wall_clock_ns() { return wall_ns(); }

inline Timespec to_timespec(u64 ns) {
  return {static_cast<i64>(ns / 1'000'000'000), static_cast<i64>(ns % 1'000'000'000)};
}
inline constexpr u64 from_timespec(const Timespec& time) {
  return static_cast<u64>(time.seconds) * 1'000'000'000 + static_cast<u64>(time.nanoseconds);
}

}  // namespace nopte::guest::files
