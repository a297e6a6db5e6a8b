#include "guest-mm/kernel/files/tmpfs/tmpfs_limit.h"

namespace nopte::guest::files {

namespace {
constinit TmpfsUse g_use{~u64{0}, 0};
}

void set_tmpfs_limit(u64 bytes) { g_use.limit_bytes = bytes; }

TmpfsUse tmpfs_use() { return g_use; }

bool TmpfsCharge::raise(u64 bytes) {
  if (bytes > bytes_) {
    if (bytes - bytes_ > g_use.free_bytes()) {
      return false;
    }
    g_use.used_bytes += bytes - bytes_;
    bytes_ = bytes;
  }
  return true;
}

void TmpfsCharge::lower(u64 bytes) {
  if (bytes < bytes_) {
    g_use.used_bytes -= bytes_ - bytes;
    bytes_ = bytes;
  }
}

}  // namespace nopte::guest::files
