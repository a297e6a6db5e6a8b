#include "pvops/arch/x86_64/uart.h"

#include "pvops/arch/x86_64/cpu.h"

namespace nopte::uart {
namespace {
constexpr u16 kBase = 0x3f8;
constexpr u16 kData = kBase;            // divisor low while DLAB is set
constexpr u16 kInterrupts = kBase + 1;  // divisor high while DLAB is set
constexpr u16 kFifo = kBase + 2;
constexpr u16 kLineControl = kBase + 3;
constexpr u16 kModemControl = kBase + 4;
constexpr u16 kLineStatus = kBase + 5;
constexpr u8 kStatusReceived = 0x01;
constexpr u8 kStatusTransmitEmpty = 0x20;
}  // namespace

void init() {
  cpu::outb(kInterrupts, 0);
  cpu::outb(kLineControl, 0x80);
  cpu::outb(kData, 1);
  cpu::outb(kInterrupts, 0);
  cpu::outb(kLineControl, 0x03);
  // Off: switching it on would clear what was typed before; without it the sender waits for us.
  cpu::outb(kFifo, 0);
  cpu::outb(kModemControl, 0x0b);  // DTR, RTS, OUT2 (the interrupt gate)
}

void write_byte(u8 byte) {
  while (!(cpu::inb(kLineStatus) & kStatusTransmitEmpty)) {
    cpu::pause();
  }
  cpu::outb(kData, byte);
}

void write(std::string_view text) {
  for (const char c : text) {
    write_byte(static_cast<u8>(c));
  }
}

std::optional<u8> read_byte() {
  if (!(cpu::inb(kLineStatus) & kStatusReceived)) {
    return std::nullopt;
  }
  return cpu::inb(kData);
}

void enable_receive_interrupt() { cpu::outb(kInterrupts, 0x01); }

}  // namespace nopte::uart
