// Where threads wait for something to happen: an intrusive list of waiters that lie on the waiters'
// kernel stacks.
//
// Concurrency: one CPU, non-preemptible kernel with interrupts off: testing a condition and then sleeping
// cannot lose a wake-up. Usage, always as a loop, since a wake-up is a hint:
//
//   while (!ready()) {
//     if (block_on(queue) == WakeReason::kSignal) return -kERESTARTSYS;
//   }
//
// poll-like callers add one Waiter to each of several queues and sleep once with sleep_until(). What watches
// a queue for longer than a call is told by a WatchingWaiter.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct Thread;
class WaitQueue;

// One thread on one queue. Leaves its queue when destroyed.
class Waiter {
 public:
  Waiter() = default;
  ~Waiter() { unlink(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  void unlink();

 private:
  friend class WaitQueue;
  Thread* thread_ = nullptr;  // null: a WatchingWaiter
  bool takes_ = false;
  WaitQueue* queue_ = nullptr;
  Waiter* next_ = nullptr;
  Waiter** link_ = nullptr;  // what points to this one; null when on no queue
};

// One place on a queue that stays there whoever runs, and is called where a thread would be woken: possibly
// in interrupt context. The call may wake other queues and must not change this one.
class WatchingWaiter : public Waiter {
 public:
  explicit WatchingWaiter(void (*woken)(WatchingWaiter&)) : woken_(woken) {}

 private:
  friend class WaitQueue;
  void (*woken_)(WatchingWaiter&);
};

class WaitQueue {
 public:
  WaitQueue() = default;
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  // Puts the running thread at the end, or before all takers. Precondition: waiter is on no queue.
  void add(Waiter& waiter);
  // Puts one that is called where add() would put it. Precondition: it is on no queue.
  void watch(WatchingWaiter& waiter);
  // Puts it at the end as a taker: wake_some() wakes one of these at a time. Who was woken so calls it again
  // when there is something for the next, or when it does not take what it was woken for.
  void add_taker(Waiter& waiter);
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  // Makes every waiting thread runnable and calls who watches; they stay on the queue until they leave it
  // themselves.
  void wake_all();
  // The same of all but takers, and of the first of these that still sleeps.
  void wake_some();
  // Makes the first waiting thread that still sleeps runnable; false when there is none. Calls nobody.
  bool wake_one();

 private:
  void append(Waiter& waiter);
  void place(Waiter& waiter);
  static void tell(Waiter& waiter);

  friend class Waiter;

  Waiter* first_ = nullptr;
  Waiter** end_ = &first_;
  bool had_takers_ = false;
};

}  // namespace nopte::guest
