// The machine's own ports, once the monitor has asked its kernel for them (iopl).
#pragma once

#include <cstdint>
#include <string_view>

namespace kvm_monitor {

inline constexpr uint16_t kUartPort = 0x3f8;
inline constexpr uint16_t kCountersPort = 0xe9;
inline constexpr uint16_t kExitPort = 0xf4;

inline uint8_t in_byte(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void out_byte(uint16_t port, uint8_t value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
inline void out_word(uint16_t port, uint32_t value) { asm volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }

inline void write_console(uint8_t byte) {
  constexpr uint8_t kTransmitEmpty = 0x20;
  while ((in_byte(kUartPort + 5) & kTransmitEmpty) == 0) {
  }
  out_byte(kUartPort, byte);
}
inline void write_console(std::string_view text) {
  for (const char c : text) write_console(static_cast<uint8_t>(c));
}

inline void write_counters(std::string_view text) {
  for (const char c : text) out_byte(kCountersPort, static_cast<uint8_t>(c));
}

}  // namespace kvm_monitor
