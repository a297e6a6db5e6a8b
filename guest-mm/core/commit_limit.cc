#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

bool may_commit(u64 pages) {
  // The total does not change: asked once per backend, it would cost an exit each time.
  static const MmOps* asked = nullptr;
  static u64 total_pages = 0;
  if (asked != g_mm_ops) {
    asked = g_mm_ops;
    total_pages = mm_ops().memory_info().total_pages;
  }
  return pages <= total_pages;
}

}  // namespace nopte::guest
