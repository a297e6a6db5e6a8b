#include "guest-mm/kernel/futex/futex_locks.h"

#include <utility>

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/memory/space_memory.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

namespace {

struct FutexLockWaiter : FutexWaiter {
  FutexLockWaiter(FutexKey word, FutexKind of, u64 at)
      : FutexWaiter(std::move(word), kAnyFutexBit, of), thread(current()), address(at) {}

  Thread& thread;
  u64 address;              // of the word that it will own, in its space
  FutexKey target{};        // kToLock: that word
  Thread* owner = nullptr;  // kLock: for whom it waits; the same for all that wait for the word
};

// Precondition: it is not a plain one.
FutexLockWaiter& lock_waiter(FutexWaiter& waiter) { return static_cast<FutexLockWaiter&>(waiter); }

// The word is `owner`'s, and those that wait for it wait for that thread.
void note_owner(const FutexKey& key, Thread& owner) {
  for_each_futex_waiter(key, [&](FutexWaiter& waiter) {
    if (waiter.kind == FutexKind::kLock) {
      lock_waiter(waiter).owner = &owner;
      owner.owns_futex_locks = true;
    }
  });
}

void grant(FutexLockWaiter& waiter) {
  const FutexKey key = waiter.key;
  wake_futex_waiter(waiter);
  note_owner(key, waiter.thread);
}

// Whether waiting for the owner would be waiting for oneself.
bool closes_circle(const Thread& self, const Thread* owner) {
  while (owner != nullptr && owner != &self) {
    const Thread* next = nullptr;
    for_each_futex_waiter([&](FutexWaiter& waiter) {
      if (waiter.kind == FutexKind::kLock && &lock_waiter(waiter).thread == owner) {
        next = lock_waiter(waiter).owner;
      }
    });
    owner = next;
  }
  return owner == &self;
}

enum class Mark : bool { kNo, kWaiters };

// What became of taking a word for a thread: `error`, or it has it (no owner), or has to wait for the owner.
struct Taking {
  i64 error = 0;
  Thread* owner = nullptr;
};
// (kernel/futex/pi.c, futex_lock_pi_atomic.) A word that waits for its owner says so, whatever follows.
Taking take(u64 address, const FutexKey& key, const Thread& whom, Mark mark) {
  u32 word = 0;
  if (const i64 error = load_futex_word(address, word); error != 0) {
    return {.error = error};
  }
  const u32 tid = word & kFutexTidMask;
  if (tid == static_cast<u32>(whom.tid)) {
    return {.error = -kEDEADLK};
  }
  if (FutexWaiter* const first = first_futex_waiter(key)) {
    if (first->kind != FutexKind::kLock) {
      return {.error = -kEINVAL};
    }
    Thread* const owner = lock_waiter(*first).owner;
    const bool died = (word & kFutexOwnerDied) != 0 && tid == 0;
    return {.error = died || tid == static_cast<u32>(owner->tid) ? 0 : -kEINVAL, .owner = owner};
  }
  if (tid == 0) {
    const u32 waiters = mark == Mark::kWaiters ? kFutexWaiters : 0;
    return {.error =
                store_futex_word(address, (word & kFutexOwnerDied) | static_cast<u32>(whom.tid) | waiters)};
  }
  if (const i64 error = store_futex_word(address, word | kFutexWaiters); error != 0) {
    return {.error = error};
  }
  Thread* const owner = find_thread(static_cast<i32>(tid));
  if (owner == nullptr || owner->state == ThreadState::kEnded) {
    return {.error = -kESRCH};
  }
  return {.owner = owner};
}

// Until it owns the word. Interrupted, it does not wait any more.
i64 wait_for_lock(FutexLockWaiter& waiter, const FutexDeadline& deadline) {
  const FutexClockWatch set(deadline);
  while (!waiter.woken) {
    const WakeReason reason = block_on(waiter.queue, deadline.at());
    if (!waiter.woken && reason == WakeReason::kTimeout) {
      return -kETIMEDOUT;
    }
    if (!waiter.woken && reason == WakeReason::kSignal) {
      return -kERESTARTNOINTR;
    }
  }
  return 0;
}

}  // namespace

i64 try_lock_futex(u64 address, FutexScope scope) {
  const Result<FutexKey> key = futex_key_of(address, scope);
  if (!key) {
    return to_errno(key.error());
  }
  const Taking taking = take(address, *key, current(), Mark::kNo);
  return taking.owner != nullptr && taking.error == 0 ? -kEAGAIN : taking.error;
}

i64 lock_futex(u64 address, FutexScope scope, const FutexDeadline& deadline) {
  Result<FutexKey> key = futex_key_of(address, scope);
  if (!key) {
    return to_errno(key.error());
  }
  const Taking taking = take(address, *key, current(), Mark::kNo);
  if (taking.error != 0 || taking.owner == nullptr) {
    return taking.error;
  }
  if (closes_circle(current(), taking.owner)) {
    return -kEDEADLK;
  }
  FutexLockWaiter waiter(std::move(*key), FutexKind::kLock, address);
  waiter.owner = taking.owner;
  taking.owner->owns_futex_locks = true;
  return wait_for_lock(waiter, deadline);
}

