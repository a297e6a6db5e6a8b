#include "guest-mm/kernel/futex/futex_waiters.h"

#include <utility>

#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/schedule/scheduler.h"

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

}  // namespace

void wake_futex_waiter(FutexWaiter& waiter) {
  waiter.woken = true;
  wake(waiter.queue);
}

void move_futex_waiter(FutexWaiter& waiter, const FutexKey& to) {
  unlink(waiter, bucket_of(waiter.key));
  waiter.key = to;
  link_up(waiter, bucket_of(to));
}

FutexWaiter::FutexWaiter(FutexKey word, u32 wanted, FutexKind of)
    : key(std::move(word)), bits(wanted), kind(of) {
  link_up(*this, bucket_of(key));
}

FutexWaiter::~FutexWaiter() { unlink(*this, bucket_of(key)); }

FutexWaiter* first_futex_waiter(const FutexKey& key) {
  FutexWaiter* waiter = bucket_of(key).first;
  while (waiter != nullptr && !waits_for(*waiter, key)) {
    waiter = waiter->next;
  }
  return waiter;
}

void for_each_futex_waiter(const FutexKey& key, FunctionRef<void(FutexWaiter&)> visit) {
  for (FutexWaiter* waiter = bucket_of(key).first; waiter != nullptr;) {
    FutexWaiter* const next = waiter->next;
    if (waits_for(*waiter, key)) {
      visit(*waiter);
    }
    waiter = next;
  }
}

void for_each_futex_waiter(FunctionRef<void(FutexWaiter&)> visit) {
  for (const Bucket& bucket : g_buckets) {
    for (FutexWaiter* waiter = bucket.first; waiter != nullptr;) {
      FutexWaiter* const next = waiter->next;
      if (!waiter->woken) {
        visit(*waiter);
      }
      waiter = next;
    }
  }
}

i64 futex_wake(const FutexKey& key, u64 most, u32 bits) {
  u64 woken = 0;
  for (FutexWaiter* waiter = bucket_of(key).first; waiter != nullptr && woken < most; waiter = waiter->next) {
    if (!waits_for(*waiter, key)) {
      continue;
    }
    if (waiter->kind != FutexKind::kPlain) {
      return -kEINVAL;
    }
    if ((waiter->bits & bits) != 0) {
      wake_futex_waiter(*waiter);
      ++woken;
    }
  }
  return static_cast<i64>(woken);
}

i64 futex_requeue(const FutexKey& from, u64 wake_most, u64 move_most, const FutexKey& to) {
  const bool same = from == to;
  u64 woken = 0;
  u64 moved = 0;
  for (FutexWaiter* waiter = bucket_of(from).first;
       waiter != nullptr && woken + moved < wake_most + move_most;) {
    FutexWaiter* const next = waiter->next;
    if (waits_for(*waiter, from)) {
      if (waiter->kind != FutexKind::kPlain) {
        return -kEINVAL;
      }
      if (woken < wake_most) {
        wake_futex_waiter(*waiter);
        ++woken;
      } else {
        if (!same) {
          move_futex_waiter(*waiter, to);
        }
        ++moved;
      }
    }
    waiter = next;
  }
  return static_cast<i64>(woken + moved);
}

}  // namespace nopte::guest
