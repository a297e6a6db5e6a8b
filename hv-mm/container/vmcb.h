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

// intercept_misc1
inline constexpr u32 kInterceptIntr = 1u << 0;
inline constexpr u32 kInterceptNmi = 1u << 1;
inline constexpr u32 kInterceptSmi = 1u << 2;
inline constexpr u32 kInterceptInit = 1u << 3;
inline constexpr u32 kInterceptRdpmc = 1u << 15;
inline constexpr u32 kInterceptCpuid = 1u << 18;
inline constexpr u32 kInterceptInvd = 1u << 22;
inline constexpr u32 kInterceptHlt = 1u << 24;
inline constexpr u32 kInterceptInvlpg = 1u << 25;
inline constexpr u32 kInterceptInvlpga = 1u << 26;
inline constexpr u32 kInterceptIo = 1u << 27;
inline constexpr u32 kInterceptMsr = 1u << 28;
inline constexpr u32 kInterceptTaskSwitch = 1u << 29;
inline constexpr u32 kInterceptShutdown = 1u << 31;
// intercept_misc2
inline constexpr u32 kInterceptVmrun = 1u << 0;
inline constexpr u32 kInterceptVmmcall = 1u << 1;
inline constexpr u32 kInterceptVmload = 1u << 2;
inline constexpr u32 kInterceptVmsave = 1u << 3;
inline constexpr u32 kInterceptStgi = 1u << 4;
inline constexpr u32 kInterceptClgi = 1u << 5;
inline constexpr u32 kInterceptSkinit = 1u << 6;
inline constexpr u32 kInterceptWbinvd = 1u << 9;
inline constexpr u32 kInterceptMonitor = 1u << 10;
inline constexpr u32 kInterceptMwait = 1u << 11;
inline constexpr u32 kInterceptMwaitArmed = 1u << 12;
inline constexpr u32 kInterceptXsetbv = 1u << 13;

// virtual_interrupt
inline constexpr u64 kVirq = u64{1} << 8;
inline constexpr u64 kVirqIgnoreTpr = u64{1} << 20;
inline constexpr u64 kVirqMasking = u64{1} << 24;
inline constexpr unsigned kVirqVectorShift = 32;

inline constexpr u64 kNestedPaging = 1;
inline constexpr u8 kTlbKeep = 0;
inline constexpr u8 kTlbFlushAll = 1;

// exit_int_info and event_injection
inline constexpr u64 kEventValid = u64{1} << 31;
inline constexpr u64 kEventHasError = u64{1} << 11;
inline constexpr unsigned kEventTypeShift = 8;
inline constexpr u64 kEventTypeMask = 7;
enum class EventType : u8 { kInterrupt = 0, kNmi = 2, kException = 3, kSoftware = 4 };

// Exit codes.
namespace exit_code {
inline constexpr u64 kCrRead0 = 0x00;
inline constexpr u64 kCrWrite0 = 0x10;
inline constexpr u64 kDrRead0 = 0x20;
inline constexpr u64 kDrWrite0 = 0x30;
inline constexpr u64 kException0 = 0x40;
inline constexpr u64 kPageFault = 0x4e;
inline constexpr u64 kIntr = 0x60;
inline constexpr u64 kNmi = 0x61;
inline constexpr u64 kSmi = 0x62;
inline constexpr u64 kInit = 0x63;
inline constexpr u64 kVintr = 0x64;
inline constexpr u64 kRdpmc = 0x6f;
inline constexpr u64 kCpuid = 0x72;
inline constexpr u64 kInvd = 0x76;
inline constexpr u64 kHlt = 0x78;
inline constexpr u64 kInvlpg = 0x79;
inline constexpr u64 kInvlpga = 0x7a;
inline constexpr u64 kIo = 0x7b;
inline constexpr u64 kMsr = 0x7c;
inline constexpr u64 kTaskSwitch = 0x7d;
inline constexpr u64 kShutdown = 0x7f;
inline constexpr u64 kVmrun = 0x80;
inline constexpr u64 kVmmcall = 0x81;
inline constexpr u64 kVmload = 0x82;
inline constexpr u64 kVmsave = 0x83;
inline constexpr u64 kStgi = 0x84;
inline constexpr u64 kClgi = 0x85;
inline constexpr u64 kSkinit = 0x86;
inline constexpr u64 kWbinvd = 0x89;
inline constexpr u64 kMonitor = 0x8a;
inline constexpr u64 kMwait = 0x8b;
inline constexpr u64 kMwaitArmed = 0x8c;
inline constexpr u64 kXsetbv = 0x8d;
inline constexpr u64 kNestedFault = 0x400;
}  // namespace exit_code

}  // namespace nopte::hv
