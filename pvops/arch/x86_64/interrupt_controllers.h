// The 8259 PICs, which we silence, and the I/O APIC, of which one input is used: COM1's.
// Source: 8259A and 82093AA data sheets.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

// Remaps both PICs away from the exception vectors and masks every input.
void mask_pics();

class IoApic {
 public:
  static constexpr u64 kPhysical = 0xfec0'0000;

  IoApic() = default;
  explicit IoApic(volatile void* registers) : registers_(static_cast<volatile u32*>(registers)) {}

  // Input `irq` raises `vector` at the local APIC `lapic_id`, edge-triggered, fixed delivery, unmasked.
  void route(u8 irq, u8 vector, u32 lapic_id);

 private:
  void write(u32 index, u32 value) {
    registers_[0] = index;
    registers_[4] = value;
  }

  volatile u32* registers_ = nullptr;
};

}  // namespace nopte
