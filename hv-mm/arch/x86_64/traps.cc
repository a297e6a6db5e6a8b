#include "hv-mm/arch/x86_64/traps.h"

#include "hv-mm/arch/x86_64/machine.h"
#include "hv-mm/arch/x86_64/report.h"
#include "hv-mm/vcpu.h"
#include "pvops/arch/x86_64/cpu.h"

extern "C" const nopte::u8 trap_stubs[];
extern "C" const nopte::u8 halt_unless_woken[];
extern "C" const nopte::u8 halt_over[];

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
constexpr u16 kInterruptGate = 0x8e00;  // present, ring 0, interrupts off

// As pvh_entry.S has them, and the task state.
constexpr u16 kCodeSelector = 0x10;
constexpr u16 kTaskSelector = 0x20;
u64 g_descriptors[] = {0, 0, 0x00af'9b00'0000'ffff, 0x00cf'9300'0000'ffff, 0, 0};

struct [[gnu::packed]] TaskState {
  u32 reserved0;
  u64 rsp[3];
  u64 reserved1;
  u64 ist[7];
  u64 reserved2;
  u16 reserved3, io_map_base;
};
static_assert(sizeof(TaskState) == 104);

struct alignas(16) Stack {
  u8 bytes[8192];
};

Gate g_gates[256];
TaskState g_task;
// By the number in a gate, from 1 on.
Stack g_stacks[3];

constexpr u16 stack_of(unsigned vector) {
  switch (vector) {
    case kVectorNmi:
      return 1;
    case kVectorDoubleFault:
      return 2;
    case kVectorMachineCheck:
      return 3;
    default:
      return 0;
  }
}

void load_task_state() {
  for (unsigned i = 0; i < 3; ++i) g_task.ist[i] = reinterpret_cast<u64>(&g_stacks[i + 1]);
  g_task.io_map_base = sizeof(g_task);
  constexpr u64 kAvailableTask = 0x89;
  const u64 base = reinterpret_cast<u64>(&g_task);
  g_descriptors[kTaskSelector / 8] =
      (sizeof(g_task) - 1) | (base & 0xff'ffff) << 16 | kAvailableTask << 40 | (base >> 24 & 0xff) << 56;
  g_descriptors[kTaskSelector / 8 + 1] = base >> 32;
  cpu::lgdt({sizeof(g_descriptors) - 1, reinterpret_cast<u64>(g_descriptors)});
  cpu::ltr(kTaskSelector);
}

}  // namespace

void install_traps() {
  for (unsigned vector = 0; vector < 256; ++vector) {
    const u64 stub = reinterpret_cast<u64>(trap_stubs) + vector * kStubBytes;
    g_gates[vector] = {static_cast<u16>(stub),
                       kCodeSelector,
                       static_cast<u16>(kInterruptGate | stack_of(vector)),
                       static_cast<u16>(stub >> 16),
                       static_cast<u32>(stub >> 32),
                       0};
  }
  cpu::lidt({sizeof(g_gates) - 1, reinterpret_cast<u64>(g_gates)});
  load_task_state();
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
    case kVectorNmi: {
      Machine::instance().on_nmi();
      const auto over = reinterpret_cast<nopte::u64>(halt_over);
      if (frame.rip >= reinterpret_cast<nopte::u64>(halt_unless_woken) && frame.rip < over) frame.rip = over;
      return;
    }
    case kVectorSecurity:  // INIT (VM_CR.R_INIT)
      Machine::instance().on_init();
      return;
    default:
      report_trap(frame);
  }
}
