// The machine's clocks: TSC frequency by the PIT, and the wall clock of the CMOS.
// Source: Intel 8254 and MC146818 data sheets.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

// TSC ticks per second, measured against PIT channel 2 over about 2 ms and rounded to a whole MHz. The same
// at every boot under icount, where it is 1 GHz. At least 1 MHz.
u64 measure_tsc_hz();

// Seconds since 1970 by the real-time clock, read between two updates.
u64 read_rtc_seconds();

// ns for a number of TSC ticks, without overflow for any.
class TscClock {
 public:
  constexpr TscClock() = default;
  constexpr explicit TscClock(u64 hz) : hz_(hz) {}
  [[nodiscard]] constexpr u64 hz() const { return hz_; }
  [[nodiscard]] constexpr u64 ns(u64 ticks) const {
    if (hz_ == kNsPerSecond) {
      return ticks;
    }
    return ticks / hz_ * kNsPerSecond + ticks % hz_ * kNsPerSecond / hz_;
  }

 private:
  static constexpr u64 kNsPerSecond = 1'000'000'000;
  u64 hz_ = kNsPerSecond;
};

}  // namespace nopte
