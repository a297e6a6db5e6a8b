#include "guest-mm/kernel/files/io_vectors.h"

#include <algorithm>

#include "guest-mm/core/heap.h"
#include "pvops/mm_ops.h"

namespace nopte::guest::files {

namespace {

constexpr u64 kVectorLimit = 1024;  // IOV_MAX

struct IoVector {
  u64 address;
  u64 bytes;
};

// Of vectors that cannot all be read: what is wrong with the first that has something wrong.
i64 first_error(u64 vectors, u64 count) {
  for (u64 i = 0; i < count; ++i) {
    IoVector one{};
    if (!arch::copy_from_user(&one, Gva(vectors + i * sizeof one), sizeof one)) {
      break;
    }
    if (static_cast<i64>(one.bytes) < 0) {
      return -kEINVAL;
    }
  }
  return -kEFAULT;
}

}  // namespace

i64 for_each_vector(u64 vectors, u64 count, FunctionRef<i64(u64 address, u64 bytes, u64 done)> one) {
  if (count > kVectorLimit) {
    return -kEINVAL;
  }
  // All of them are looked at before anything moves, and once.
  constexpr u64 kFew = 8;
  IoVector few[kFew];
  HeapBuffer many;
  IoVector* all = few;
  if (count > kFew) {
    many = HeapBuffer(count * sizeof(IoVector));
    if (!many) {
      return -kENOMEM;
    }
    all = reinterpret_cast<IoVector*>(many.data());
  }
  if (!arch::copy_from_user(all, Gva(vectors), count * sizeof(IoVector))) {
    return first_error(vectors, count);
  }
  for (u64 i = 0; i < count; ++i) {
    if (static_cast<i64>(all[i].bytes) < 0) {
      return -kEINVAL;
    }
  }
  for (u64 i = 0; i < count; ++i) {
    const u64 end = kUserRange.end.value();
    if (all[i].bytes > end || all[i].address > end - all[i].bytes) {
      return -kEFAULT;
    }
  }
  u64 done = 0;
  for (u64 i = 0; i < count; ++i) {
    const IoVector& vector = all[i];
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
