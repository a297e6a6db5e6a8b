// GDT, TSS, IDT and the system-call registers. Selectors are Linux's, which programs may look at: kernel code
// 0x10, kernel data 0x18, user data 0x2b, user code 0x33. There is no 32-bit code segment. Double faults, NMI
// and machine checks run on stacks of their own; page faults do not, because they nest and may switch.
#include <array>

#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"

extern "C" {
extern const nopte::u64 vector_entries[34];
extern nopte::u64 kernel_stack_top;
void syscall_entry();
void spurious_interrupt();
void load_segments();
}

namespace nopte::guest {
namespace {

struct [[gnu::packed]] Tss {
  u32 reserved0 = 0;
  u64 rsp[3] = {};
  u64 reserved1 = 0;
  u64 ist[7] = {};
  u64 reserved2 = 0;
  u16 reserved3 = 0;
  u16 io_map = sizeof(Tss);
};
static_assert(sizeof(Tss) == 104);

struct Gate {
  u64 low = 0;
  u64 high = 0;
};

constexpr u64 kPresent = u64{1} << 47;
constexpr u64 kInterruptGate = u64{0xe} << 40;
constexpr u16 kKernelCode = 0x10;
constexpr u16 kTssSelector = 0x40;

constexpr Gate make_gate(u64 entry, u64 ist, u64 privilege) {
  return {(entry & 0xffff) | u64{kKernelCode} << 16 | ist << 32 | kInterruptGate | privilege << 45 |
              kPresent | (entry >> 16 & 0xffff) << 48,
          entry >> 32};
}

constexpr u64 kEmergencyStackBytes = 8192;
// One each for NMI, double fault and machine check.
alignas(16) std::array<std::array<u8, kEmergencyStackBytes>, 3> g_emergency_stacks;

Tss g_tss;
std::array<Gate, 256> g_idt;
std::array<u64, 10> g_gdt{
    0,
    0,
    0x00af'9b00'0000'ffff,  // 0x10 kernel code
    0x00cf'9300'0000'ffff,  // 0x18 kernel data
    0,                      // 0x20 would be 32-bit user code
    0x00cf'f300'0000'ffff,  // 0x28 user data
    0x00af'fb00'0000'ffff,  // 0x30 user code
    0,
    0,  // 0x40 TSS, two words
    0,
};

u64 ist_of(u64 vector) {
  switch (vector) {
    case 2:
      return 1;
    case 8:
      return 2;
    case 18:
      return 3;
    default:
      return 0;
  }
}

void load_idt() {
  for (u64 vector = 0; vector < std::size(vector_entries); ++vector) {
    const bool program_may_raise = vector == 3 || vector == 4;
    g_idt[vector] = make_gate(vector_entries[vector], ist_of(vector), program_may_raise ? 3 : 0);
  }
  g_idt[0xff] = make_gate(reinterpret_cast<u64>(&spurious_interrupt), 0, 0);
  cpu::lidt({sizeof(g_idt) - 1, reinterpret_cast<u64>(g_idt.data())});
}

void load_gdt() {
  for (u64 i = 0; i < g_emergency_stacks.size(); ++i) {
    g_tss.ist[i] = reinterpret_cast<u64>(g_emergency_stacks[i].data()) + kEmergencyStackBytes;
  }
  const u64 base = reinterpret_cast<u64>(&g_tss);
  g_gdt[8] = (sizeof(Tss) - 1) | (base & 0xff'ffff) << 16 | u64{0x89} << 40 | (base >> 24 & 0xff) << 56;
  g_gdt[9] = base >> 32;
  cpu::lgdt({sizeof(g_gdt) - 1, reinterpret_cast<u64>(g_gdt.data())});
  load_segments();
  cpu::ltr(kTssSelector);
}

}  // namespace

void set_kernel_stack(Gva stack_top) {
  kernel_stack_top = stack_top.value();
  g_tss.rsp[0] = stack_top.value();
}

Gva kernel_stack() { return Gva(kernel_stack_top); }

void load_descriptor_tables() {
  load_gdt();
  load_idt();
  // syscall: kernel code at 0x10; sysret: user code at 0x20 + 16.
  cpu::wrmsr(cpu::kMsrStar, u64{0x23} << 48 | u64{kKernelCode} << 32);
  cpu::wrmsr(cpu::kMsrLstar, reinterpret_cast<u64>(&syscall_entry));
  cpu::wrmsr(cpu::kMsrCstar, reinterpret_cast<u64>(&syscall_entry));
  // Cleared at entry: all flags but the reserved one (interrupts, direction, trap, alignment check).
  cpu::wrmsr(cpu::kMsrSfmask, 0x0025'7fd5);
}

}  // namespace nopte::guest
