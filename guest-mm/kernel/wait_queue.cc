#include "guest-mm/kernel/wait_queue.h"

#include "guest-mm/kernel/thread.h"

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

void WaitQueue::add(Waiter& waiter) {
  waiter.thread_ = &current();
  append(waiter);
}

void WaitQueue::watch(WatchingWaiter& waiter) { append(waiter); }

void WaitQueue::wake_all() {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) {
    if (waiter->thread_ != nullptr) [[likely]] {
      make_runnable(*waiter->thread_);
    } else {
      auto& watching = static_cast<WatchingWaiter&>(*waiter);
      watching.woken_(watching);
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
