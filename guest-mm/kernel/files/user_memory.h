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

}  // namespace nopte::guest::files