i64 unlock_futex(u64 address, FutexScope scope) {
  u32 word = 0;
  if (const i64 error = load_futex_word(address, word); error != 0) {
    return error;
  }
  if ((word & kFutexTidMask) != static_cast<u32>(current().tid)) {
    return -kEPERM;
  }
  const Result<FutexKey> key = futex_key_of(address, scope);
  if (!key) {
    return to_errno(key.error());
  }
  FutexWaiter* const first = first_futex_waiter(*key);
  if (first == nullptr) {
    return store_futex_word(address, 0);
  }
  if (first->kind != FutexKind::kLock || lock_waiter(*first).owner != &current()) {
    return -kEINVAL;
  }
  FutexLockWaiter& next = lock_waiter(*first);
  if (const i64 error = store_futex_word(address, kFutexWaiters | static_cast<u32>(next.thread.tid));
      error != 0) {
    return error;
  }
  grant(next);
  return 0;
}

void release_futex_locks(Thread& owner) {
  if (!std::exchange(owner.owns_futex_locks, false)) {
    return;
  }
  for_each_futex_waiter([&](FutexWaiter& waiter) {
    if (waiter.kind != FutexKind::kLock || lock_waiter(waiter).owner != &owner) {
      return;
    }
    FutexLockWaiter& next = lock_waiter(waiter);
    const u32 word = kFutexWaiters | kFutexOwnerDied | static_cast<u32>(next.thread.tid);
    // A word that cannot be written any more is its program's affair.
    (void)write_space(*next.thread.space, Gva{next.address}, &word, sizeof(word));
    grant(next);
  });
}

i64 wait_to_lock_futex(const FutexWait& request, u64 to) {
  if (request.address == to) {
    return -kEINVAL;
  }
  Result<FutexKey> target = futex_key_of(to, request.scope);
  if (!target) {
    return to_errno(target.error());
  }
  Result<FutexKey> key = futex_key_of(request.address, request.scope);
  if (!key) {
    return to_errno(key.error());
  }
  u32 word = 0;
  if (const i64 error = load_futex_word(request.address, word); error != 0) {
    return error;
  }
  if (word != request.expected) {
    return -kEAGAIN;
  }
  if (*key == *target) {
    return -kEINVAL;
  }
  FutexLockWaiter waiter(std::move(*key), FutexKind::kToLock, to);
  waiter.target = std::move(*target);
  const i64 error = wait_for_lock(waiter, request.deadline);
  // Where it waits to own the word it cannot wait for the first one again.
  return error == -kERESTARTNOINTR && waiter.kind == FutexKind::kLock ? -kEAGAIN : error;
}

i64 requeue_to_lock(const FutexRequeue& request) {
  if (request.from == request.to || request.wake_most != 1 || request.move_most < 0) {
    return -kEINVAL;
  }
  const Result<FutexKey> from = futex_key_of(request.from, request.from_scope);
  if (!from) {
    return to_errno(from.error());
  }
  const Result<FutexKey> to = futex_key_of(request.to, request.to_scope);
  if (!to) {
    return to_errno(to.error());
  }
  if (*from == *to) {
    return -kEINVAL;
  }
  u32 word = 0;
  if (const i64 error = load_futex_word(request.from, word); error != 0) {
    return error;
  }
  if (word != request.expected) {
    return -kEAGAIN;
  }
  FutexWaiter* const first = first_futex_waiter(*from);
  const auto wants = [&](FutexWaiter& waiter) {
    return waiter.kind == FutexKind::kToLock && lock_waiter(waiter).target == *to;
  };
  if (first == nullptr) {
    return 0;
  }
  if (!wants(*first)) {
    return -kEINVAL;
  }
  Thread& one = lock_waiter(*first).thread;
  const Taking taking = take(request.to, *to, one, request.move_most != 0 ? Mark::kWaiters : Mark::kNo);
  if (taking.error != 0) {
    return taking.error;
  }
  Thread& owner = taking.owner != nullptr ? *taking.owner : one;
  i64 done = 0;
  if (taking.owner == nullptr) {
    first->kind = FutexKind::kLock;
    wake_futex_waiter(*first);
    ++done;
  }
  i64 error = 0;
  for_each_futex_waiter(*from, [&](FutexWaiter& waiter) {
    if (error != 0 || done > request.move_most) {
      return;
    }
    if (!wants(waiter)) {
      error = -kEINVAL;
    } else if (closes_circle(lock_waiter(waiter).thread, &owner)) {
      error = -kEDEADLK;
    } else {
      waiter.kind = FutexKind::kLock;
      lock_waiter(waiter).owner = &owner;
      owner.owns_futex_locks = true;
      move_futex_waiter(waiter, *to);
      ++done;
    }
  });
  return error != 0 ? error : done;
}

}  // namespace nopte::guest
