// A path argument of a system call: copied in, short ones without an allocation.
#pragma once

#include "guest-mm/core/heap.h"
#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/linux_abi.h"

namespace nopte::guest::files {

class UserPath {
 public:
  // 0, -EFAULT, -ENAMETOOLONG or -ENOMEM.
  [[nodiscard]] i64 load(u64 address) {
    Result<u64> length = arch::copy_string_from_user(short_, Gva(address), sizeof short_);
    const char* text = short_;
    if (!length && length.error() == Status::kLimit) {
      long_ = HeapBuffer(kPathBytes);
      if (!long_) {
        return -kENOMEM;
      }
      text = long_.data();
      length = arch::copy_string_from_user(long_.data(), Gva(address), kPathBytes);
    }
    if (!length) {
      return length.error() == Status::kLimit ? -kENAMETOOLONG : to_errno(length.error());
    }
    text_ = {text, *length};
    return 0;
  }
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::string_view text_;
  HeapBuffer long_;
  char short_[192];
};

}  // namespace nopte::guest::files
