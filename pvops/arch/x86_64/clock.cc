#include "pvops/arch/x86_64/clock.h"

#include "pvops/arch/x86_64/cpu.h"

namespace nopte {
namespace {

constexpr u64 kPitHz = 1'193'182;
constexpr u64 kMeasuredPitTicks = 2386;  // about 2 ms

u8 cmos(u8 index) {
  cpu::outb(0x70, index | 0x80);
  return cpu::inb(0x71);
}

struct RtcTime {
  u8 second, minute, hour, day, month, year, century;
  friend bool operator==(const RtcTime&, const RtcTime&) = default;
};

RtcTime read_rtc() { return {cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), cmos(0x32)}; }

// Days since 1970-01-01 of a Gregorian date (years counted from March).
u64 days_from_civil(u64 year, u64 month, u64 day) {
  year -= month <= 2;
  const u64 era = year / 400;
  const u64 year_of_era = year % 400;
  const u64 day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

}  // namespace

u64 measure_tsc_hz() {
  // Channel 2 counts down once (mode 0) while its gate is on; its output rises at zero.
  cpu::outb(0x61, (cpu::inb(0x61) & ~0x02) | 0x01);
  cpu::outb(0x43, 0xb0);
  cpu::outb(0x42, kMeasuredPitTicks & 0xff);
  cpu::outb(0x42, kMeasuredPitTicks >> 8);
  const u64 begin = cpu::rdtsc();
  u64 end = begin;
  // The bound is for a machine without a PIT: assume 1 GHz there rather than hang.
  constexpr u64 kMaxPolls = 10'000'000;
  u64 polls = 0;
  while (!(cpu::inb(0x61) & 0x20)) {
    if (++polls == kMaxPolls) {
      return 1'000'000'000;
    }
  }
  end = cpu::rdtsc();
  const u64 hz = (end - begin) * kPitHz / kMeasuredPitTicks;
  constexpr u64 kMhz = 1'000'000;
  const u64 mhz = (hz + kMhz / 2) / kMhz;
  return (mhz == 0 ? 1 : mhz) * kMhz;
}

u64 read_rtc_seconds() {
  RtcTime time = read_rtc();
  for (int tries = 0; tries < 100; ++tries) {
    const RtcTime again = read_rtc();
    if (again == time && !(cmos(0x0a) & 0x80)) {
      break;
    }
    time = again;
  }
  const u8 format = cmos(0x0b);
  const auto number = [&](u8 value) -> u64 { return format & 4 ? value : (value >> 4) * 10u + (value & 15); };
  u64 hour = number(time.hour & 0x7f);
  if (!(format & 2)) {
    hour = hour % 12 + (time.hour & 0x80 ? 12 : 0);
  }
  const u64 century = number(time.century);
  const u64 year = (century >= 19 ? century : 20) * 100 + number(time.year);
  return ((days_from_civil(year, number(time.month), number(time.day)) * 24 + hour) * 60 +
          number(time.minute)) *
             60 +
         number(time.second);
}

}  // namespace nopte
