// The timer queue: armed timers in the order of their deadlines.
#include "guest-mm/kernel/time/timer.h"

#include <boost/intrusive/set.hpp>
#include <new>

namespace nopte::guest {

namespace {

struct ByDeadline {
  using type = u64;
  u64 operator()(const Timer& timer) const { return timer.deadline_ns; }
};
using Queue = boost::intrusive::multiset<Timer, boost::intrusive::key_of_value<ByDeadline>>;

// Made at its first use: the kernel has no constructors that run before it. Never ends.
Queue& queue() {
  alignas(Queue) static u8 place[sizeof(Queue)];
  static Queue* made = nullptr;
  if (made == nullptr) [[unlikely]] {
    made = new (place) Queue;
  }
  return *made;
}

}  // namespace

void timer_start(Timer& timer, u64 deadline_ns) {
  timer_stop(timer);
  timer.deadline_ns = deadline_ns;
  Queue& armed = queue();
  armed.insert(timer);
  if (&*armed.begin() == &timer) {
    need_interrupt_by(deadline_ns);
  }
}

void timer_stop(Timer& timer) {
  if (timer.armed()) {
    queue().erase(Queue::s_iterator_to(timer));
  }
}

u64 fire_timers(u64 now_ns) {
  Queue& armed = queue();
  while (!armed.empty() && armed.begin()->deadline_ns <= now_ns) {
    Timer& timer = *armed.begin();
    timer_stop(timer);
    timer.fire(timer);
  }
  return armed.empty() ? kNoDeadline : armed.begin()->deadline_ns;
}

}  // namespace nopte::guest
