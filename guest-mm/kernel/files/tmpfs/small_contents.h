// The contents of a file of at most a page, in kernel memory: most files of a source tree. Such a file needs
// no object, no window and no call to the backend. What lies behind the contents' end in the block is
// undefined.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_buffer.h"

namespace nopte::guest::files {

class SmallContents {
 public:
  static constexpr u64 kMostBytes = kPageBytes;

  // The block that holds so many bytes.
  static constexpr u64 block_bytes(u64 bytes) { return std::bit_ceil(std::max<u64>(bytes, kLeastBytes)); }

  [[nodiscard]] const char* data() const { return block_.data(); }
  // Bytes that fit without reserve().
  [[nodiscard]] u64 capacity() const { return block_ ? block_.bytes() : 0; }
  // Room for `bytes` <= kMostBytes; the first `kept` stay. False: no memory; it is then as before.
  [[nodiscard]] bool reserve(u64 bytes, u64 kept);
  // Takes bytes from the buffer to `offset`; the bytes from `end` up to there become zero. Precondition: it
  // fits.
  IoBuffer::Copied write(IoBuffer from, u64 bytes, u64 offset, u64 end);
  // Zeroes [begin, end). Precondition: it fits.
  void zero(u64 begin, u64 end) { std::memset(block_.data() + begin, 0, end - begin); }
  void clear() { block_ = {}; }

 private:
  static constexpr u64 kLeastBytes = 64;
  HeapBuffer block_;
};

}  // namespace nopte::guest::files
