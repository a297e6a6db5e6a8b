// What a new program finds on its stack (System V x86-64 psABI, 3.4.1): argc, pointers to arguments and
// environment, the auxiliary vector, and the strings.
#pragma once

#include <string_view>

#include "guest-mm/kernel/program/program_arguments.h"

namespace nopte::guest {

// Who runs it, as the auxiliary vector tells.
struct IdentityFacts {
  u32 user = 0, effective_user = 0, group = 0, effective_group = 0;
  bool secure = false;  // AT_SECURE
};

struct ImageFacts {
  u64 program_headers = 0;  // user address; 0: not in memory
  u64 program_header_count = 0;
  u64 entry = 0;             // the program's own
  u64 interpreter_base = 0;  // 0: there is none
  IdentityFacts identity = {};
};

// The image of the stack's upper end; lies in the arguments' staging area until that is changed.
struct InitialStack {
  Gva begin;  // the stack pointer, 16-byte aligned
  const void* image;
  u64 bytes;
  Gva identity_at;  // user address of what retell_identity() changes
};

// Completes the staged strings to the image of a stack that ends at `top`. Errors: kLimit, kNoMemory.
Result<InitialStack> stage_initial_stack(ProgramArguments& arguments, const ImageFacts& facts,
                                         std::string_view file_name, Gva top);

// Another identity for a stack that is written already, in the active space. Errors: those of copy_to_user.
Result<void> retell_identity(Gva identity_at, const IdentityFacts& identity);

}  // namespace nopte::guest
