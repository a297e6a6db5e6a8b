// The clocks of clock_gettime(2) by their numbers.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

enum Clock : u64 {
  kRealtime = 0,
  kMonotonic = 1,
  kProcessCpu = 2,
  kThreadCpu = 3,
  kMonotonicRaw = 4,
  kRealtimeCoarse = 5,
  kMonotonicCoarse = 6,
  kBoottime = 7,
  kTai = 11,
};
inline bool is_cpu_clock(u64 clock) { return (clock & 0x8000'0000) != 0; }
bool valid_clock(u64 clock);
// What International Atomic Time is ahead; 0 until adjtimex(2) says otherwise.
inline constinit i32 g_tai_seconds = 0;
// The thread whose processor time a clock of that kind is; 0: a process's.
i32 thread_of_cpu_clock(u64 clock);

}  // namespace nopte::guest
