#include "hv-mm/arch/x86_64/machine.h"

#include "hv-mm/arch/x86_64/svm.h"
#include "hv-mm/arch/x86_64/traps.h"
#include "hv-mm/vcpu.h"
#include "pvops/arch/x86_64/cpu.h"
#include "pvops/arch/x86_64/debug_ports.h"
#include "pvops/arch/x86_64/uart.h"
#include "pvops/platform_ops.h"

// traps.S. Interrupts are off, before and after.
extern "C" void halt_unless_woken(const void* woken);

namespace nopte::hv {
namespace {

constinit Machine g_machine;

constexpr u32 raised_bit(u8 vector) { return u32{1} << (vector - Vcpu::kFirstInterrupt); }

}  // namespace

Machine& Machine::instance() { return g_machine; }

void Machine::start_clock() {
  uart::init();
  clock_ = TscClock(measure_tsc_hz());
  constexpr u64 kNsPerSecond = 1'000'000'000;
  const u64 wall_ns = read_rtc_seconds() * kNsPerSecond;
  const u64 now_ns = clock_.ns(cpu::rdtsc());
  // The clock has whole seconds: Unix time at TSC zero, to a second.
  boot_wall_ns_ = wall_ns - now_ns / kNsPerSecond * kNsPerSecond;
}

void Machine::start_interrupts(u64 direct_base) {
  mask_pics();
  lapic_ = Lapic(reinterpret_cast<volatile void*>(direct_base + Lapic::kPhysical));
  lapic_.enable(kHostTimerVector);
  lapic_.take_nmis();
  cpu::clgi();
  cpu::sti();
  IoApic io_apic(reinterpret_cast<volatile void*>(direct_base + IoApic::kPhysical));
  io_apic.route(uart::kIrq, kHostConsoleVector, lapic_.id());
  uart::enable_receive_interrupt();
}

void Machine::console_write(std::string_view text) { uart::write(text); }
std::optional<u8> Machine::console_read() { return uart::read_byte(); }
void Machine::counters_write(std::string_view text) { debugcon_write(text); }
u64 Machine::ticks() { return cpu::rdtsc(); }

void Machine::arm(u64 now_ns) { lapic_.timer_set(deadline_ns_ > now_ns ? deadline_ns_ - now_ns : 1); }

void Machine::timer_set(u64 deadline_ns) {
  deadline_ns_ = deadline_ns;
  armed_ = true;
  arm(clock_.ns(cpu::rdtsc()));
}

void Machine::timer_cancel() {
  armed_ = false;
  lapic_.timer_stop();
}

// With IF set, STGI takes what is pending. (Clearing IF first would lose it under TCG.)
void Machine::take_interrupts() {
  cpu::stgi();
  cpu::nop();
  cpu::clgi();
}

bool Machine::interrupt_waiting() {
  return lapic_.pending(kHostTimerVector) || lapic_.pending(kHostConsoleVector);
}

void Machine::wait_for_interrupt() {
  cpu::cli();
  cpu::stgi();
  while (woken_.raised == 0 && woken_.signals == 0) {
    halt_unless_woken(&woken_);
  }
  cpu::clgi();
  cpu::sti();
}

u32 Machine::raised_interrupts() {
  const u32 raised = woken_.raised;
  woken_.raised = 0;
  return raised;
}

Host::Signals Machine::signals() {
  const u32 came = woken_.signals;
  woken_.signals = 0;
  return {(came & kNmi) != 0, (came & kInit) != 0};
}

void Machine::forget_page(Gva va, u32 asid) { cpu::invlpga(va.value(), asid); }

CpuidLeaf Machine::cpuid(u32 leaf, u32 subleaf) {
  const cpu::CpuidResult r = cpu::cpuid(leaf, subleaf);
  return {r.eax, r.ebx, r.ecx, r.edx};
}

void Machine::set_xcr0(u64 value) { cpu::xsetbv(0, value); }

void Machine::power_off(u8 status) { debug_exit(status); }

void Machine::on_timer() {
  lapic_.end_of_interrupt();
  if (!armed_) {
    return;
  }
  const u64 now_ns = clock_.ns(cpu::rdtsc());
  if (now_ns < deadline_ns_) {  // farther than the counter reaches
    arm(now_ns);
    return;
  }
  armed_ = false;
  woken_.raised = woken_.raised | raised_bit(kTimerVector);
}

void Machine::on_console() {
  lapic_.end_of_interrupt();
  woken_.raised = woken_.raised | raised_bit(kConsoleVector);
}

}  // namespace nopte::hv
