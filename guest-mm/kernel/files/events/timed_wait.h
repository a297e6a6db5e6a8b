// What the calls have in common that wait for descriptors: a timeout, and a signal mask while they wait.
#pragma once

#include "guest-mm/kernel/files/linux_abi.h"

namespace nopte::guest::files {

// Platform time at which a wait of that length ends; 0 for no wait at all. Precondition: the time is valid.
u64 deadline_after(u64 ns);
u64 deadline_after(const Timespec& time);
// The deadline that a user's timespec means (null: none). Errors: -EFAULT, -EINVAL.
i64 load_deadline(u64 address, u64& deadline_ns);

// Blocks other signals during a wait. When the wait ends by a signal, its handler still runs under the
// temporary mask and delivery goes back to the old one; otherwise finish() does.
class TemporarySignalMask {
 public:
  // address 0: nothing to do. Errors: -EINVAL, -EFAULT.
  i64 begin(u64 address, u64 bytes);
  // Answers the result of the call.
  i64 finish(i64 result);

 private:
  bool active_ = false;
};

}  // namespace nopte::guest::files
