// What has a constructor and lives as long as the kernel, which has none that run before it.
#pragma once

#include <new>

#include "pvops/base/types.h"

namespace nopte::guest {

// To be defined constinit. Never ends.
template <class T>
class MadeAtFirstUse {
 public:
  T& operator()() {
    if (made_ == nullptr) [[unlikely]] {
      made_ = new (place_) T;
    }
    return *made_;
  }

 private:
  T* made_ = nullptr;
  alignas(T) u8 place_[sizeof(T)] = {};
};

}  // namespace nopte::guest
