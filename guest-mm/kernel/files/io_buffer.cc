#include "guest-mm/kernel/files/io_buffer.h"

#include <algorithm>
#include <cstring>

namespace nopte::guest::files {

namespace {

// After a failed copy: again, in pieces that cross no page boundary on either side, to learn how far it goes.
IoBuffer::Copied copy_by_pages(u64 address, u64 other, u64 bytes,
                               FunctionRef<Result<void>(u64 offset, u64 bytes)> copy) {
  u64 done = 0;
  while (done < bytes) {
    const u64 piece = std::min({bytes - done, kPageBytes - ((address + done) & kPageMask),
                                kPageBytes - ((other + done) & kPageMask)});
    if (const Result<void> copied = copy(done, piece); !copied) {
      return {done, copied.error()};
    }
    done += piece;
  }
  return {done, Status::kOk};
}

}  // namespace

Result<void> IoBuffer::put_once(u64 offset, const void* from, u64 bytes) const {
  return home_ == Home::kUser ? arch::copy_to_user(Gva(address_ + offset), from, bytes)
                              : arch::copy_fallible(reinterpret_cast<void*>(address_ + offset), from, bytes);
}

Result<void> IoBuffer::get_once(void* to, u64 offset, u64 bytes) const {
  return home_ == Home::kUser
             ? arch::copy_from_user(to, Gva(address_ + offset), bytes)
             : arch::copy_fallible(to, reinterpret_cast<const void*>(address_ + offset), bytes);
}

IoBuffer::Copied IoBuffer::put(const void* from, u64 bytes) const {
  if (put_once(0, from, bytes)) [[likely]] {
    return {bytes, Status::kOk};
  }
  return copy_by_pages(address_, reinterpret_cast<u64>(from), bytes, [&](u64 offset, u64 piece) {
    return put_once(offset, static_cast<const u8*>(from) + offset, piece);
  });
}

IoBuffer::Copied IoBuffer::get(void* to, u64 bytes) const {
  if (get_once(to, 0, bytes)) [[likely]] {
    return {bytes, Status::kOk};
  }
  return copy_by_pages(address_, reinterpret_cast<u64>(to), bytes, [&](u64 offset, u64 piece) {
    return get_once(static_cast<u8*>(to) + offset, offset, piece);
  });
}

IoBuffer::Copied IoBuffer::put_zeros(u64 bytes) const {
  if (home_ == Home::kKernel) {
    std::memset(reinterpret_cast<void*>(address_), 0, bytes);
    return {bytes, Status::kOk};
  }
  if (arch::zero_user(Gva(address_), bytes)) [[likely]] {
    return {bytes, Status::kOk};
  }
  return copy_by_pages(address_, address_, bytes,
                       [&](u64 offset, u64 piece) { return arch::zero_user(Gva(address_ + offset), piece); });
}

}  // namespace nopte::guest::files
