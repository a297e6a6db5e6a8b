// Counted base of what several descriptors, directories and processes hold together (files and inodes), and
// how this folder answers errors. Ref is guest-mm/core's.
//
// One CPU and a kernel that does not preempt itself: plain counts.
#pragma once

#include <expected>

#include "guest-mm/core/heap.h"
#include "guest-mm/core/ref.h"
#include "guest-mm/kernel/errno.h"
#include "pvops/base/panic.h"

namespace nopte::guest::files {

// A value, or the errno (positive) that the system call answers negated.
template <class T>
using ErrnoOr = std::expected<T, Errno>;
using ErrnoFail = std::unexpected<Errno>;

// Made with one reference; the last release() destroys and frees it.
class RefCounted : public HeapAllocated {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

  void retain() { ++references_; }
  [[nodiscard]] bool shared() const { return references_ > 1; }
  [[nodiscard]] u32 references() const { return references_; }
  void release() {
    NOPTE_ASSERT(references_ > 0);
    if (--references_ == 0) {
      end();
    }
  }

 protected:
  virtual ~RefCounted() = default;
  // Nobody holds it any more. It is whole, as a destructor's object is not.
  virtual void end() { delete this; }

 private:
  u32 references_ = 1;
};

// A new T with one reference, or null when memory is short.
template <class T, class... Args>
[[nodiscard]] Ref<T> make_counted(Args&&... args) {
  void* memory = heap_alloc(sizeof(T));
  return memory == nullptr ? Ref<T>() : Ref<T>::adopt(::new (memory) T(std::forward<Args>(args)...));
}

}  // namespace nopte::guest::files
