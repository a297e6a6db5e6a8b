// The kernel heap: memory for the guest kernel's own objects, over MmOps::kmem_alloc. Small blocks (<= 2 KiB)
// come from size classes cut out of page runs, bigger ones are runs of 1, 2, 4, 8 or 16 pages, still bigger
// ones go to the backend. Freeing names the size, so a block carries no header and an allocation is a pop.
//
// Every allocation may fail. Memory is not zeroed. Runs of pages are kept for reuse, not given back.
// Alignment: 16 bytes; blocks whose size is a multiple of 64 and at least 128 are aligned to 64, blocks
// beyond 2 KiB to pages.
// Concurrency: the kernel's (non-preemptible); not for interrupt handlers.
#pragma once

#include <new>
#include <type_traits>
#include <utility>

#include "pvops/base/block_chain.h"

namespace nopte::guest {

// Null when there is no memory. `bytes` > 0.
[[nodiscard]] void* heap_alloc(u64 bytes);
// Takes back what heap_alloc(bytes) returned; null is fine.
void heap_free(void* block, u64 bytes);
// The same for many small ones (<= 2 KiB): up to `most`, or fewer when there is no more memory.
[[nodiscard]] BlockChain heap_take(u64 bytes, u64 most);
void heap_give(BlockChain blocks, u64 bytes);

struct HeapInfo {
  u64 granted_pages;  // taken from the backend and not given back
  u64 used_bytes;     // handed out, rounded up to class sizes
};
HeapInfo heap_info();

// Base of polymorphic kernel objects: `delete` through a base class with a virtual destructor then frees
// the right size. (The language passes the size of the complete object.)
struct HeapAllocated {
  static void* operator new(std::size_t) = delete;
  static void* operator new(std::size_t, void* place) { return place; }
  static void operator delete(void* block, std::size_t bytes) { heap_free(block, bytes); }
};

// A constructed T, or null when there is no memory. Undone by destroy().
template <class T, class... Args>
[[nodiscard]] T* make(Args&&... args) {
  static_assert(alignof(T) <= 16 || (alignof(T) <= 64 && sizeof(T) >= 128 && sizeof(T) % 64 == 0) ||
                (alignof(T) <= 4096 && sizeof(T) > 2048));
  void* block = heap_alloc(sizeof(T));
  if (block == nullptr) return nullptr;
  return ::new (block) T(std::forward<Args>(args)...);
}

template <class T>
void destroy(T* object) {
  if (object == nullptr) return;
  if constexpr (std::is_base_of_v<HeapAllocated, T>) {
    delete object;
  } else {
    static_assert(!std::has_virtual_destructor_v<T>, "derive from HeapAllocated");
    object->~T();
    heap_free(object, sizeof(T));
  }
}

// Sole owner of one T made by make().
template <class T>
class UniquePtr {
 public:
  UniquePtr() = default;
  UniquePtr(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  explicit UniquePtr(T* object) : object_(object) {}
  UniquePtr(UniquePtr&& other) noexcept : object_(other.release()) {}
  template <class U>
    requires std::is_convertible_v<U*, T*>
  UniquePtr(UniquePtr<U>&& other) noexcept : object_(other.release()) {}  // NOLINT
  UniquePtr& operator=(UniquePtr&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniquePtr() { destroy(object_); }

  void reset(T* object = nullptr) { destroy(std::exchange(object_, object)); }
  [[nodiscard]] T* release() { return std::exchange(object_, nullptr); }
  [[nodiscard]] T* get() const { return object_; }
  T& operator*() const { return *object_; }
  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_ = nullptr;
};

// Empty when there is no memory.
template <class T, class... Args>
[[nodiscard]] UniquePtr<T> make_unique(Args&&... args) {
  return UniquePtr<T>(make<T>(std::forward<Args>(args)...));
}

// Sole owner of `bytes` raw bytes; data() is null when there was no memory.
class HeapBuffer {
 public:
  HeapBuffer() = default;
  explicit HeapBuffer(u64 bytes) : data_(bytes == 0 ? nullptr : heap_alloc(bytes)), bytes_(bytes) {}
  HeapBuffer(HeapBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  HeapBuffer& operator=(HeapBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~HeapBuffer() {
    if (data_ != nullptr) heap_free(data_, bytes_);
  }

  [[nodiscard]] char* data() const { return static_cast<char*>(data_); }
  [[nodiscard]] u64 bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  void* data_ = nullptr;
  u64 bytes_ = 0;
};

}  // namespace nopte::guest
