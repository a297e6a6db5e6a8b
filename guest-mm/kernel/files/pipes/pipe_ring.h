// The bytes inside a pipe: a ring in kernel memory that starts at one page and grows to the pipe's capacity
// (64 KiB unless told otherwise) as it fills.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_buffer.h"
#include "guest-mm/kernel/files/pipes/pipe_packets.h"

namespace nopte::guest::files {

class PipeRing {
 public:
  static constexpr u64 kUsualCapacityBytes = 64 << 10;
  static constexpr u64 kFirstBytes = 4 << 10;
  static constexpr u64 kAtomicBytes = 4096;  // PIPE_BUF

  [[nodiscard]] u64 used() const { return used_; }
  [[nodiscard]] u64 capacity() const { return usable_ + packets_.wasted(); }
  // used(), and what packets waste of their pages.
  [[nodiscard]] u64 occupied() const { return used_ + packets_.wasted(); }
  [[nodiscard]] u64 room() const { return usable_ - used_; }
  // Precondition: a power of two, a page or more, and not less than occupied(). Memory that is not needed any
  // more goes back when the ring is empty.
  void set_capacity(u64 bytes) { usable_ = bytes - packets_.wasted(); }

  // Appends min(bytes, room()) of the buffer's bytes. bytes == 0 with kNoMemory: the ring could not grow and
  // is full. Of the page-sized pieces in which Linux's pipe takes them (fs/pipe.c, pipe_write) one with a
  // fault is not in, nor is what comes behind it.
  IoBuffer::Copied put(IoBuffer from, u64 bytes);
  // Appends a packet of min(bytes, a page), or, at a fault, nothing. Preconditions: bytes > 0, room for a
  // page. bytes == 0 with kNoMemory: as above.
  IoBuffer::Copied put_packet(IoBuffer from, u64 bytes);
  // Whether so many bytes fit into the last page of Linux's pipe, where they are no packet.
  [[nodiscard]] bool joins_last_page(u64 bytes) const {
    return used_ != 0 && last_piece_ + bytes <= kPageBytes;
  }
  [[nodiscard]] const PipePackets& packets() const { return packets_; }
  // Copies min(bytes, used()) bytes, which stay. Of pieces of a page, counted from the first byte, one with a
  // fault counts for nothing.
  [[nodiscard]] IoBuffer::Copied copy_out(IoBuffer to, u64 bytes) const;
  // Takes away the first of them. Precondition: there are so many.
  void drop(u64 bytes) {
    if (packets_.any()) [[unlikely]] {
      packets_go(bytes);
    }
    drop_plain(bytes);
  }
  // The same. Precondition: there are no packets.
  void drop_plain(u64 bytes) {
    used_ -= bytes;
    begin_ = used_ == 0 ? 0 : (begin_ + bytes) & (storage_.bytes() - 1);
    if (used_ == 0 && storage_.bytes() > usable_) [[unlikely]] {
      storage_ = HeapBuffer();
    }
  }
  // Both.
  IoBuffer::Copied take(IoBuffer to, u64 bytes);

 private:
  [[nodiscard]] bool grow(u64 bytes);
  void packets_go(u64 bytes);

  HeapBuffer storage_;  // a power of two
  PipePackets packets_;
  u64 usable_ = kUsualCapacityBytes;  // of the capacity, what packets do not waste
  u64 begin_ = 0;
  u64 used_ = 0;
  u64 last_piece_ = 0;  // bytes in the last page of Linux's pipe, which takes more
};

}  // namespace nopte::guest::files
