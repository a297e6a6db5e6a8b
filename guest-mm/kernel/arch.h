// What the guest kernel needs of the architecture, and what the architecture calls in the kernel. The
// implementation is guest-mm/arch/x86_64; this header names no register outside UserRegisters.
//
// The kernel is not preemptible: interrupts are taken in user mode, in idle(), and where a long memory
// operation opens a window (mm_ops.h); a process switches only in schedule().
#pragma once

#include <string_view>
#include <type_traits>

#include "pvops/base/addr.h"
#include "pvops/base/perm.h"
#include "pvops/base/result.h"
#include "pvops/region_spec.h"

namespace nopte::guest {

// The user registers saved at entry; lies at the top of the process's kernel stack. The order is
// arch/x86_64/entry.S's.
struct UserRegisters {
  u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  // System call number, or kNotASyscall. Whoever changes other registers than rax during a system call (exec,
  // signals) sets that: only then are all of them loaded on the way out.
  u64 orig_rax;
  u64 rip, cs, rflags, rsp, ss;
};
inline constexpr u64 kNotASyscall = ~u64{0};
// Of rflags.
inline constexpr u64 kFlagTrap = 1 << 8, kFlagDirection = 1 << 10, kFlagResume = 1 << 16;

namespace arch {

// x87/SSE/AVX state of one process (XSAVE image, 64-byte aligned).
inline constexpr u64 kFpuBytes = 1024;
struct alignas(64) FpuState {
  u8 bytes[kFpuBytes];
};

// Where a process that is not running left the kernel.
struct KernelContext {
  u64 stack_pointer = 0;
  u64 gs_base = 0;                 // the program's
  bool time_stamps_fault = false;  // the program may not read the time stamp counter
};

inline constexpr u64 kKernelStackPages = 4;

// Makes `context` start `entry(argument)` on the stack that ends at stack_top, with the running program's GS
// base and right to the time stamp counter; entry never returns.
void prepare_context(KernelContext& context, Gva stack_top, void (*entry)(void*), void* argument);
// Saves into `from` and goes on in `to`. Also makes stack_top the kernel stack for entries from user mode.
void switch_context(KernelContext& from, const KernelContext& to, Gva stack_top);
// Whether reading the time stamp counter is a fault of the program that runs in `running`. False: nothing
// changed, it cannot be so here.
bool set_time_stamps_fault(KernelContext& running, bool fault);
// The user registers at the top of a kernel stack.
UserRegisters& user_registers(Gva stack_top);
// Leaves the kernel with these registers (they lie at the top of the current kernel stack).
[[noreturn]] void return_to_user(UserRegisters& registers);
// Registers of a fresh program image; its GS base is 0.
void init_user_registers(UserRegisters& registers, Gva entry, Gva stack);

void init_fpu(FpuState& state);
void save_fpu(FpuState& state);
// False: the processor refused the image, which a program wrote (sigreturn). It is the initial one now, and
// loaded.
bool restore_fpu(FpuState& state);
// What init_fpu() makes, into the registers.
void load_initial_fpu();

// FS base of the running process (thread pointer); a program may change it without a system call.
void set_fs_base(u64 base);
u64 fs_base();
// The same of the GS base. False: without FSGSBASE it stays 0.
[[nodiscard]] bool set_gs_base(u64 base);
u64 gs_base();

// Fallible copies: memory named by a program, or a kernel window onto an object. They never kill the
// kernel. Errors: kBadAddress (no region or not allowed), kPastEnd, kNoMemory; a prefix may have been copied.
// User addresses are checked to lie in kUserRange; wrap-around is kBadAddress.
Result<void> copy_from_user(void* to, Gva from, u64 bytes);
Result<void> copy_to_user(Gva to, const void* from, u64 bytes);
// Of a structure every byte is a member's: what lies between members would be what the stack held. One with a
// union says itself that all of it is filled.
template <class T>
inline constexpr bool kEveryByteIsTold = std::has_unique_object_representations_v<T>;
template <class T>
  requires(!std::is_void_v<T>)
Result<void> copy_to_user(Gva to, const T* from, u64 bytes) {
  static_assert(kEveryByteIsTold<T>);
  return copy_to_user(to, static_cast<const void*>(from), bytes);
}
Result<void> zero_user(Gva to, u64 bytes);
// A string with its terminator into `to`; the length without it. kLimit when it does not fit.
Result<u64> copy_string_from_user(char* to, Gva from, u64 capacity);
// Between kernel memory and kernel windows, either side may fault.
Result<void> copy_fallible(void* to, const void* from, u64 bytes);

// Calls of the kernel whose target the chosen backend decides (call_sites.h).
struct CallSites {
  struct Group {
    u64 recorded = 0;    // in the image
    u64 redirected = 0;  // of these: no longer as linked
  };
  Group memory;
  Group platform;
};
CallSites call_sites();

}  // namespace arch

// --- called by the architecture ---------------------------------------------------------------------------

// After boot, with MmOps and platform chosen: never returns.
struct BootInfo {
  std::string_view command_line;
  ObjectId initramfs = ObjectId::kNone;  // its bytes, as an object
  u64 initramfs_bytes = 0;
  const char* mode = "";    // backend's name, for the boot line
  const char* remark = "";  // what a verbose boot says besides
  bool under_hypervisor = false;
};
[[noreturn]] void kernel_main(const BootInfo& boot);

// A system call; sets registers.rax. Returning goes back to user mode through leave_kernel().
void handle_syscall(UserRegisters& registers);
// An access by user code that no region allows.
void handle_violation(UserRegisters& registers, Gva address, Access access, ViolationReason reason);
// A fallible copy touched a user address that no region allows. True: one does now (a stack that grew), try
// again; false: the copy fails.
bool resolve_kernel_access(Gva address, ViolationReason reason);
// A processor exception in user code other than a page fault (vector 0..31).
void handle_exception(UserRegisters& registers, u8 vector, u64 error_code);
// An external interrupt, from user mode, from idle or in the middle of a long memory operation; acknowledged
// already. It calls no memory operation.
void handle_interrupt(u8 vector);
// How many that were, since boot.
u64 interrupts_taken();
// Before every return to user mode: reschedule when due, deliver signals.
void leave_kernel(UserRegisters& registers);

}  // namespace nopte::guest
