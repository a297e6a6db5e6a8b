// futex, as other parts of the kernel need it.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

// Wakes one waiter on the word that exit cleared: a shared operation on the running process's memory. A bad
// address wakes nobody.
void futex_wake_at_exit(u64 address);

}  // namespace nopte::guest
