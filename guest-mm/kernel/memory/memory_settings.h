// What /proc/sys/vm holds that nothing here obeys, but programs read, write and expect to find again: the
// numbers that Linux begins with. What is obeyed lies where it is: commit_limit.h, space_limits.h.
#pragma once

#include "pvops/base/types.h"

namespace nopte::guest {

struct MemorySettings {
  static inline i32 admin_reserve_kbytes = 8192;
  static inline i32 compaction_proactiveness = 20;
  static inline i32 dirty_background_ratio = 10;
  static inline i32 dirty_expire_centisecs = 3000;
  static inline i32 dirty_ratio = 20;
  static inline i32 dirty_writeback_centisecs = 500;
  static inline i32 drop_caches = 0;
  static inline i32 extfrag_threshold = 500;
  static inline i32 laptop_mode = 0;
  static inline i32 legacy_va_layout = 0;
  static inline i32 lowmem_reserve_ratio[5] = {256, 256, 32, 0, 0};
  static inline i32 memory_failure_early_kill = 0;
  static inline i32 memory_failure_recovery = 1;
  static inline i32 min_free_kbytes = 4096;
  static inline i32 mmap_min_addr = 65536;  // kUserRange's begin
  static inline i32 oom_dump_tasks = 1;
  static inline i32 oom_kill_allocating_task = 0;
  static inline i32 page_cluster = 3;
  static inline i32 panic_on_oom = 0;
  static inline i32 swappiness = 60;
  static inline i32 unprivileged_userfaultfd = 0;
  static inline i32 user_reserve_kbytes = 8192;
  static inline i32 vfs_cache_pressure = 100;
  static inline i32 watermark_boost_factor = 15000;
  static inline i32 watermark_scale_factor = 10;
};

}  // namespace nopte::guest
