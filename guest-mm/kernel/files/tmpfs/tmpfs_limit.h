// How much tmpfs may hold: as on Linux half of memory, so that a full file system leaves programs the other
// half, and what it takes to remove files. Charged are names (each with its inode) and the contents that
// calls write; pages that programs write through mappings into holes are not seen here.
#pragma once

#include <utility>

#include "pvops/base/types.h"

namespace nopte::guest::files {

// Once, at boot; there is no limit before.
void set_tmpfs_limit(u64 bytes);

struct TmpfsUse {
  u64 limit_bytes;
  u64 used_bytes;
  [[nodiscard]] u64 free_bytes() const { return limit_bytes > used_bytes ? limit_bytes - used_bytes : 0; }
};
TmpfsUse tmpfs_use();

// What one holder has been charged; given back with it.
class TmpfsCharge {
 public:
  TmpfsCharge() = default;
  TmpfsCharge(TmpfsCharge&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  TmpfsCharge& operator=(TmpfsCharge&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~TmpfsCharge() { lower(0); }

  [[nodiscard]] u64 bytes() const { return bytes_; }
  // Makes it at least `bytes`. False: beyond the limit; it is then as before.
  [[nodiscard]] bool raise(u64 bytes);
  // Makes it at most `bytes`.
  void lower(u64 bytes);

 private:
  u64 bytes_ = 0;
};

}  // namespace nopte::guest::files
