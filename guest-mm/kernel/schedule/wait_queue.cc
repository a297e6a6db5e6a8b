#include "guest-mm/kernel/schedule/wait_queue.h"

#include "guest-mm/kernel/process/thread.h"

namespace nopte::guest {

void Waiter::unlink() {
  if (link_ == nullptr) {
    return;
  }
  *link_ = next_;
  if (next_ != nullptr) {
    next_->link_ = link_;
  } else {
    queue_->end_ = link_;
  }
  link_ = nullptr;
}

[[gnu::always_inline]] inline void WaitQueue::append(Waiter& waiter) {
  waiter.queue_ = this;
  waiter.next_ = nullptr;
  waiter.link_ = end_;
  *end_ = &waiter;
  end_ = &waiter.next_;
}

// Takers stay behind all others, so that who wakes passes one that sleeps.
[[gnu::always_inline]] inline void WaitQueue::place(Waiter& waiter) {
  if (!had_takers_ || first_ == nullptr) [[likely]] {
    append(waiter);
    return;
  }
  waiter.queue_ = this;
  waiter.next_ = first_;
  waiter.link_ = &first_;
  first_->link_ = &waiter.next_;
  first_ = &waiter;
}

void WaitQueue::add(Waiter& waiter) {
  waiter.thread_ = &current();
  place(waiter);
}

void WaitQueue::watch(WatchingWaiter& waiter) { place(waiter); }

void WaitQueue::add_taker(Waiter& waiter) {
  waiter.thread_ = &current();
  waiter.takes_ = true;
  had_takers_ = true;
  append(waiter);
}

[[gnu::always_inline]] inline void WaitQueue::tell(Waiter& waiter) {
  if (waiter.thread_ != nullptr) [[likely]] {
    make_runnable(*waiter.thread_);
  } else {
    auto& watching = static_cast<WatchingWaiter&>(waiter);
    watching.woken_(watching);
  }
}

void WaitQueue::wake_all() {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) {
    tell(*waiter);
  }
}

void WaitQueue::wake_some() {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) {
    const bool is_last = waiter->takes_ && waiter->thread_->state == ThreadState::kSleeping;
    tell(*waiter);
    if (is_last) {
      return;
    }
  }
}

bool WaitQueue::wake_one() {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) {
    if (waiter->thread_ != nullptr && waiter->thread_->state == ThreadState::kSleeping) {
      make_runnable(*waiter->thread_);
      return true;
    }
  }
  return false;
}

}  // namespace nopte::guest
