#include "guest-mm/kernel/futex_waiters.h"

#include <utility>

#include "guest-mm/kernel/scheduler.h"

namespace nopte::guest {

namespace {

// By what the key says of the place. In each the order of their coming.
struct Bucket {
  FutexWaiter* first = nullptr;
  FutexWaiter** end = &first;
};
constexpr u64 kBuckets = 256;
Bucket g_buckets[kBuckets];

Bucket& bucket_of(const FutexKey& key) {
  const u64 place =
      reinterpret_cast<u64>(key.object ? static_cast<const void*>(key.object.get()) : key.space);
  const u64 mixed = (place ^ key.at >> 2) * 0x9e37'79b9'7f4a'7c15;
  return g_buckets[mixed >> 56];
}

void link_up(FutexWaiter& waiter, Bucket& bucket) {
  waiter.next = nullptr;
  waiter.link = bucket.end;
  *bucket.end = &waiter;
  bucket.end = &waiter.next;
}

void unlink(FutexWaiter& waiter, Bucket& bucket) {
  *waiter.link = waiter.next;
  (waiter.next != nullptr ? waiter.next->link : bucket.end) = waiter.link;
}

bool waits_for(const FutexWaiter& waiter, const FutexKey& key) { return !waiter.woken && waiter.key == key; }

void wake_up(FutexWaiter& waiter) {
  waiter.woken = true;
  wake(waiter.queue);
}

}  // namespace

FutexWaiter::FutexWaiter(FutexKey word, u32 wanted) : key(std::move(word)), bits(wanted) {
  link_up(*this, bucket_of(key));
}

FutexWaiter::~FutexWaiter() { unlink(*this, bucket_of(key)); }

u64 futex_wake(const FutexKey& key, u64 most, u32 bits) {
  u64 woken = 0;
  for (FutexWaiter* waiter = bucket_of(key).first; waiter != nullptr && woken < most; waiter = waiter->next) {
    if (waits_for(*waiter, key) && (waiter->bits & bits) != 0) {
      wake_up(*waiter);
      ++woken;
    }
  }
  return woken;
}

u64 futex_requeue(const FutexKey& from, u64 wake_most, u64 move_most, const FutexKey& to) {
  const bool same = from == to;
  Bucket& before = bucket_of(from);
  Bucket& after = bucket_of(to);
  u64 woken = 0;
  u64 moved = 0;
  for (FutexWaiter* waiter = before.first; waiter != nullptr && woken + moved < wake_most + move_most;) {
    FutexWaiter* const next = waiter->next;
    if (waits_for(*waiter, from)) {
      if (woken < wake_most) {
        wake_up(*waiter);
        ++woken;
      } else {
        if (!same) {
          unlink(*waiter, before);
          waiter->key = to;
          link_up(*waiter, after);
        }
        ++moved;
      }
    }
    waiter = next;
  }
  return woken + moved;
}

}  // namespace nopte::guest
