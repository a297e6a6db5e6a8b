// Linux's overcommit mode 0 as far as it refuses anything: one request beyond all memory.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// What the machine has. Told once at boot: asking each time would cost an exit.
void set_commit_limit(u64 total_pages);

// Whether one request for `pages` of memory that may have to be committed is granted.
bool may_commit(u64 pages);

}  // namespace nopte::guest
