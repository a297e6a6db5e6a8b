// The bare machine's platform: COM1, the local APIC's timer, HLT, and the counters channel (debugcon), to
// which it writes one JSON line per mark and at power-off.
#include "native-fallback/guest/arch/x86_64/bare_platform.h"
#include "native-fallback/guest/arch/x86_64/native_machine.h"
#include "native-fallback/guest/json_line.h"
#include "native-fallback/guest/native_backend.h"
#include "pvops/arch/x86_64/clock.h"
#include "pvops/arch/x86_64/debug_ports.h"
#include "pvops/arch/x86_64/interrupt_controllers.h"
#include "pvops/arch/x86_64/lapic.h"
#include "pvops/arch/x86_64/uart.h"
#include "pvops/at_mark.h"

namespace nopte::pt {
namespace {

constinit TscClock g_clock;
constinit Lapic g_lapic;
u64 g_boot_wall_ns = 0;
IdleTime g_idle;

// What every line ends in, and out with it.
void finish(JsonLine& line, u64 tsc, const IdleTime& idle) {
  line.number("tsc", tsc);
  line.number("idle_ns", idle.ns);
  line.open("counters");
  line.number("idles", idle.times);
  for_each_counter(*g_engine_counters, [&](const char* name, u64 value) { line.number(name, value); });
  line.close();
  debugcon_write(line.finish());
}

}  // namespace

void report_mark(std::string_view name, u64 tsc, const IdleTime& idle) {
  JsonLine line;
  line.text("event", "mark");
  line.text("text", name.substr(0, name.size() < 40 ? name.size() : 40));
  finish(line, tsc, idle);
  if (g_at_mark != nullptr) [[unlikely]]
    g_at_mark();
}

void report_power_off(u8 status, u64 tsc, const IdleTime& idle) {
  JsonLine line;
  line.text("event", "power_off");
  line.number("status", status);
  finish(line, tsc, idle);
  debug_exit(status);
}

void BarePlatform::console_write(std::string_view text) { uart::write(text); }
std::optional<u8> BarePlatform::console_read() { return uart::read_byte(); }

u64 BarePlatform::now_ns() { return g_clock.ns(cpu::rdtsc()); }

void BarePlatform::timer_set(u64 deadline_ns) {
  const u64 now = now_ns();
  g_lapic.timer_set(deadline_ns > now ? deadline_ns - now : 1);
}
void BarePlatform::timer_cancel() { g_lapic.timer_stop(); }
void BarePlatform::interrupt_done(u8) { g_lapic.end_of_interrupt(); }

// HLT stands in the shadow of STI: an interrupt that is pending already ends it at once.
void BarePlatform::idle() {
  const u64 begin = now_ns();
  cpu::sti_hlt();
  cpu::cli();
  g_idle.add(now_ns() - begin);
}

void BarePlatform::mark(std::string_view name) { report_mark(name, cpu::rdtsc(), g_idle); }
void BarePlatform::power_off(u8 status) { report_power_off(status, cpu::rdtsc(), g_idle); }

u64 BarePlatform::boot_wall_ns() { return g_boot_wall_ns; }

static constexpr PlatformOps kPlatform{
    "bare machine",
#define NOPTE_OP(result, name, parameters, arguments) &BarePlatform::name,
#include "pvops/platform_ops.def"
};

void start_interrupts(volatile void* lapic, volatile void* io_apic) {
  mask_pics();
  g_lapic = Lapic(lapic);
  g_lapic.enable(kTimerVector);
  IoApic(io_apic).route(uart::kIrq, kConsoleVector, g_lapic.id());
  uart::enable_receive_interrupt();
}

const PlatformOps& init_native_platform(const abi::BootBlock& block) {
  g_clock = TscClock(block.tsc_hz);
  g_boot_wall_ns = block.boot_wall_ns;
  return kPlatform;
}

}  // namespace nopte::pt
