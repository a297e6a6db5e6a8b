#include "hv-mm/arch/x86_64/traps.h"

#include "hv-mm/arch/x86_64/machine.h"
#include "hv-mm/arch/x86_64/report.h"
#include "pvops/arch/x86_64/cpu.h"

extern "C" const nopte::u8 trap_stubs[];

namespace nopte::hv {
namespace {

struct Gate {
  u16 offset_low;
  u16 selector;
  u16 attributes;
  u16 offset_middle;
  u32 offset_high;
  u32 reserved;
};
static_assert(sizeof(Gate) == 16);

constexpr u64 kStubBytes = 16;
constexpr u16 kCodeSelector = 0x10;     // pvh_entry.S
constexpr u16 kInterruptGate = 0x8e00;  // present, ring 0, interrupts off, no stack switch

Gate g_gates[256];

}  // namespace

void install_traps() {
  for (unsigned vector = 0; vector < 256; ++vector) {
    const u64 stub = reinterpret_cast<u64>(trap_stubs) + vector * kStubBytes;
    g_gates[vector] = {static_cast<u16>(stub),
                       kCodeSelector,
                       kInterruptGate,
                       static_cast<u16>(stub >> 16),
                       static_cast<u32>(stub >> 32),
                       0};
  }
  cpu::lidt({sizeof(g_gates) - 1, reinterpret_cast<u64>(g_gates)});
}

}  // namespace nopte::hv

extern "C" void handle_trap(nopte::hv::TrapFrame& frame) {
  using namespace nopte::hv;
  switch (frame.vector) {
    case kHostTimerVector:
      Machine::instance().on_timer();
      return;
    case kHostConsoleVector:
      Machine::instance().on_console();
      return;
    case nopte::Lapic::kSpuriousVector:
      return;
    default:
      report_trap(frame);
  }
}
