// Unix time: the platform's clock, and what clock_settime(2) and its kin added to it.
#pragma once

#include "pvops/platform_ops.h"

namespace nopte::guest {

class WaitQueue;  // guest-mm/kernel/schedule/wait_queue.h

// Woken when the clock was set.
extern WaitQueue g_clock_was_set;

// Modulo 2^64: a step back is a large number.
inline constinit u64 g_wall_step_ns = 0;

// Unix time at the platform's zero.
inline u64 wall_at_boot_ns() { return platform_ops().boot_wall_ns() + g_wall_step_ns; }
inline u64 wall_ns() { return wall_at_boot_ns() + platform_ops().now_ns(); }

// Moves the clock, and timers on it with it: those for a time of day fire at that time, others after as long
// as they were to. Who sleeps until a time of day is woken, to reckon anew.
void step_wall_clock(u64 step_ns);

}  // namespace nopte::guest
