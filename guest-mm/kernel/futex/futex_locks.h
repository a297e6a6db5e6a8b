// Words that are owned: FUTEX_LOCK_PI and its kin (Linux's Documentation/locking/pi-futex.rst; futex(2)). The
// word holds its owner's tid; the kernel knows the owner once somebody waits, gives the word to the first one
// when it is unlocked or its owner ends, and refuses to wait in a circle. Nobody has a priority here that
// another could inherit. Nothing that the word says is trusted.
#pragma once

#include "guest-mm/kernel/futex/futex_words.h"

namespace nopte::guest {

struct Thread;

inline constexpr u32 kFutexWaiters = 0x8000'0000, kFutexOwnerDied = 0x4000'0000, kFutexTidMask = 0x3fff'ffff;

// 0, or -EFAULT, -EDEADLK, -ESRCH (no such owner), -EINVAL (the word is not what those who wait for it know),
// -ETIMEDOUT.
i64 lock_futex(u64 address, FutexScope scope, const FutexDeadline& deadline);
// The same with -EAGAIN where it would wait.
i64 try_lock_futex(u64 address, FutexScope scope);
// 0, or -EFAULT, -EPERM (another's), -EINVAL.
i64 unlock_futex(u64 address, FutexScope scope);
// FUTEX_WAIT_REQUEUE_PI: waits until requeue_to_lock() makes it the owner of the word at `to`, perhaps after
// waiting there. -EAGAIN, too: a signal came while it waited there.
i64 wait_to_lock_futex(const FutexWait& request, u64 to);
// FUTEX_CMP_REQUEUE_PI: how many are the owner, or wait to be. -EINVAL: who waits does not want that word.
i64 requeue_to_lock(const FutexRequeue& request);

// The thread ends, or begins another program: those that wait for words of its get them, marked.
void release_futex_locks(Thread& owner);

}  // namespace nopte::guest
