#include "guest-mm/kernel/futex_waiters.h"

#include <utility>

#include "guest-mm/kernel/scheduler.h"

namespace nopte::guest {

namespace {

FutexWaiter* g_first = nullptr;
FutexWaiter** g_end = &g_first;

bool waits_for(const FutexWaiter& waiter, const FutexKey& key) { return !waiter.woken && waiter.key == key; }

void wake_up(FutexWaiter& waiter) {
  waiter.woken = true;
  wake(waiter.queue);
}

}  // namespace

FutexWaiter::FutexWaiter(FutexKey word, u32 wanted) : key(std::move(word)), bits(wanted), link(g_end) {
  *g_end = this;
  g_end = &next;
}

FutexWaiter::~FutexWaiter() {
  *link = next;
  (next != nullptr ? next->link : g_end) = link;
}

u64 futex_wake(const FutexKey& key, u64 most, u32 bits) {
  u64 woken = 0;
  for (FutexWaiter* waiter = g_first; waiter != nullptr && woken < most; waiter = waiter->next) {
    if (waits_for(*waiter, key) && (waiter->bits & bits) != 0) {
      wake_up(*waiter);
      ++woken;
    }
  }
  return woken;
}

u64 futex_requeue(const FutexKey& from, u64 wake_most, u64 move_most, const FutexKey& to) {
  const bool same = from == to;
  u64 woken = 0;
  u64 moved = 0;
  for (FutexWaiter* waiter = g_first; waiter != nullptr; waiter = waiter->next) {
    if (!waits_for(*waiter, from)) {
      continue;
    }
    if (woken < wake_most) {
      wake_up(*waiter);
      ++woken;
    } else if (moved < move_most) {
      if (!same) {
        waiter->key = to;
      }
      ++moved;
    } else {
      break;
    }
  }
  return woken + moved;
}

}  // namespace nopte::guest
