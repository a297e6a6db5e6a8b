// x86-64 instructions as functions, one instruction each: the only inline assembly of the images beside
// SVM's own instructions (hv-mm/arch/x86_64). Names are the mnemonics. Source: AMD64 APM vol. 3.
#pragma once

#include "pvops/base/types.h"

namespace nopte::cpu {

inline void outb(u16 port, u8 value) { asm volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
inline void outw(u16 port, u16 value) { asm volatile("outw %0, %1" ::"a"(value), "Nd"(port)); }
inline void outl(u16 port, u32 value) { asm volatile("outl %0, %1" ::"a"(value), "Nd"(port)); }
inline u8 inb(u16 port) {
  u8 value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

inline u64 rdtsc() {
  u32 low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return u64{high} << 32 | low;
}

inline u64 rdmsr(u32 msr) {
  u32 low, high;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return u64{high} << 32 | low;
}
inline void wrmsr(u32 msr, u64 value) {
  asm volatile("wrmsr" ::"c"(msr), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
               : "memory");
}

struct CpuidResult {
  u32 eax, ebx, ecx, edx;
};
inline CpuidResult cpuid(u32 leaf, u32 subleaf = 0) {
  CpuidResult r;
  asm volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
  return r;
}

inline u64 read_cr0() {
  u64 value;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline u64 read_cr2() {
  u64 value;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline u64 read_cr3() {
  u64 value;
  asm volatile("mov %%cr3, %0" : "=r"(value));
  return value;
}
inline void write_cr3(u64 value) { asm volatile("mov %0, %%cr3" ::"r"(value) : "memory"); }
inline u64 read_cr4() {
  u64 value;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}
inline void write_cr4(u64 value) { asm volatile("mov %0, %%cr4" ::"r"(value) : "memory"); }
inline void xsetbv(u32 index, u64 value) {
  asm volatile("xsetbv" ::"c"(index), "a"(static_cast<u32>(value)), "d"(static_cast<u32>(value >> 32))
               : "memory");
}
inline void invlpg(u64 va) { asm volatile("invlpg (%0)" ::"r"(va) : "memory"); }

// Need CR4.FSGSBASE.
inline u64 rdfsbase() {
  u64 value;
  asm volatile("rdfsbase %0" : "=r"(value));
  return value;
}
inline void wrfsbase(u64 value) { asm volatile("wrfsbase %0" ::"r"(value) : "memory"); }
inline u64 rdgsbase() {
  u64 value;
  asm volatile("rdgsbase %0" : "=r"(value));
  return value;
}
inline void wrgsbase(u64 value) { asm volatile("wrgsbase %0" ::"r"(value) : "memory"); }

inline void sti() { asm volatile("sti" ::: "memory"); }
inline void cli() { asm volatile("cli" ::: "memory"); }
inline void hlt() { asm volatile("hlt" ::: "memory"); }
// Nothing comes between the two: an interrupt that is pending ends the halt.
inline void sti_hlt() { asm volatile("sti; hlt" ::: "memory"); }
inline void nop() { asm volatile("nop" ::: "memory"); }
inline void pause() { asm volatile("pause" ::: "memory"); }

struct [[gnu::packed]] DescriptorTable {
  u16 limit;
  u64 base;
};
inline void lgdt(const DescriptorTable& table) { asm volatile("lgdt %0" ::"m"(table) : "memory"); }
inline void lidt(const DescriptorTable& table) { asm volatile("lidt %0" ::"m"(table) : "memory"); }
inline void ltr(u16 selector) { asm volatile("ltr %0" ::"r"(selector) : "memory"); }

// Zeroing and copying of whole pages: the one pair of routines, guest and hypervisor (icount counts each
// iteration as one instruction: 512 a page).
inline void rep_stosq(void* to, u64 value, u64 words) {
  asm volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(value) : "memory");
}
inline void rep_movsq(void* to, const void* from, u64 words) {
  asm volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
}

// Model-specific registers that both images use.
inline constexpr u32 kMsrApicBase = 0x1b;
inline constexpr u32 kMsrEfer = 0xc000'0080;
inline constexpr u32 kMsrStar = 0xc000'0081;
inline constexpr u32 kMsrLstar = 0xc000'0082;
inline constexpr u32 kMsrCstar = 0xc000'0083;
inline constexpr u32 kMsrSfmask = 0xc000'0084;
inline constexpr u32 kMsrFsBase = 0xc000'0100;
inline constexpr u32 kMsrGsBase = 0xc000'0101;
inline constexpr u32 kMsrKernelGsBase = 0xc000'0102;

}  // namespace nopte::cpu
