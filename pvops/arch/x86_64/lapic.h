// The local APIC in xAPIC mode: end of interrupt and a one-shot timer in ns. The timer counts the APIC bus
// clock, which QEMU and KVM fix at 1 GHz: a tick at divide-by-one is a nanosecond.
// Concurrency: the CPU's own. Source: APM vol. 2, chapter 16.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

class Lapic {
 public:
  // Where the registers are in physical memory; the caller maps them (uncached on silicon).
  static constexpr u64 kPhysical = 0xfee0'0000;
  static constexpr u8 kSpuriousVector = 0xff;
  // Longer spans fire early at this many ns: the caller sees that its deadline is ahead and sets it again.
  static constexpr u64 kMaxTimerNs = 0xffff'ffff;

  Lapic() = default;
  explicit Lapic(volatile void* registers) : registers_(static_cast<volatile u32*>(registers)) {}

  // Switches the APIC on with every local interrupt masked; the timer will raise timer_vector.
  void enable(u8 timer_vector);
  // From now on the machine's NMI line (LINT1) reaches this CPU.
  void take_nmis();
  [[nodiscard]] u32 id() const { return read(0x20) >> 24; }
  // The vector in service is done. A spurious interrupt takes none.
  void end_of_interrupt() { write(0xb0, 0); }
  // The vector was raised and waits to be taken (interrupt request register).
  [[nodiscard]] bool pending(u8 vector) const { return read(0x200 + vector / 32 * 16) >> vector % 32 & 1; }
  // One interrupt `ns` from now (at least 1, at most kMaxTimerNs); replaces what was set.
  void timer_set(u64 ns) { write(0x380, ns == 0 ? 1 : ns > kMaxTimerNs ? kMaxTimerNs : ns); }
  void timer_stop() { write(0x380, 0); }

 private:
  [[nodiscard]] u32 read(u32 offset) const { return registers_[offset / 4]; }
  void write(u32 offset, u64 value) { registers_[offset / 4] = static_cast<u32>(value); }

  volatile u32* registers_ = nullptr;
};

}  // namespace nopte
