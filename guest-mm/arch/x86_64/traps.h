// The processor's traps: the tables that it reads, the stacks, the report of a fatal one. Page faults go to
// resolve_fault (pvops/mm_ops.h) first. Concurrency: one CPU; set once at boot. Source: AMD64 APM vol. 2,
// chapters 4, 6 and 8.
#pragma once

#include "guest-mm/kernel/arch.h"

namespace nopte::guest {

// GDT, TSS, IDT and the system-call registers. No memory is taken.
void load_descriptor_tables();
// The stack of the next entry from user mode.
void set_kernel_stack(Gva stack_top);
Gva kernel_stack();
// Uses RDFSBASE and its kin when CR4 allows them (pvh_entry.S, or the entry contract).
void enable_base_instructions();
// What a kernel at ring 3 asks for where others have an instruction (x86_64_pv); null at ring 0. Such a
// kernel never has RDFSBASE and its kin, so that no path at ring 0 looks here.
struct Ring3 {
  void (*set_kernel_stack)(Gva stack_top);
  void (*set_fs_base)(u64 base);
};
extern const Ring3* g_ring3;
// Switches x87/SSE/AVX state saving on.
void enable_fpu();

// #PF error code.
inline constexpr u64 kFaultWrite = u64{1} << 1;
inline constexpr u64 kFaultFetch = u64{1} << 4;

constexpr Access access_of(u64 error_code) {
  return (error_code & kFaultFetch) != 0   ? Access::kExec
         : (error_code & kFaultWrite) != 0 ? Access::kWrite
                                           : Access::kRead;
}

inline bool from_user(const UserRegisters& registers) { return (registers.cs & 3) != 0; }

// Prints what a panic needs and stops the machine.
[[noreturn]] void stop_with_registers(const char* what, const UserRegisters& registers);

}  // namespace nopte::guest
