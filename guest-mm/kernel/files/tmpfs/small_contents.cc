#include "guest-mm/kernel/files/tmpfs/small_contents.h"

#include <cstring>

namespace nopte::guest::files {

bool SmallContents::reserve(u64 bytes, u64 kept) {
  if (bytes <= capacity()) {
    return true;
  }
  HeapBuffer larger(block_bytes(bytes));
  if (!larger) {
    return false;
  }
  if (kept != 0) {
    std::memcpy(larger.data(), block_.data(), kept);
  }
  block_ = std::move(larger);
  return true;
}

IoBuffer::Copied SmallContents::write(IoBuffer from, u64 bytes, u64 offset, u64 end) {
  if (offset > end) {
    zero(end, offset);
  }
  return from.get(block_.data() + offset, bytes);
}

}  // namespace nopte::guest::files
