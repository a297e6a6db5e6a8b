// The bytes inside a pipe: a ring in kernel memory that starts at one page and grows to 64 KiB as it fills.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_buffer.h"

namespace nopte::guest::files {

class PipeRing {
 public:
  static constexpr u64 kCapacityBytes = 64 << 10;
  static constexpr u64 kFirstBytes = 4 << 10;
  static constexpr u64 kAtomicBytes = 4096;  // PIPE_BUF

  [[nodiscard]] u64 used() const { return used_; }
  [[nodiscard]] u64 room() const { return kCapacityBytes - used_; }

  // Appends min(bytes, room()) of the buffer's bytes. bytes == 0 with kNoMemory: the ring could not grow and
  // is full. After a fault the bytes before it are in.
  IoBuffer::Copied put(IoBuffer from, u64 bytes);
  // Moves min(bytes, used()) bytes out. What a fault kept from leaving stays.
  IoBuffer::Copied take(IoBuffer to, u64 bytes);

 private:
  [[nodiscard]] bool grow(u64 bytes);

  HeapBuffer storage_;  // a power of two
  u64 begin_ = 0;
  u64 used_ = 0;
};

}  // namespace nopte::guest::files
