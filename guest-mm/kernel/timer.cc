// The timer queue: armed timers in the order of their deadlines.
#include "guest-mm/kernel/timer.h"

namespace nopte::guest {

namespace {
Timer* g_first = nullptr;
}

void timer_start(Timer& timer, u64 deadline_ns) {
  timer_stop(timer);
  timer.deadline_ns = deadline_ns;
  timer.armed = true;
  Timer* previous = nullptr;
  Timer* next = g_first;
  while (next != nullptr && next->deadline_ns <= deadline_ns) {
    previous = next;
    next = next->next;
  }
  timer.previous = previous;
  timer.next = next;
  (previous != nullptr ? previous->next : g_first) = &timer;
  if (next != nullptr) {
    next->previous = &timer;
  }
  if (previous == nullptr) {
    need_interrupt_by(deadline_ns);
  }
}

void timer_stop(Timer& timer) {
  if (!timer.armed) {
    return;
  }
  timer.armed = false;
  (timer.previous != nullptr ? timer.previous->next : g_first) = timer.next;
  if (timer.next != nullptr) {
    timer.next->previous = timer.previous;
  }
}

u64 fire_timers(u64 now_ns) {
  while (g_first != nullptr && g_first->deadline_ns <= now_ns) {
    Timer& timer = *g_first;
    timer_stop(timer);
    timer.fire(timer);
  }
  return g_first != nullptr ? g_first->deadline_ns : kNoDeadline;
}

}  // namespace nopte::guest
