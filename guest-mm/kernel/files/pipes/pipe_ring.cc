#include "guest-mm/kernel/files/pipes/pipe_ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace nopte::guest::files {

bool PipeRing::grow(u64 bytes) {
  HeapBuffer bigger(std::bit_ceil(std::max(bytes, kFirstBytes)));
  if (!bigger) {
    return false;
  }
  const u64 head = std::min(used_, storage_.bytes() - begin_);
  if (used_ != 0) {
    std::memcpy(bigger.data(), storage_.data() + begin_, head);
    std::memcpy(bigger.data() + head, storage_.data(), used_ - head);
  }
  storage_ = std::move(bigger);
  begin_ = 0;
  return true;
}

namespace {

// Of `copied` bytes that came or went before a fault, those in whole pieces: one of `first` bytes (may be 0),
// then pages.
u64 whole_pieces(u64 copied, u64 first) {
  return copied < first ? 0 : first + (copied - first) / kPageBytes * kPageBytes;
}

}  // namespace

IoBuffer::Copied PipeRing::put(IoBuffer from, u64 bytes) {
  // What is not whole pages goes into the last page, if it has room for that.
  u64 merged = bytes % kPageBytes;
  if (!joins_last_page(merged)) merged = 0;
  bytes = std::min(bytes, room());
  if (used_ + bytes > storage_.bytes() && !grow(used_ + bytes)) {
    bytes = storage_.bytes() - used_;
    if (bytes == 0) {
      return {0, Status::kNoMemory};
    }
  }
  const u64 mask = storage_.bytes() - 1;
  const u64 end = (begin_ + used_) & mask;
  const u64 head = std::min(bytes, storage_.bytes() - end);
  IoBuffer::Copied copied = from.get(storage_.data() + end, head);
  if (copied.status == Status::kOk && head < bytes) {
    const IoBuffer::Copied rest = from.after(head).get(storage_.data(), bytes - head);
    copied = {head + rest.bytes, rest.status};
  }
  if (copied.status != Status::kOk) [[unlikely]] {
    copied.bytes = whole_pieces(copied.bytes, merged);
  }
  if (copied.bytes > merged) {
    last_piece_ = (copied.bytes - merged - 1) % kPageBytes + 1;
  } else {
    last_piece_ += copied.bytes;
  }
  used_ += copied.bytes;
  return copied;
}

IoBuffer::Copied PipeRing::put_packet(IoBuffer from, u64 bytes) {
  if (!packets_.reserve()) {
    return {0, Status::kNoMemory};
  }
  bytes = std::min(bytes, kPageBytes);
  last_piece_ = kPageBytes;  // nothing is added to another's page
  const u64 used = used_;
  IoBuffer::Copied copied = put(from, bytes);
  if (copied.bytes < bytes) {
    used_ = used;
    // No memory for all of it is as none for any.
    copied = {0, copied.status == Status::kOk ? Status::kNoMemory : copied.status};
  } else {
    packets_.add(used_, bytes);
    usable_ -= kPageBytes - bytes;
  }
  last_piece_ = kPageBytes;
  return copied;
}

IoBuffer::Copied PipeRing::copy_out(IoBuffer to, u64 bytes) const {
  bytes = std::min(bytes, used_);
  const u64 head = std::min(bytes, storage_.bytes() - begin_);
  IoBuffer::Copied copied = to.put(storage_.data() + begin_, head);
  if (copied.status == Status::kOk && head < bytes) {
    const IoBuffer::Copied rest = to.after(head).put(storage_.data(), bytes - head);
    copied = {head + rest.bytes, rest.status};
  }
  if (copied.status != Status::kOk) [[unlikely]] {
    copied.bytes = whole_pieces(copied.bytes, 0);
  }
  return copied;
}

void PipeRing::packets_go(u64 bytes) {
  usable_ += packets_.wasted();
  packets_.drop(bytes);
  usable_ -= packets_.wasted();
}

IoBuffer::Copied PipeRing::take(IoBuffer to, u64 bytes) {
  const IoBuffer::Copied copied = copy_out(to, bytes);
  if (copied.bytes != 0) drop(copied.bytes);
  return copied;
}

}  // namespace nopte::guest::files
