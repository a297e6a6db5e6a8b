#include "pvops/arch/x86_64/interrupt_controllers.h"

#include "pvops/arch/x86_64/cpu.h"

namespace nopte {

void mask_pics() {
  constexpr u16 kFirst = 0x20;
  constexpr u16 kSecond = 0xa0;
  cpu::outb(kFirst, 0x11);
  cpu::outb(kSecond, 0x11);
  cpu::outb(kFirst + 1, 0xf0);  // spurious interrupts of a masked PIC land out of the way
  cpu::outb(kSecond + 1, 0xf8);
  cpu::outb(kFirst + 1, 4);
  cpu::outb(kSecond + 1, 2);
  cpu::outb(kFirst + 1, 1);
  cpu::outb(kSecond + 1, 1);
  cpu::outb(kFirst + 1, 0xff);
  cpu::outb(kSecond + 1, 0xff);
}

void IoApic::route(u8 irq, u8 vector, u32 lapic_id) {
  constexpr u32 kRedirection = 0x10;
  write(kRedirection + 2u * irq + 1, lapic_id << 24);
  write(kRedirection + 2u * irq, vector);
}

}  // namespace nopte
