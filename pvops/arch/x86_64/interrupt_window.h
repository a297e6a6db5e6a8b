// Interrupts are off in kernel code; a window lets the handlers of those that are pending run here.
#pragma once

#include "pvops/arch/x86_64/cpu.h"

namespace nopte {

inline void take_interrupts() {
  cpu::sti();
  cpu::nop();  // ends the shadow of sti; under TCG pause does not
  cpu::cli();
}

}  // namespace nopte
