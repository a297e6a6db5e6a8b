// What a signal handler finds on its stack: Linux's x86-64 rt_sigframe (asm/sigcontext.h, asm/ucontext.h,
// asm-generic/siginfo.h).
#pragma once

#include <cstdint>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/signals/signal.h"
#include "pvops/base/types.h"

namespace nopte::guest {

struct UserSigInfo {
  i32 signal = 0;
  i32 error = 0;
  i32 code = 0;
  i32 pad = 0;
  union {
    u64 address;  // faults
    struct {
      i32 pid;
      u32 uid;
      i32 status;  // children
    } from;
    u64 words[14] = {};
  };
};
static_assert(sizeof(UserSigInfo) == 128);
template <>
inline constexpr bool arch::kEveryByteIsTold<UserSigInfo> = true;  // by its words

// As a program sees it.
UserSigInfo user_info(i32 signal, const SignalInfo& info);
// And back, of what user_info() tells.
SignalInfo info_from(const UserSigInfo& told);

// struct sigcontext_64.
struct UserMachineContext {
  u64 r8, r9, r10, r11, r12, r13, r14, r15;
  u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
  u16 cs, gs, fs, ss;
  u64 error_code, trap_number, old_mask, trap_address;
  u64 fpu_state;  // user address of the XSAVE image
  u64 reserved[8];
};
static_assert(sizeof(UserMachineContext) == 256);

struct UserSignalStack {
  u64 base = 0;
  i32 flags = 0;
  i32 pad = 0;
  u64 bytes = 0;
};
inline constexpr i32 kSsOnstack = 1, kSsDisable = 2, kSsAutodisarm = INT32_MIN;

inline bool on_alternate_stack(const AlternateStack& stack, u64 rsp) {
  return stack.bytes != 0 && !stack.disarms && rsp > stack.base && rsp - stack.base <= stack.bytes;
}
// As a program sees it whose stack pointer is `rsp`.
UserSignalStack user_stack(const AlternateStack& stack, u64 rsp);
// sigaltstack(2): 0, or -EPERM (it is in use), -EINVAL, -ENOMEM (too small); unchanged then.
i64 set_alternate_stack(AlternateStack& stack, const UserSignalStack& wanted, u64 rsp);

struct UserContext {
  u64 flags;
  u64 link;
  UserSignalStack stack;
  UserMachineContext machine;
  u64 blocked;
};
static_assert(sizeof(UserContext) == 304);
// uc_flags: an XSAVE image is there; cs and ss are meaningful and to be restored.
inline constexpr u64 kContextFlags = 1 | 2 | 4;

struct SignalFrame {
  u64 return_address;  // the action's restorer
  UserContext context;
  UserSigInfo info;
};
static_assert(sizeof(SignalFrame) == 8 + sizeof(UserContext) + sizeof(UserSigInfo));
template <>
inline constexpr bool arch::kEveryByteIsTold<SignalFrame> = arch::kEveryByteIsTold<UserContext>;

// The FPU image on the stack: an XSAVE area with x87, SSE and AVX state whose software bytes tell its
// layout, and an end mark.
struct FpuSoftwareBytes {
  u32 magic1;
  u32 extended_bytes;  // with the end mark
  u64 features;
  u32 state_bytes;
  u32 pad[7];
};
static_assert(sizeof(FpuSoftwareBytes) == 48);
inline constexpr u64 kFpuSoftwareOffset = 464;
inline constexpr u64 kFpuFrameBytes = 832;
inline constexpr u32 kFpuMagic1 = 0x4650'5853;
inline constexpr u32 kFpuMagic2 = 0x4650'5845;
inline constexpr u64 kFpuFeatures = 7;

}  // namespace nopte::guest
