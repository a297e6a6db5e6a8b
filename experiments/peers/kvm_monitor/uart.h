// A 16450 as far as guests use one: what is sent leaves at once, what is received waits in a queue without an
// end. Source: National Semiconductor, PC16450C data sheet (the registers).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace kvm_monitor {

class Uart {
 public:
  static constexpr uint16_t kRegisters = 8;

  explicit Uart(std::function<void(uint8_t)> send) : send_(std::move(send)) {}

  // `index`: the register, below kRegisters.
  [[nodiscard]] uint8_t read(uint16_t index);
  void write(uint16_t index, uint8_t value);
  void receive(std::string_view bytes);
  // The level of its interrupt line.
  [[nodiscard]] bool interrupts() const { return pending() != kNothing; }

 private:
  // Identities of interrupts, as register 2 gives them; the first in order is the one that is told.
  static constexpr uint8_t kNothing = 1, kReceived = 4, kSent = 2;

  [[nodiscard]] uint8_t pending() const;
  [[nodiscard]] bool divisor() const { return (line_control_ & 0x80) != 0; }
  [[nodiscard]] bool looped() const { return (modem_control_ & 0x10) != 0; }
  [[nodiscard]] uint8_t modem_status() const;

  std::function<void(uint8_t)> send_;
  std::string received_;
  size_t taken_ = 0;  // of received_
  bool sent_ = false;
  uint8_t enabled_ = 0;
  uint8_t line_control_ = 0;
  uint8_t modem_control_ = 0;
  uint8_t scratch_ = 0;
  uint8_t divisor_[2] = {};
};

}  // namespace kvm_monitor
