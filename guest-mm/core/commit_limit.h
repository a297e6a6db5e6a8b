// How much memory may be promised: Linux's overcommit modes (mm/util.c, __vm_enough_memory). Mode 0 refuses
// one request beyond all memory, mode 1 nothing, mode 2 what comes with all that was promised before to more
// than a share of memory.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

enum class OvercommitMode : i32 { kGuess = 0, kAlways = 1, kNever = 2 };

// As /proc/sys/vm shows and changes it.
struct Overcommit {
  i32 mode = static_cast<i32>(OvercommitMode::kGuess);
  i32 ratio = 50;  // percent of memory
  u64 kbytes = 0;  // instead of it, unless 0
};
inline constinit Overcommit g_overcommit;

// What the machine has, and who knows what all programs were promised, in pages: asked in mode 2 alone. Told
// once at boot: asking each time would cost an exit.
void set_commit_limit(u64 total_pages, u64 (*committed_pages)());

// What mode 2 lets all programs have together, in pages.
u64 commit_limit_pages();

inline constinit u64 g_all_pages = 0;  // as set_commit_limit was told
// may_commit() in modes 1 and 2.
bool may_commit_unguessed(u64 pages);
// Whether one request for `pages` of memory that may have to be committed is granted.
inline bool may_commit(u64 pages) {
  return g_overcommit.mode == static_cast<i32>(OvercommitMode::kGuess) ? pages <= g_all_pages
                                                                       : may_commit_unguessed(pages);
}

}  // namespace nopte::guest
