// The parts of memory that one message lies in or goes to, gone through from front to end.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/files/io_buffer.h"

namespace nopte::guest::net {

class IoCursor {
 public:
  IoCursor() : single_(files::IoBuffer::user(0)) {}
  IoCursor(files::IoBuffer single, u64 bytes) : single_(single), left_(bytes) {}

  // The parts that a program's iovecs name. Errors: -EMSGSIZE (more than IOV_MAX), -EINVAL, -EFAULT, -ENOMEM.
  i64 load(u64 vectors, u64 count);
  [[nodiscard]] u64 left() const { return left_; }
  // Copies that many bytes and goes on behind them. After a fault (false) it stands where it stood.
  // Precondition: so many are left.
  [[nodiscard]] bool get(void* to, u64 bytes);
  [[nodiscard]] bool put(const void* from, u64 bytes);
  // Goes on behind them.
  void skip(u64 bytes);

 private:
  struct Part {
    u64 address;
    u64 bytes;
  };
  template <class Copy>
  bool copy(u64 bytes, Copy one);

  files::IoBuffer single_;
  HeapBuffer many_;  // Parts; empty: the single one
  u64 part_ = 0;
  u64 offset_ = 0;  // in the part
  u64 left_ = 0;
};

}  // namespace nopte::guest::net
