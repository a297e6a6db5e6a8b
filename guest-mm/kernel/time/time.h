// Time as Linux programs express it. The kernel's own time is platform nanoseconds since boot; deadlines
// saturate at kNoDeadline.
#pragma once

#include "guest-mm/kernel/time/timespec.h"
#include "guest-mm/kernel/time/wall_time.h"
#include "pvops/base/types.h"
#include "pvops/platform_ops.h"

namespace nopte::guest {

constexpr Timespec to_timespec(u64 ns) {
  return {static_cast<i64>(ns / kNsPerSecond), static_cast<i64>(ns % kNsPerSecond)};
}

// The deadline that lies `delay_ns` ahead.
inline u64 deadline_in(u64 delay_ns) {
  const u64 now_ns = platform_ops().now_ns();
  return delay_ns > kNoDeadline - now_ns ? kNoDeadline : now_ns + delay_ns;
}
// The deadline at a Unix time; 0 when that is before boot.
inline u64 deadline_of_wall(u64 wall_ns) {
  const u64 boot_ns = wall_at_boot_ns();
  return wall_ns == kNoDeadline ? kNoDeadline : wall_ns > boot_ns ? wall_ns - boot_ns : 0;
}

}  // namespace nopte::guest
