// In place of the guest's addresses: where the kernel of the hosted guest sees them.
#pragma once

#include "pvops/base/types.h"

namespace nopte::pv {

void* hosted_kernel_address(u64 va);

template <class T>
T* shared_memory(u64 va) {
  return static_cast<T*>(hosted_kernel_address(va));
}

}  // namespace nopte::pv
