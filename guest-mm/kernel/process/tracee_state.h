// Registers and FPU state of a stopped tracee, as ptrace(2) shows and takes them (arch/x86/kernel/ptrace.c of
// Linux 6.12; sys/user.h).
#pragma once

#include "guest-mm/kernel/process/tracee.h"

namespace nopte::guest {

// struct user_regs_struct, as words.
inline constexpr u64 kUserRegisterWords = 27, kUserRegisterBytes = kUserRegisterWords * sizeof(u64);
// The kernel's struct user: its registers lie at its begin.
inline constexpr u64 kUserAreaBytes = 928;

// The word of that number, or what it becomes; the index is below kUserRegisterWords. Setting: 0, or -kEIO
// (no such value is allowed), with nothing changed.
[[nodiscard]] u64 user_register(const Tracee& tracee, u64 index);
i64 set_user_register(Tracee& tracee, u64 index, u64 value);

// PTRACE_PEEKUSER, PTRACE_POKEUSER: -kEIO where there is no such word; -kEINVAL of a breakpoint's address.
i64 peek_user(const Tracee& tracee, u64 offset, u64& value);
i64 poke_user(Tracee& tracee, u64 offset, u64 value);

// Sets of registers, by ELF note types: at most `bytes` from or to a user address; `bytes` becomes how many
// there are of these. Errors: -kEINVAL (no such set, or part of a register), -kEFAULT, -kEIO.
i64 get_register_set(const Tracee& tracee, u32 type, u64 address, u64& bytes);
i64 set_register_set(Tracee& tracee, u32 type, u64 address, u64& bytes);

inline constexpr u32 kNoteStatus = 1, kNoteFpu = 2, kNotePorts = 0x201, kNoteXstate = 0x202;
inline constexpr u64 kUserFpuBytes = 512;

}  // namespace nopte::guest
