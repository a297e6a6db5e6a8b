// Linux's overcommit mode 0 as far as it refuses anything: one request beyond all memory.
#pragma once

#include "pvops/mm_ops.h"

namespace nopte::guest {

// Whether one request for `pages` of memory that may have to be committed is granted.
bool may_commit(u64 pages);

}  // namespace nopte::guest
