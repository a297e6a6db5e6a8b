// Model-specific registers: an allow-list, everything else is #GP(0). Those of kDirectMsrs never exit: they
// stay in the processor (one guest), or each context switch of the guest would exit.
#pragma once

#include <array>
#include <span>

#include "hv-mm/vcpu.h"
#include "pvops/base/result.h"

namespace nopte::hv {

inline constexpr u32 kMsrTsc = 0x10;
inline constexpr u32 kMsrPat = 0x277;
inline constexpr u32 kMsrEferNumber = 0xc000'0080;

// SYSENTER_CS/ESP/EIP, STAR, LSTAR, CSTAR, SFMASK, FS base, GS base, KERNEL_GS base.
inline constexpr std::array<u32, 10> kDirectMsrs{0x174,       0x175,       0x176,       0xc000'0081,
                                                 0xc000'0082, 0xc000'0083, 0xc000'0084, 0xc000'0100,
                                                 0xc000'0101, 0xc000'0102};

inline constexpr u64 kMsrBitmapBytes = 8192;
inline constexpr u64 kPortBitmapBytes = 12288;
inline constexpr u64 kResetPat = 0x0007'0406'0007'0406;

// All ones except both bits of each kDirectMsrs. Source: APM vol. 2, 15.11.
void fill_msr_bitmap(std::span<u8, kMsrBitmapBytes> bitmap);

// EFER bits that a guest may change: SCE, and with its own paging NXE.
inline constexpr u64 kEferSce = 1;
inline constexpr u64 kEferLma = 0x400;
inline constexpr u64 kEferNxe = 0x800;
inline constexpr u64 kEferSvme = 0x1000;

// RDMSR and WRMSR at CPL 0. An error is #GP(0). `ticks` is the TSC.
Result<u64> read_msr(const Vcpu& vcpu, u32 msr, u64 ticks);
Result<void> write_msr(Vcpu& vcpu, u32 msr, u64 value, u64 free_efer_bits);

}  // namespace nopte::hv
