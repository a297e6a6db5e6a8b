// Which words are one futex, and who waits on them.
//
// A private operation names a word by address space and address, without looking at the memory. A shared one
// names what the address shows: object and offset of shared memory, so that every space and address that
// shows them means the same word; space and address of memory that nobody else sees. As in Linux the two
// kinds never meet.
// Concurrency: the kernel's.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "guest-mm/kernel/schedule/wait_queue.h"
#include "pvops/base/function_ref.h"

namespace nopte::guest {

class AddressSpace;

enum class FutexScope : u8 { kPrivate, kShared };

struct FutexKey {
  FutexScope scope = FutexScope::kShared;
  const AddressSpace* space = nullptr;  // null where the object names the word
  Ref<MemoryObject> object{};           // held: a new object at its address would be another word
  u64 at = 0;                           // the address, or the offset in the object

  friend bool operator==(const FutexKey&, const FutexKey&) = default;
};

enum class FutexKind : u8 {
  kPlain,
  kLock,    // the rest are FutexLockWaiters (futex_locks.h): who waits to own the word
  kToLock,  // who waits for the word, and to be moved to one that it will own
};

// Lies in the waiter's call, in a list of those that wait there, in the order of their coming.
struct FutexWaiter {
  FutexWaiter(FutexKey word, u32 wanted, FutexKind of = FutexKind::kPlain);
  ~FutexWaiter();
  FutexWaiter(const FutexWaiter&) = delete;
  FutexWaiter& operator=(const FutexWaiter&) = delete;

  FutexKey key;
  u32 bits;
  FutexKind kind;
  WaitQueue queue;
  bool woken = false;
  FutexWaiter* next = nullptr;
  FutexWaiter** link = nullptr;  // what points to this one
};

// Wakes the first ones, at most `most`, that wait on the word for one of the bits; how many. -EINVAL: one of
// them waits to own it; those before it are awake.
i64 futex_wake(const FutexKey& key, u64 most, u32 bits);
// Wakes the first ones and lets the next ones wait on another word, where they keep their order; how many of
// both. -EINVAL: as above.
i64 futex_requeue(const FutexKey& from, u64 wake_most, u64 move_most, const FutexKey& to);
// The first one that waits on the word; null: none.
FutexWaiter* first_futex_waiter(const FutexKey& key);
// Visits those that wait on the word, the first ones first. The visit may wake and move the one that it gets.
void for_each_futex_waiter(const FutexKey& key, FunctionRef<void(FutexWaiter&)> visit);
// The same with all words.
void for_each_futex_waiter(FunctionRef<void(FutexWaiter&)> visit);
void wake_futex_waiter(FutexWaiter& waiter);
void move_futex_waiter(FutexWaiter& waiter, const FutexKey& to);

}  // namespace nopte::guest
