// Argument and environment strings on their way from the old program to the new one: staged in kernel memory,
// since no space but the active one can be touched.
//
// There is one staging area, kept for the next exec: the kernel does not preempt itself, and exec does not
// sleep while it is in use.
#pragma once

#include <algorithm>
#include <string_view>

#include "pvops/base/addr.h"
#include "pvops/base/result.h"

namespace nopte::guest {

class ProgramArguments {
 public:
  static constexpr u64 kLongestString = 128 << 10;  // with the terminator

  // May take what the running process's RLIMIT_STACK says (most_bytes()).
  ProgramArguments();
  ~ProgramArguments();
  ProgramArguments(const ProgramArguments&) = delete;
  ProgramArguments& operator=(const ProgramArguments&) = delete;

  // Strings follow each other, each with its terminator. Errors of all: kLimit (too much), kNoMemory,
  // kBadAddress; what was added stays.
  Result<void> add(std::string_view text);
  Result<void> add_user(Gva text);
  // Each string of a null-terminated array of pointers from the skip'th on; 0 is an empty array. How many.
  Result<u64> add_user_array(Gva array, u64 skip = 0);

  // Bytes without meaning to this class; aligned to 16. The place is valid until the next addition.
  Result<void*> add_space(u64 bytes);

  u64 arguments = 0;    // how many strings are arguments; set by the user of the class
  u64 environment = 0;  // how many of the next ones are environment

  [[nodiscard]] u64 bytes() const { return used_; }
  // What programs' strings with their pointers may come to: as on Linux a quarter of the stack, but not less
  // than it once was, nor more than three quarters of its usual limit (fs/exec.c, bprm_stack_limits).
  [[nodiscard]] static constexpr u64 most_bytes(u64 stack_bytes) {
    constexpr u64 kLeast = 128 << 10, kMost = 6 << 20;
    return std::clamp(stack_bytes / 4, kLeast, kMost);
  }
  [[nodiscard]] const char* data() const;

 private:
  Result<void> reserve(u64 bytes);
  u64 used_ = 0;
  u64 pointers_ = 0;
  u64 most_;
};

}  // namespace nopte::guest
