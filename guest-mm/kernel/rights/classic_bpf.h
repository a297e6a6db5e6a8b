// Classic BPF programs over a system call's data, as seccomp(2) takes them (kernel/seccomp.c,
// net/core/filter.c of 6.12). They have no loops: a sound one ends.
#pragma once

#include <span>

#include "pvops/base/result.h"

namespace nopte::guest {

// struct sock_filter
struct BpfInstruction {
  u16 code;
  u8 if_true, if_false;
  u32 k;
};
static_assert(sizeof(BpfInstruction) == 8);
inline constexpr u32 kMostBpfInstructions = 4096;

// struct seccomp_data
struct CallData {
  i32 number;
  u32 machine;
  u64 instruction_pointer;
  u64 arguments[6];
};
static_assert(sizeof(CallData) == 64);

// Whether it may run: known instructions, jumps forward and inside, nothing read that was not written, a
// return at the end. Errors: kInvalid, kNoMemory.
Result<void> check_bpf(std::span<const BpfInstruction> program);
// What it returns. Precondition: it was checked.
u32 run_bpf(std::span<const BpfInstruction> program, const CallData& data);

}  // namespace nopte::guest
