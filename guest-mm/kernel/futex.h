// futex: wait and wake by address within one address space.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

class AddressSpace;

// Wakes at most `most` waiters on this word; how many.
u64 futex_wake(const AddressSpace& space, u64 address, u64 most);

}  // namespace nopte::guest
