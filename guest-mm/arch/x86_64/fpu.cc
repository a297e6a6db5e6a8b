// x87, SSE and AVX state, saved whole and eagerly: the kernel itself uses none of it, so only a switch
// between processes costs one XSAVE and one XRSTOR. Source: AMD64 APM vol. 2, 11.5 and vol. 4.
#include <cstring>

#include "guest-mm/arch/x86_64/traps.h"
#include "pvops/arch/x86_64/cpu.h"

extern "C" nopte::u32 load_fpu_or_fault(const nopte::u8* area, nopte::u32 components);

namespace nopte::guest {
namespace {

constexpr u64 kCr4Osxsave = u64{1} << 18;
constexpr u32 kCpuidAvx = u32{1} << 28;
constexpr u64 kX87Sse = 3;
constexpr u64 kAvx = 4;

// 0: no XSAVE, the state is FXSAVE's.
u32 g_saved_components = 0;

// The legacy area and the XSAVE header of what a program starts with; components that the header calls absent
// are in their initial state.
struct alignas(64) InitialImage {
  u16 control_word = 0x37f;
  u8 x87[22] = {};
  u32 mxcsr = 0x1f80;
  u8 rest[548] = {};
};
static_assert(offsetof(InitialImage, mxcsr) == 24 && sizeof(InitialImage) == 576);
constexpr InitialImage kInitial;

inline void xsave(u8* area) {
  asm volatile("xsave64 %0" : "=m"(*area) : "a"(g_saved_components), "d"(0) : "memory");
}
inline void fxsave(u8* area) { asm volatile("fxsave64 %0" : "=m"(*area)::"memory"); }

}  // namespace

void enable_fpu() {
  if ((cpu::read_cr4() & kCr4Osxsave) == 0) {
    return;
  }
  g_saved_components = kX87Sse;
  if ((cpu::cpuid(1).ecx & kCpuidAvx) != 0) {
    g_saved_components |= kAvx;
  }
  cpu::xsetbv(0, g_saved_components);
}

namespace arch {

void init_fpu(FpuState& state) { std::memcpy(state.bytes, &kInitial, sizeof(kInitial)); }

void load_initial_fpu() {
  (void)load_fpu_or_fault(reinterpret_cast<const u8*>(&kInitial), g_saved_components);
}

void save_fpu(FpuState& state) { g_saved_components != 0 ? xsave(state.bytes) : fxsave(state.bytes); }

// A save does not write all of an image: what made the processor refuse it would still be there.
bool restore_fpu(FpuState& state) {
  if (load_fpu_or_fault(state.bytes, g_saved_components) == 0) return true;
  init_fpu(state);
  load_initial_fpu();
  return false;
}

}  // namespace arch
}  // namespace nopte::guest
