// Setting the clock: clock_settime, settimeofday, adjtimex and clock_adjtime. A step is done; what steers the
// clock's rate is kept and told, since the platform's clock is right.
#include <algorithm>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/rights/credentials.h"
#include "guest-mm/kernel/syscall.h"
#include "guest-mm/kernel/time/clock_setting.h"
#include "guest-mm/kernel/time/clocks.h"
#include "guest-mm/kernel/time/rusage.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

namespace {

// No clock shows a time before boot, nor one that would run over within 30 years (include/linux/time64.h).
constexpr i64 kMostSeconds = INT64_MAX / static_cast<i64>(kNsPerSecond) - i64{30} * 365 * 24 * 3600;
bool settable(const Timespec& time) { return time.valid() && time.seconds < kMostSeconds; }

i64 set_wall_clock(const Timespec& time) {
  if (!settable(time)) return -kEINVAL;
  if (!capable(Capability::kSysTime)) return -kEPERM;
  if (time.ns() < platform_ops().now_ns()) return -kEINVAL;
  step_wall_clock(time.ns() - wall_ns());
  return 0;
}

// struct timex.
struct Adjustment {
  u32 modes = 0, hole = 0;
  i64 offset = 0, frequency = 0, most_error = 16'000'000, estimated_error = 16'000'000;
  i32 status = 0x40, status_hole = 0;  // STA_UNSYNC
  i64 constant = 2, precision = 1, tolerance = 32'768'000;
  i64 seconds = 0, fraction = 0;
  i64 tick_us = 10'000, pulse_frequency = 0, jitter = 0;
  i32 shift = 0, shift_hole = 0;
  i64 stability = 0, jitters = 0, calibrations = 0, errors = 0, exceeded = 0;
  i32 tai_seconds = 0;
  i32 unused[11] = {};
};
static_assert(sizeof(Adjustment) == 208);

constinit Adjustment g_kept;
constinit i64 g_single_shot_us = 0;

constexpr u32 kOffset = 1, kFrequency = 2, kMostError = 4, kEstimatedError = 8, kStatus = 0x10,
              kConstant = 0x20, kTaiMode = 0x80, kSetOffset = 0x100, kMicro = 0x1000, kNano = 0x2000,
              kTick = 0x4000, kSingleShot = 0x8000;
constexpr i32 kPhaseLocked = 1, kUnsynchronised = 0x40, kReadOnly = 0xff00, kNanoStatus = 0x2000;

// kernel/time/timekeeping.c, timekeeping_validate_timex.
i64 check(const Adjustment& wanted) {
  constexpr i64 kLeastTick = 9000, kMostTick = 11000;
  const u32 modes = wanted.modes;
  const bool may = capable(Capability::kSysTime);
  if ((modes & kSingleShot) != 0) {
    if ((modes & kOffset) == 0) return -kEINVAL;
    if ((modes & kNano) == 0 && !may) return -kEPERM;  // with kNano it only asks
  } else {
    if (modes != 0 && !may) return -kEPERM;
    if ((modes & kTick) != 0 && (wanted.tick_us < kLeastTick || wanted.tick_us > kMostTick)) return -kEINVAL;
  }
  if ((modes & kSetOffset) != 0) {
    if (!may) return -kEPERM;
    const i64 second = (modes & kNano) != 0 ? static_cast<i64>(kNsPerSecond) : 1'000'000;
    if (wanted.fraction < 0 || wanted.fraction >= second) return -kEINVAL;
    if (wanted.seconds <= -kMostSeconds || wanted.seconds >= kMostSeconds) return -kEINVAL;
  }
  constexpr i64 kScale = 65'536'000'000;  // PPM_SCALE, about
  if ((modes & kFrequency) != 0 &&
      (wanted.frequency < INT64_MIN / kScale || wanted.frequency > INT64_MAX / kScale)) {
    return -kEINVAL;
  }
  return 0;
}

void keep(const Adjustment& wanted) {
  const u32 modes = wanted.modes;
  if ((modes & kStatus) != 0) g_kept.status = (g_kept.status & kReadOnly) | (wanted.status & ~kReadOnly);
  if ((modes & kNano) != 0) g_kept.status |= kNanoStatus;
  if ((modes & kMicro) != 0) g_kept.status &= ~kNanoStatus;
  if ((modes & kFrequency) != 0)
    g_kept.frequency = std::clamp(wanted.frequency, -g_kept.tolerance, g_kept.tolerance);
  if ((modes & kMostError) != 0) g_kept.most_error = std::clamp<i64>(wanted.most_error, 0, 16'000'000);
  if ((modes & kEstimatedError) != 0)
    g_kept.estimated_error = std::clamp<i64>(wanted.estimated_error, 0, 16'000'000);
  if ((modes & kConstant) != 0) {
    const i64 more = (g_kept.status & kNanoStatus) != 0 ? 0 : 4;
    g_kept.constant = std::clamp<i64>(std::clamp<i64>(wanted.constant, 0, 10) + more, 0, 10);
  }
  if ((modes & kTaiMode) != 0 && wanted.constant >= 0 && wanted.constant <= 100'000) {
    g_tai_seconds = static_cast<i32>(wanted.constant);
  }
  if ((modes & kOffset) != 0 && (g_kept.status & kPhaseLocked) != 0) {
    const i64 most = (g_kept.status & kNanoStatus) != 0 ? 500'000'000 : 500'000;
    g_kept.offset = std::clamp(wanted.offset, -most, most);
  }
  if ((modes & kTick) != 0) g_kept.tick_us = wanted.tick_us;
}

// The clock's state (0: right, 5: not synchronised), or a negative errno.
i64 adjust(Adjustment& wanted) {
  if (const i64 error = check(wanted); error != 0) return error;
  if ((wanted.modes & kSetOffset) != 0) {
    const i64 fraction_ns = wanted.fraction * ((wanted.modes & kNano) != 0 ? 1 : 1000);
    const u64 step = static_cast<u64>(wanted.seconds) * kNsPerSecond + static_cast<u64>(fraction_ns);
    const u64 then = wall_ns() + step;
    if (then < platform_ops().now_ns() || then > static_cast<u64>(kMostSeconds) * kNsPerSecond)
      return -kEINVAL;
    step_wall_clock(step);
  }
  Adjustment told;
  if ((wanted.modes & kSingleShot) != 0) {
    const i64 before = g_single_shot_us;
    if ((wanted.modes & kNano) == 0) g_single_shot_us = wanted.offset;
    told = g_kept;
    told.offset = before;
  } else {
    keep(wanted);
    told = g_kept;
  }
  const Timespec now = to_timespec(wall_ns());
  told.modes = wanted.modes;
  told.seconds = now.seconds;
  told.fraction = (told.status & kNanoStatus) != 0 ? now.nanoseconds : now.nanoseconds / 1000;
  told.tai_seconds = g_tai_seconds;
  wanted = told;
  return (told.status & kUnsynchronised) != 0 ? 5 : 0;
}

i64 adjust_for_user(u64 address, u64 clock) {
  Adjustment wanted;
  if (!arch::copy_from_user(&wanted, Gva{address}, sizeof(wanted))) return -kEFAULT;
  if (clock != kRealtime) return valid_clock(clock) ? -kEOPNOTSUPP : -kEINVAL;
  const i64 state = adjust(wanted);
  if (state < 0) return state;
  return arch::copy_to_user(Gva{address}, &wanted, sizeof(wanted)) ? state : -kEFAULT;
}

}  // namespace

