#include "guest-mm/kernel/net/io_cursor.h"

#include <algorithm>

#include "guest-mm/kernel/errno.h"

namespace nopte::guest::net {

i64 IoCursor::load(u64 vectors, u64 count) {
  constexpr u64 kMostVectors = 1024;       // IOV_MAX
  constexpr u64 kMostBytes = 0x7fff'f000;  // MAX_RW_COUNT
  if (count > kMostVectors) {
    return -kEMSGSIZE;
  }
  Part few[1];
  Part* parts = few;
  if (count > 1) {
    many_ = HeapBuffer(count * sizeof(Part));
    if (!many_) {
      return -kENOMEM;
    }
    parts = reinterpret_cast<Part*>(many_.data());
  }
  if (count != 0 && !arch::copy_from_user(parts, Gva(vectors), count * sizeof(Part))) {
    return -kEFAULT;
  }
  for (u64 i = 0; i < count; ++i) {
    if (static_cast<i64>(parts[i].bytes) < 0) {
      return -kEINVAL;
    }
    parts[i].bytes = std::min(parts[i].bytes, kMostBytes - left_);
    left_ += parts[i].bytes;
  }
  if (count == 1) {
    single_ = files::IoBuffer::user(few[0].address);
  }
  return 0;
}

template <class Copy>
bool IoCursor::copy(u64 bytes, Copy one) {
  u64 part = part_;
  u64 offset = offset_;
  u64 done = 0;
  if (!many_) {
    if (bytes != 0 && one(single_.after(offset), 0, bytes) != Status::kOk) {
      return false;
    }
    offset += bytes;
  } else {
    const Part* const parts = reinterpret_cast<const Part*>(many_.data());
    while (done < bytes) {
      const u64 piece = std::min(bytes - done, parts[part].bytes - offset);
      if (piece == 0) {
        ++part;
        offset = 0;
        continue;
      }
      if (one(files::IoBuffer::user(parts[part].address + offset), done, piece) != Status::kOk) {
        return false;
      }
      done += piece;
      offset += piece;
    }
  }
  part_ = part;
  offset_ = offset;
  left_ -= bytes;
  return true;
}

bool IoCursor::get(void* to, u64 bytes) {
  return copy(bytes, [&](files::IoBuffer at, u64 done, u64 piece) {
    return at.get(static_cast<char*>(to) + done, piece).status;
  });
}

bool IoCursor::put(const void* from, u64 bytes) {
  return copy(bytes, [&](files::IoBuffer at, u64 done, u64 piece) {
    return at.put(static_cast<const char*>(from) + done, piece).status;
  });
}

void IoCursor::skip(u64 bytes) {
  static_cast<void>(copy(bytes, [](files::IoBuffer, u64, u64) { return Status::kOk; }));
}

}  // namespace nopte::guest::net
