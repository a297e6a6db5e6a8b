// What the calls about futexes share: naming a word, waiting for it, waking who waits.
#pragma once

#include "guest-mm/kernel/futex/futex_waiters.h"
#include "guest-mm/kernel/schedule/scheduler.h"
#include "guest-mm/kernel/time/time.h"

namespace nopte::guest {

inline constexpr u32 kAnyFutexBit = 0xffff'ffff;

// The word as the running process names it. Errors: kInvalid (alignment), kBadAddress, kPastEnd, kNoMemory.
Result<FutexKey> futex_key_of(u64 address, FutexScope scope);
// 0, -EFAULT (or -ENOMEM).
i64 load_futex_word(u64 address, u32& word);
i64 store_futex_word(u64 address, u32 word);

struct FutexDeadline {
  u64 ns = kNoDeadline;
  bool by_wall = false;  // Unix time: it lies elsewhere once the clock was set
  [[nodiscard]] u64 at() const { return by_wall ? deadline_of_wall(ns) : ns; }
};
// Who waits until then is woken when the clock is set, to reckon anew.
class FutexClockWatch {
 public:
  explicit FutexClockWatch(const FutexDeadline& deadline) {
    if (deadline.by_wall) g_clock_was_set.add(place_);
  }

 private:
  Waiter place_;
};

struct FutexWait {
  u64 address = 0;
  FutexScope scope = FutexScope::kShared;
  u32 expected = 0;
  u32 bits = kAnyFutexBit;
  FutexDeadline deadline;
};
// FUTEX_WAIT_BITSET: 0, -EAGAIN (another value), -ETIMEDOUT, or that it was interrupted.
i64 wait_for_futex(const FutexWait& request);
// FUTEX_WAKE_BITSET, which wakes one at least: how many, or an error.
i64 wake_futex_word(u64 address, FutexScope scope, i32 most, u32 bits);

struct FutexRequeue {
  u64 from = 0;
  FutexScope from_scope = FutexScope::kShared;
  u64 to = 0;
  FutexScope to_scope = FutexScope::kShared;
  i32 wake_most = 0;
  i32 move_most = 0;
  bool compares = false;
  u32 expected = 0;
};
// FUTEX_CMP_REQUEUE: how many were woken or moved, or an error.
i64 requeue_futex(const FutexRequeue& request);

// Where an absolute time lies; 0, -EFAULT, -EINVAL. A null address is no deadline.
enum class FutexClock : u8 { kMonotonic, kWall };
i64 load_futex_deadline(u64 address, FutexClock clock, FutexDeadline& deadline);

}  // namespace nopte::guest
