// A time as Linux programs express it.
#pragma once

#include "guest-mm/kernel/time/timer.h"
#include "pvops/base/types.h"

namespace nopte::guest {

inline constexpr u64 kNsPerSecond = 1'000'000'000;

struct Timespec {
  i64 seconds = 0;
  i64 nanoseconds = 0;

  [[nodiscard]] constexpr bool valid() const {
    return seconds >= 0 && nanoseconds >= 0 && nanoseconds < static_cast<i64>(kNsPerSecond);
  }
  // Precondition: valid(). kNoDeadline when it does not fit.
  [[nodiscard]] constexpr u64 ns() const {
    const u64 most = (kNoDeadline - kNsPerSecond) / kNsPerSecond;
    return static_cast<u64>(seconds) > most
               ? kNoDeadline
               : static_cast<u64>(seconds) * kNsPerSecond + static_cast<u64>(nanoseconds);
  }
};

}  // namespace nopte::guest
