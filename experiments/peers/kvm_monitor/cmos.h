// The clock of a PC (MC146818), which only tells: each register of a time that is read anew.
#pragma once

#include <cstdint>
#include <ctime>

namespace kvm_monitor {

// Register `index` of the clock at `seconds` since 1970, in binary-coded decimals and 24 hours.
inline uint8_t read_cmos(uint8_t index, time_t seconds) {
  tm now{};
  gmtime_r(&seconds, &now);
  const auto decimal = [](int value) { return static_cast<uint8_t>(value / 10 << 4 | value % 10); };
  switch (index) {
    case 0x00:
      return decimal(now.tm_sec);
    case 0x02:
      return decimal(now.tm_min);
    case 0x04:
      return decimal(now.tm_hour);
    case 0x06:
      return decimal(now.tm_wday + 1);
    case 0x07:
      return decimal(now.tm_mday);
    case 0x08:
      return decimal(now.tm_mon + 1);
    case 0x09:
      return decimal(now.tm_year % 100);
    case 0x32:
      return decimal(now.tm_year / 100 + 19);
    case 0x0a:
      return 0x26;  // 32,768 Hz, no update under way
    case 0x0b:
      return 0x02;  // 24 hours
    case 0x0d:
      return 0x80;  // the battery is good
    default:
      return 0;
  }
}

}  // namespace kvm_monitor
