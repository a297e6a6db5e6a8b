// A second UART that a Linux guest's kernel writes its log to ("earlycon=uart8250,io,0x2f8 keep_bootcon"),
// byte by byte and before it goes on. A program that writes to /dev/kmsg so reaches the monitor: how marks
// come out of a Linux, which has no other file for them. Lines that are no marks are dropped.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "experiments/peers/kvm_monitor/counters_channel.h"

namespace kvm_monitor {

class LogConsole {
 public:
  static constexpr uint16_t kPort = 0x2f8;

  LogConsole(std::function<Counters()> read, std::function<void(std::string_view)> write)
      : read_(std::move(read)), write_(std::move(write)) {}

  // Always ready to send; a driver that looks for a UART finds none.
  [[nodiscard]] static uint8_t read(uint16_t index);
  void write(uint16_t index, uint8_t value);

 private:
  void finish_line();

  std::function<Counters()> read_;
  std::function<void(std::string_view)> write_;
  std::string line_;
  Counters at_first_byte_;
  uint8_t line_control_ = 0;
};

}  // namespace kvm_monitor
