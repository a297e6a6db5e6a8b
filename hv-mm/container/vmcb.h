// The SVM virtual machine control block, and the numbers that belong to it. Plain memory: tests fill it too.
// Source: APM vol. 2, appendix B (layout) and C (exit codes).
#pragma once

#include "pvops/base/types.h"

namespace nopte::hv {

struct VmcbSegment {
  u16 selector;
  u16 attributes;  // descriptor bits 8-15 and 20-23, packed to 12
  u32 limit;
  u64 base;
};

struct alignas(4096) Vmcb {
  // --- control area ---
  u16 intercept_cr_read;
  u16 intercept_cr_write;
  u16 intercept_dr_read;
  u16 intercept_dr_write;
  u32 intercept_exceptions;
  u32 intercept_misc1;
  u32 intercept_misc2;
  u32 intercept_misc3;
  u8 reserved1[0x40 - 0x18];
  u64 iopm_base;
  u64 msrpm_base;
  u64 tsc_offset;
  u32 asid;
  u8 tlb_control;
  u8 reserved2[3];
  u64 virtual_interrupt;  // kVirq..., offset 0x60
  u64 interrupt_shadow;
  u64 exit_code;  // 0x70
  u64 exit_info1;
  u64 exit_info2;
  u64 exit_int_info;
  u64 nested_control;  // 0x90
  u8 reserved3[0xa8 - 0x98];
  u64 event_injection;  // 0xa8
  u64 nested_cr3;
  u64 lbr_control;
  u32 clean_bits;
  u32 reserved4;
  u64 next_rip;
  u8 reserved5[0x400 - 0xd0];
  // --- save area ---
  VmcbSegment es, cs, ss, ds, fs, gs, gdtr, ldtr, idtr, tr;
  u8 reserved6[0x4cb - 0x4a0];
  u8 cpl;
  u32 reserved7;
  u64 efer;  // 0x4d0
  u8 reserved8[0x548 - 0x4d8];
  u64 cr4;
  u64 cr3;
  u64 cr0;
  u64 dr7;
  u64 dr6;
  u64 rflags;
  u64 rip;
  u8 reserved9[0x5d8 - 0x580];
  u64 rsp;
  u8 reserved10[0x5f8 - 0x5e0];
  u64 rax;
  u64 star, lstar, cstar, sfmask, kernel_gs_base, sysenter_cs, sysenter_esp, sysenter_eip;
  u64 cr2;  // 0x640
  u8 reserved11[0x668 - 0x648];
  u64 guest_pat;
  u8 reserved12[0x1000 - 0x670];
};
static_assert(sizeof(Vmcb) == 4096);
static_assert(__builtin_offsetof(Vmcb, intercept_dr_read) == 0x04);
static_assert(__builtin_offsetof(Vmcb, intercept_exceptions) == 0x08);
static_assert(__builtin_offsetof(Vmcb, intercept_misc1) == 0x0c);
static_assert(__builtin_offsetof(Vmcb, intercept_misc3) == 0x14);
static_assert(__builtin_offsetof(Vmcb, iopm_base) == 0x40);
static_assert(__builtin_offsetof(Vmcb, virtual_interrupt) == 0x60);
static_assert(__builtin_offsetof(Vmcb, exit_code) == 0x70);
static_assert(__builtin_offsetof(Vmcb, nested_control) == 0x90);
static_assert(__builtin_offsetof(Vmcb, event_injection) == 0xa8);
static_assert(__builtin_offsetof(Vmcb, next_rip) == 0xc8);
static_assert(__builtin_offsetof(Vmcb, es) == 0x400);
static_assert(__builtin_offsetof(Vmcb, cpl) == 0x4cb);
static_assert(__builtin_offsetof(Vmcb, efer) == 0x4d0);
static_assert(__builtin_offsetof(Vmcb, cr4) == 0x548);
static_assert(__builtin_offsetof(Vmcb, rip) == 0x578);
static_assert(__builtin_offsetof(Vmcb, rsp) == 0x5d8);
static_assert(__builtin_offsetof(Vmcb, rax) == 0x5f8);
static_assert(__builtin_offsetof(Vmcb, cr2) == 0x640);
static_assert(__builtin_offsetof(Vmcb, guest_pat) == 0x668);

// virtual_interrupt
inline constexpr u64 kVirq = u64{1} << 8;
inline constexpr u64 kVirqIgnoreTpr = u64{1} << 20;
inline constexpr u64 kVirqMasking = u64{1} << 24;
inline constexpr unsigned kVirqVectorShift = 32;

inline constexpr u64 kNestedPaging = 1;
inline constexpr u8 kTlbKeep = 0;
inline constexpr u8 kTlbFlushAll = 1;
inline constexpr u8 kTlbFlushAsid = 3;  // with FlushByAsid alone

// exit_int_info and event_injection
inline constexpr u64 kEventValid = u64{1} << 31;
inline constexpr u64 kEventHasError = u64{1} << 11;
inline constexpr unsigned kEventTypeShift = 8;
inline constexpr u64 kEventTypeMask = 7;
enum class EventType : u8 { kInterrupt = 0, kNmi = 2, kException = 3, kSoftware = 4 };

// Exit codes that code names; those of intercepts are made by their table (intercepts.h).
namespace exit_code {
inline constexpr u64 kCr3Read = 0x03;
inline constexpr u64 kCr3Write = 0x13;
inline constexpr u64 kException0 = 0x40;
inline constexpr u64 kPageFault = 0x4e;
inline constexpr u64 kIntr = 0x60;
inline constexpr u64 kNmi = 0x61;
inline constexpr u64 kCpuid = 0x72;
inline constexpr u64 kHlt = 0x78;
inline constexpr u64 kInvlpg = 0x79;
inline constexpr u64 kVmmcall = 0x81;
inline constexpr u64 kNestedFault = 0x400;
}  // namespace exit_code

}  // namespace nopte::hv
