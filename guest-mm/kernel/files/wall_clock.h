// Unix time for inodes.
#pragma once

#include "guest-mm/kernel/files/linux_abi.h"
#include "guest-mm/kernel/time/wall_time.h"

namespace nopte::guest::files {

inline u64 wall_clock_ns() { return wall_ns(); }

// Times before 1970 are negative.
inline Timespec signed_timespec(u64 ns) {
  constexpr i64 kNsPerSecond = 1'000'000'000;
  const auto time = static_cast<i64>(ns);
  const i64 seconds = time / kNsPerSecond - (time % kNsPerSecond < 0 ? 1 : 0);
  return {seconds, time - seconds * kNsPerSecond};
}
inline constexpr u64 from_timespec(const Timespec& time) {
  return static_cast<u64>(time.seconds) * 1'000'000'000 + static_cast<u64>(time.nanoseconds);
}

}  // namespace nopte::guest::files
