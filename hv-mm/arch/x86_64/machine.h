// The machine below the hypervisor (host.h): COM1, local APIC timer, TSC, QEMU's debug ports.
//
// Interrupts: GIF is clear and IF set from start_interrupts() on; take_interrupts() and wait_for_interrupt()
// open the only interrupt windows.
#pragma once

#include "hv-mm/host.h"
#include "pvops/arch/x86_64/clock.h"
#include "pvops/arch/x86_64/interrupt_controllers.h"
#include "pvops/arch/x86_64/lapic.h"

namespace nopte::hv {

class Machine final : public Host {
 public:
  static Machine& instance();

  // Once, early: console and clock. Physical addresses are seen at direct_base from here on.
  void start_clock();
  // Once: interrupt controllers, with the MMIO mapped at direct_base + physical address; clears GIF, sets IF.
  void start_interrupts(u64 direct_base);

  [[nodiscard]] u64 tsc_hz() const { return clock_.hz(); }
  [[nodiscard]] u64 boot_wall_ns() const { return boot_wall_ns_; }

  void console_write(std::string_view text) override;
  std::optional<u8> console_read() override;
  void counters_write(std::string_view text) override;
  u64 ticks() override;
  u64 ns_of_ticks(u64 ticks) override { return clock_.ns(ticks); }
  void timer_set(u64 deadline_ns) override;
  void timer_cancel() override;
  void take_interrupts() override;
  bool interrupt_waiting() override;
  void wait_for_interrupt() override;
  u32 raised_interrupts() override;
  Signals signals() override;
  void forget_page(Gva va, u32 asid) override;
  CpuidLeaf cpuid(u32 leaf, u32 subleaf) override;
  void set_xcr0(u64 value) override;
  [[noreturn]] void power_off(u8 status) override;

  // Interrupt handlers.
  void on_timer();
  void on_console();
  void on_nmi() { woken_.signals = woken_.signals | kNmi; }
  void on_init() { woken_.signals = woken_.signals | kInit; }

 private:
  void arm(u64 now_ns);

  Lapic lapic_;
  TscClock clock_;
  u64 boot_wall_ns_ = 0;
  u64 deadline_ns_ = 0;
  bool armed_ = false;

  static constexpr u32 kNmi = 1, kInit = 2;
  // What ends a wait, as one word (traps.S).
  struct alignas(8) Woken {
    volatile u32 raised = 0;
    volatile u32 signals = 0;
  };
  Woken woken_;
};

}  // namespace nopte::hv
