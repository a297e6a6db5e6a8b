// Single values to and from the running program.
#pragma once

#include <type_traits>

#include "guest-mm/kernel/arch.h"
#include "guest-mm/kernel/errno.h"

namespace nopte::guest::files {

// 0, or -EFAULT (or -ENOMEM) with a prefix written.
template <class T>
[[nodiscard]] i64 put_user(u64 address, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const Result<void> copied = arch::copy_to_user(Gva(address), &value, sizeof value);
  return copied ? 0 : to_errno(copied.error());
}

template <class T>
[[nodiscard]] i64 get_user(T& value, u64 address) {
  static_assert(std::is_trivially_copyable_v<T>);
  const Result<void> copied = arch::copy_from_user(&value, Gva(address), sizeof value);
  return copied ? 0 : to_errno(copied.error());
}

// A structure that has grown: the program's version of it has `bytes` bytes, and what lies behind those stays
// as it is in `value`. 0, or -EINVAL (fewer than `least`), -E2BIG (more than a page, or something behind what
// is known here that is not zero), -EFAULT.
template <class T>
[[nodiscard]] i64 get_grown_user(T& value, u64 address, u64 bytes, u64 least) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (bytes > kPageBytes) {
    return -kE2BIG;
  }
  if (bytes < least) {
    return -kEINVAL;
  }
  for (u64 at = sizeof value; at < bytes; ++at) {
    u8 byte = 0;
    if (const i64 error = get_user(byte, address + at); error != 0) {
      return error;
    }
    if (byte != 0) {
      return -kE2BIG;
    }
  }
  const u64 known = bytes < sizeof value ? bytes : sizeof value;
  return arch::copy_from_user(&value, Gva(address), known) ? 0 : -kEFAULT;
}

}  // namespace nopte::guest::files
