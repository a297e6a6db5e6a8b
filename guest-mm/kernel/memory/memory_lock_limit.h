// RLIMIT_MEMLOCK: how much one may lock who has not CAP_IPC_LOCK (mm/mlock.c, mm/mmap.c of 6.12).
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// Whether the running thread may lock anything.
bool may_lock();
// Whether so many pages may be locked besides those of its space that are.
bool may_lock_more(u64 pages);

}  // namespace nopte::guest
