// The bytes inside a pipe: a ring in kernel memory that starts at one page and grows to the pipe's capacity
// (64 KiB unless told otherwise) as it fills.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_buffer.h"

namespace nopte::guest::files {

class PipeRing {
 public:
  static constexpr u64 kUsualCapacityBytes = 64 << 10;
  static constexpr u64 kFirstBytes = 4 << 10;
  static constexpr u64 kAtomicBytes = 4096;  // PIPE_BUF

  [[nodiscard]] u64 used() const { return used_; }
  [[nodiscard]] u64 capacity() const { return capacity_; }
  [[nodiscard]] u64 room() const { return capacity_ - used_; }
  // Precondition: a power of two, a page or more, and not less than used(). Memory that is not needed any
  // more goes back when the ring is empty.
  void set_capacity(u64 bytes) { capacity_ = bytes; }

  // Appends min(bytes, room()) of the buffer's bytes. bytes == 0 with kNoMemory: the ring could not grow and
  // is full. Of the page-sized pieces in which Linux's pipe takes them (fs/pipe.c, pipe_write) one with a
  // fault is not in, nor is what comes behind it.
  IoBuffer::Copied put(IoBuffer from, u64 bytes);
  // Copies min(bytes, used()) bytes, which stay. Of pieces of a page, counted from the first byte, one with a
  // fault counts for nothing.
  [[nodiscard]] IoBuffer::Copied copy_out(IoBuffer to, u64 bytes) const;
  // Takes away the first of them. Precondition: there are so many.
  void drop(u64 bytes) {
    used_ -= bytes;
    begin_ = used_ == 0 ? 0 : (begin_ + bytes) & (storage_.bytes() - 1);
    if (used_ == 0 && storage_.bytes() > capacity_) [[unlikely]]
      storage_ = HeapBuffer();
  }
  // Both.
  IoBuffer::Copied take(IoBuffer to, u64 bytes);

 private:
  [[nodiscard]] bool grow(u64 bytes);

  HeapBuffer storage_;  // a power of two
  u64 capacity_ = kUsualCapacityBytes;
  u64 begin_ = 0;
  u64 used_ = 0;
  u64 last_piece_ = 0;  // bytes in the last page of Linux's pipe, which takes more
};

}  // namespace nopte::guest::files
