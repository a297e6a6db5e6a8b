// What a kernel at ring 3 needs of Xen besides its tables (xen.h): entry state, events, time, console, and
// how the processor is left and entered. Numbers and layouts are those of Xen's public headers (xen.h,
// arch-x86/xen-x86_64.h, callback.h, event_channel.h, sched.h, vcpu.h, physdev.h of 4.17); see
// papers/interface-xen.md.
#pragma once

#include <cstddef>

#include "pvops/base/types.h"

namespace nopte::abi::xen_pv {

// Hypercalls that xen.h does not have.
inline constexpr u32 kSetTrapTable = 0;     // TrapGate list, ended by an address of 0
inline constexpr u32 kStackSwitch = 3;      // stack segment, stack pointer
inline constexpr u32 kConsoleIo = 18;       // command, bytes, buffer
inline constexpr u32 kVcpuOp = 24;          // command, vCPU, argument
inline constexpr u32 kSetSegmentBase = 25;  // which, base
inline constexpr u32 kSchedOp = 29;         // command, argument
inline constexpr u32 kCallbackOp = 30;      // command, argument
inline constexpr u32 kEventChannelOp = 32;  // command, argument
inline constexpr u32 kPhysdevOp = 33;       // command, argument

// The kernel's segments, and its programs': both at ring 3. In a frame that came from the kernel bits 0 and 1
// of the code segment are 0.
inline constexpr u16 kCode = 0xe033;
inline constexpr u16 kStack = 0xe02b;

struct StartInfo {
  char magic[32];
  u64 pages;        // of the domain
  u64 shared_info;  // machine address
  u32 flags;
  u32 reserved0;
  u64 store_frame;
  u32 store_port;
  u32 reserved1;
  u64 console[2];
  u64 root;  // these are addresses in the first mapping
  u64 tables;
  u64 machine_list;
  u64 module;
  u64 module_bytes;
  char command_line[1024];
  u64 first_list_frame;
  u64 list_frames;
};
static_assert(offsetof(StartInfo, root) == 88 && offsetof(StartInfo, command_line) == 128);

struct VcpuInfo {
  u8 upcall_pending;
  u8 upcall_mask;
  u8 reserved0[6];
  u64 pending_selector;
  u64 cr2;
  u64 reserved1;
  u32 time_version;  // odd while the rest changes
  u32 reserved2;
  u64 tsc_timestamp;
  u64 system_time;  // ns
  u32 tsc_to_system_mul;
  signed char tsc_shift;
  u8 flags;
  u8 reserved3[2];
};
static_assert(sizeof(VcpuInfo) == 64 && offsetof(VcpuInfo, cr2) == 16);

struct SharedInfo {
  VcpuInfo vcpu[32];
  u64 event_pending[64];
  u64 event_mask[64];
  u32 wall_version;
  u32 wall_seconds;  // Unix time at system time 0
  u32 wall_ns;
};
static_assert(offsetof(SharedInfo, wall_version) == 3072);

struct TrapGate {
  u8 vector;
  u8 flags;  // bits 0 and 1: the privilege that may raise it
  u16 segment;
  u32 reserved;
  u64 address;
};
inline constexpr u8 kGateMasksEvents = 4;

struct Callback {
  u16 type;
  u16 flags;
  u32 reserved;
  u64 address;
};
inline constexpr u32 kCallbackRegister = 0;
inline constexpr u16 kCallbackEvent = 0, kCallbackFailsafe = 1, kCallbackSyscall = 2;
inline constexpr u16 kCallbackMasksEvents = 1;

// kEventChannelOp.
struct BindVirq {
  u32 virq;
  u32 vcpu;
  u32 port;  // the answer
};
inline constexpr u32 kBindVirq = 1;
inline constexpr u32 kVirqTimer = 0, kVirqConsole = 2;

// kSchedOp.
inline constexpr u32 kBlock = 1;  // clears the mask

// kVcpuOp.
struct SingleshotTimer {
  u64 timeout;  // system time, ns
  u32 flags;
  u32 reserved;
};
inline constexpr u32 kStopPeriodicTimer = 7, kSetSingleshotTimer = 8, kStopSingleshotTimer = 9;

inline constexpr u32 kConsoleWrite = 0, kConsoleRead = 1;
inline constexpr u32 kSetIopl = 6;  // kPhysdevOp; argument: a level in 32 bits
inline constexpr u32 kFsBase = 0, kUserGsBase = 1;

// No machine frame, in the list.
inline constexpr u64 kNoMachineFrame = ~u64{0};

}  // namespace nopte::abi::xen_pv
