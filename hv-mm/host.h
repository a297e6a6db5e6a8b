// What the hypervisor's core asks of the machine below it: arch/x86_64/machine.cc on hardware, a fake in the
// hosted tests. One CPU.
#pragma once

#include <optional>
#include <string_view>

#include "pvops/base/addr.h"

namespace nopte::hv {

struct CpuidLeaf {
  u32 eax = 0, ebx = 0, ecx = 0, edx = 0;
};

class Host {
 public:
  virtual void console_write(std::string_view text) = 0;
  virtual std::optional<u8> console_read() = 0;
  // The counters channel.
  virtual void counters_write(std::string_view text) = 0;

  // The TSC, which the guest reads too, and its time.
  virtual u64 ticks() = 0;
  virtual u64 ns_of_ticks(u64 ticks) = 0;
  // raised_interrupts() will have kTimerVector at or after the deadline (ns since TSC zero).
  virtual void timer_set(u64 deadline_ns) = 0;
  virtual void timer_cancel() = 0;

  // Takes what is pending for the host now: interrupts, NMI, INIT, SMI.
  virtual void take_interrupts() = 0;
  // A host interrupt is pending and would be taken: long calls should stop.
  virtual bool interrupt_waiting() = 0;
  // Halts until at least one host interrupt, NMI or INIT was taken.
  virtual void wait_for_interrupt() = 0;
  // The guest vectors that host interrupts raised since the last call: bit n is vector 0x20 + n.
  virtual u32 raised_interrupts() = 0;

  // Which of these came since the last call. They are the machine's owner asking after the hypervisor, and
  // never the guest's.
  struct Signals {
    bool nmi = false;
    bool init = false;
  };
  virtual Signals signals() = 0;

  // The processor forgets this page of the guest that runs under this ASID (INVLPGA).
  virtual void forget_page(Gva va, u32 asid) = 0;
  // CPUID of the processor below.
  virtual CpuidLeaf cpuid(u32 leaf, u32 subleaf) = 0;
  // XCR0, which stays in the processor. Precondition for setting: a subset of what CPUID leaf 13 offers,
  // with the dependencies checked.
  virtual void set_xcr0(u64 value) = 0;

  // Ends the machine with this exit status.
  [[noreturn]] virtual void power_off(u8 status) = 0;

 protected:
  ~Host() = default;
};

}  // namespace nopte::hv
