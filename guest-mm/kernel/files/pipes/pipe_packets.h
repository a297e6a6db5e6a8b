// Which of a pipe's bytes are packets: what one write with O_DIRECT put there, at most a page, comes out by
// one read, which gives nothing behind it and loses what it has no room for (fs/pipe.c of Linux). A packet
// takes a page of the pipe's capacity however small it is.
#pragma once

#include "guest-mm/core/heap.h"

namespace nopte::guest::files {

class PipePackets {
 public:
  [[nodiscard]] bool any() const { return end_ != 0; }
  // Of the pages that packets take, the bytes that they do not fill.
  [[nodiscard]] u64 wasted() const { return wasted_; }

  // Room for one more. False: no memory.
  [[nodiscard]] bool reserve();
  // The last `bytes` of the `used` in the pipe are a packet. Preconditions: reserve(), 0 < bytes <= a page.
  void add(u64 used, u64 bytes);
  // That many bytes are taken from the front.
  void drop(u64 bytes);

  // What a read of that many bytes copies, and what it takes away.
  struct Portion {
    u64 copied;
    u64 dropped;
  };
  // Precondition: any().
  [[nodiscard]] Portion portion(u64 bytes) const;

 private:
  struct Packet {
    u64 begin;  // counted from where the pipe's first byte was when there was no packet
    u64 end;
    u64 wasted;
  };
  Packet* packets() const { return reinterpret_cast<Packet*>(storage_.data()); }

  HeapBuffer storage_;
  u64 first_ = 0;
  u64 end_ = 0;  // 0: there are none
  u64 front_ = 0;
  u64 wasted_ = 0;
};

}  // namespace nopte::guest::files
