// COM1, a 16550: the console of a bare machine and of the hypervisor. Output waits for the transmitter,
// input is taken a byte at a time; the receive interrupt is IRQ 4.
// Concurrency: one CPU. Source: PC16550D data sheet.
#pragma once

#include <optional>
#include <string_view>

#include "pvops/base/types.h"

namespace nopte::uart {

inline constexpr u8 kIrq = 4;

// 115200 8N1, FIFOs on, no interrupt.
void init();
void write_byte(u8 byte);
// Bytes as they are: whoever prints lines for a terminal sends the carriage returns.
void write(std::string_view text);
// The next received byte, if one waits.
std::optional<u8> read_byte();
// From now on IRQ 4 is raised while a received byte waits.
void enable_receive_interrupt();

}  // namespace nopte::uart
