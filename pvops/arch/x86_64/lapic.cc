#include "pvops/arch/x86_64/lapic.h"

#include "pvops/arch/x86_64/cpu.h"

namespace nopte {
namespace {
constexpr u32 kSpurious = 0xf0;
constexpr u32 kTaskPriority = 0x80;
constexpr u32 kLvtTimer = 0x320;
constexpr u32 kLvtLint0 = 0x350;
constexpr u32 kLvtLint1 = 0x360;
constexpr u32 kLvtError = 0x370;
constexpr u32 kDivide = 0x3e0;
constexpr u32 kMasked = 1u << 16;
constexpr u32 kDeliverNmi = 4u << 8;
constexpr u32 kDivideByOne = 0xb;
}  // namespace

void Lapic::enable(u8 timer_vector) {
  cpu::wrmsr(cpu::kMsrApicBase, (cpu::rdmsr(cpu::kMsrApicBase) & 0xfff) | kPhysical | 1u << 11);
  write(kLvtLint0, kMasked);
  write(kLvtLint1, kMasked);
  write(kLvtError, kMasked);
  write(kTaskPriority, 0);
  write(kSpurious, 0x100 | kSpuriousVector);
  write(kDivide, kDivideByOne);
  timer_stop();
  write(kLvtTimer, timer_vector);  // one-shot, unmasked
}

void Lapic::take_nmis() { write(kLvtLint1, kDeliverNmi); }

}  // namespace nopte
