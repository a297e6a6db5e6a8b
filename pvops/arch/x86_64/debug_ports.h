// QEMU's two debug devices: debugcon (port 0xe9), the channel of the counters, and isa-debug-exit (port
// 0xf4), which ends the machine.
#pragma once

#include <string_view>

#include "pvops/arch/x86_64/cpu.h"

namespace nopte {

inline void debugcon_write(std::string_view text) {
  for (const char c : text) {
    cpu::outb(0xe9, static_cast<u8>(c));
  }
}

// Ends QEMU with exit status (value << 1) | 1; only the low 7 bits get through, the whole status travels in
// the power_off line on debugcon. Without the device the CPU halts for good.
[[noreturn]] inline void debug_exit(u8 status) {
  cpu::outl(0xf4, status & 0x7f);
  for (;;) {
    cpu::cli();
    cpu::hlt();
  }
}

}  // namespace nopte
