#include "guest-mm/kernel/files/copy_between.h"

#include <algorithm>

#include "guest-mm/core/heap.h"

namespace nopte::guest::files {

i64 copy_between(File& in, u64 from, u64 bytes, CopyTarget put) {
  constexpr u64 kBufferBytes = 32 << 10;
  const HeapBuffer buffer(std::min(std::max<u64>(bytes, 1), kBufferBytes));
  if (!buffer) {
    return -kENOMEM;
  }
  u64 done = 0;
  while (done < bytes) {
    const i64 got = in.read(IoBuffer::kernel(static_cast<void*>(buffer.data())),
                            std::min(bytes - done, buffer.bytes()), from + done);
    const i64 taken = got <= 0 ? got
                               : put(IoBuffer::kernel(static_cast<const void*>(buffer.data())),
                                     static_cast<u64>(got), done);
    if (taken <= 0) {
      return done != 0 ? static_cast<i64>(done) : taken;
    }
    done += static_cast<u64>(taken);
    if (taken < got) {
      break;
    }
  }
  return static_cast<i64>(done);
}

}  // namespace nopte::guest::files
