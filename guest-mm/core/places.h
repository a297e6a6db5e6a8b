// Where exec puts what has no address of its own; as long as nothing is randomised, always the same.
#pragma once

#include "pvops/mm_ops.h"

namespace nopte::guest {

inline constexpr Gva kStackTop{0x7fff'ffff'0000};  // kUserRange's end
inline constexpr Gva kMmapTop{0x7fff'f700'0000};   // leaves room for a stack
inline constexpr Gva kPieBase{0x5555'5555'4000};   // where Linux puts them when it does not randomise

struct Places {
  Gva program = kPieBase;     // a position-independent program, apart from its alignment
  Gva mmap_top = kMmapTop;    // mmap places below this, first its interpreter
  Gva stack_top = kStackTop;  // the stack ends here
  u64 stack_gap_bytes = 0;    // from the end of what the program finds there, a multiple of 16
  u64 heap_gap_bytes = 0;     // from the program's end to its heap, whole pages
};

}  // namespace nopte::guest
