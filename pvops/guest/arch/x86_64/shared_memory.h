// What the hypervisor has granted at a kernel address, for both sides to see.
#pragma once

#include "pvops/base/types.h"

namespace nopte::pv {

template <class T>
T* shared_memory(u64 va) {
  return reinterpret_cast<T*>(va);
}

}  // namespace nopte::pv
