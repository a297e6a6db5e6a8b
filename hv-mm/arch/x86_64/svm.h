// SVM's instructions as functions, one each. Source: APM vol. 3.
#pragma once

#include "pvops/base/types.h"

namespace nopte::cpu {

inline void stgi() { asm volatile("stgi" ::: "memory"); }
inline void clgi() { asm volatile("clgi" ::: "memory"); }
inline void vmsave(u64 physical) { asm volatile("vmsave %0" ::"a"(physical) : "memory"); }
inline void invlpga(u64 va, u32 asid) { asm volatile("invlpga" ::"a"(va), "c"(asid) : "memory"); }

inline constexpr u32 kMsrVmCr = 0xc001'0114;
inline constexpr u32 kMsrHostSavePhysical = 0xc001'0117;
inline constexpr u64 kEferSvmeBit = u64{1} << 12;
inline constexpr u64 kVmCrSvmDisabled = u64{1} << 4;
inline constexpr u64 kVmCrInitIsException = u64{1} << 1;  // R_INIT: #SX instead of a reset

}  // namespace nopte::cpu