i64 sys_clock_settime(const SyscallArgs& args) {
  const u64 clock = args.a0 & 0xffff'ffff;
  if (clock != kRealtime && !is_cpu_clock(clock)) return -kEINVAL;
  Timespec time;
  if (!arch::copy_from_user(&time, Gva{args.a1}, sizeof(time))) return -kEFAULT;
  if (is_cpu_clock(clock)) return valid_clock(clock) ? -kEPERM : -kEINVAL;
  return set_wall_clock(time);
}

i64 sys_settimeofday(const SyscallArgs& args) {
  constexpr i32 kMostMinutes = 15 * 60;
  Timeval time;
  i32 zone[2] = {};
  if (args.a0 != 0) {
    if (!arch::copy_from_user(&time, Gva{args.a0}, sizeof(time))) return -kEFAULT;
    if (time.microseconds < 0 || time.microseconds > 1'000'000) return -kEINVAL;
  }
  if (args.a1 != 0 && !arch::copy_from_user(zone, Gva{args.a1}, sizeof(zone))) return -kEFAULT;
  const Timespec wanted{time.seconds, time.microseconds * 1000};
  if (args.a0 != 0 && !settable(wanted)) return -kEINVAL;
  if (!capable(Capability::kSysTime)) return -kEPERM;
  if (args.a1 != 0) {
    if (zone[0] < -kMostMinutes || zone[0] > kMostMinutes) return -kEINVAL;
    std::ranges::copy(zone, g_time_zone);
  }
  return args.a0 != 0 ? set_wall_clock(wanted) : 0;
}

i64 sys_adjtimex(const SyscallArgs& args) { return adjust_for_user(args.a0, kRealtime); }
i64 sys_clock_adjtime(const SyscallArgs& args) { return adjust_for_user(args.a1, args.a0 & 0xffff'ffff); }

}  // namespace nopte::guest
