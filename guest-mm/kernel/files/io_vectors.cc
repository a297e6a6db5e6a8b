#include "guest-mm/kernel/files/io_vectors.h"

#include <algorithm>

namespace nopte::guest::files {

namespace {

constexpr u64 kVectorLimit = 1024;  // IOV_MAX

struct IoVector {
  u64 address;
  u64 bytes;
};

}  // namespace

i64 for_each_vector(u64 vectors, u64 count, FunctionRef<i64(u64 address, u64 bytes, u64 done)> one) {
  if (count > kVectorLimit) {
    return -kEINVAL;
  }
  u64 done = 0;
  for (u64 i = 0; i < count; ++i) {
    IoVector vector{};
    if (const i64 error = get_user(vector, vectors + i * sizeof vector); error != 0) {
      return done != 0 ? static_cast<i64>(done) : error;
    }
    if (static_cast<i64>(vector.bytes) < 0) {
      return done != 0 ? static_cast<i64>(done) : -kEINVAL;
    }
    const u64 bytes = std::min(vector.bytes, kTransferLimit - done);
    if (bytes == 0) {
      continue;
    }
    const i64 moved = one(vector.address, bytes, done);
    if (moved < 0) {
      return done != 0 ? static_cast<i64>(done) : moved;
    }
    done += static_cast<u64>(moved);
    if (static_cast<u64>(moved) < bytes) {
      break;
    }
  }
  return static_cast<i64>(done);
}

}  // namespace nopte::guest::files
