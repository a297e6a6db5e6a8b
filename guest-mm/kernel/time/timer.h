// Things to do at a deadline, in platform nanoseconds.
//
// Concurrency: one CPU, interrupts off. The queue is a tree: arming costs the logarithm of how many are
// armed.
#pragma once

#include <boost/intrusive/set_hook.hpp>

#include "pvops/base/types.h"

namespace nopte::guest {

inline constexpr u64 kNoDeadline = ~u64{0};

// fire() runs in interrupt context, with the timer no longer armed: it may wake, signal and re-arm, and must
// not sleep. A timer is stopped before it goes away.
struct Timer : boost::intrusive::set_base_hook<> {
  void (*fire)(Timer& timer) = nullptr;
  u64 deadline_ns = kNoDeadline;

  Timer() = default;
  explicit Timer(void (*callback)(Timer&)) : fire(callback) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  [[nodiscard]] bool armed() const { return is_linked(); }
};

// Arms, or moves an armed timer. Timers of one deadline fire in the order of arming.
void timer_start(Timer& timer, u64 deadline_ns);
void timer_stop(Timer& timer);

// Fires what is due; the next deadline, or kNoDeadline. fire() must not re-arm at or before now_ns.
u64 fire_timers(u64 now_ns);
// The scheduler's: the platform timer must fire at this time at the latest.
void need_interrupt_by(u64 deadline_ns);

}  // namespace nopte::guest
