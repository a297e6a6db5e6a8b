// What /proc/sys/kernel and /proc/sys/fs hold that nothing here obeys, but programs read, write and expect to
// find again: what Linux begins with. What is obeyed lies where it is: process.h, files/pipe.h.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct SystemSettings {
  static inline char core_pattern[128] = "core";
  static inline i32 core_pipe_limit = 0;
  static inline i32 core_uses_pid = 0;
  static inline i32 panic = 0;
  static inline i32 printk[4] = {7, 4, 1, 7};
  static constexpr i32 kUsualRoundRobinMs = 100;
  static inline i32 sched_rr_timeslice_ms = kUsualRoundRobinMs;  // sched_rr_get_interval tells it
  static inline i32 sched_rt_period_us = 1'000'000;
  static inline i32 sched_rt_runtime_us = 950'000;
  static inline u64 file_max = 9'223'372'036'854'775'807;
  static inline i32 dir_notify_enable = 1;
  static inline i32 lease_break_time = 45;
  static inline i32 leases_enable = 1;
};

}  // namespace nopte::guest
