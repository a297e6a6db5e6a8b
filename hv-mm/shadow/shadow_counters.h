// What the shadow MMU counts. Plain sums since init().
#pragma once

#include "pvops/base/types.h"

namespace nopte::hv {

struct ShadowCounters {
  u64 entries_written = 0;       // stores into shadow tables
  u64 pages_allocated = 0;       // shadow pages taken from the pool
  u64 pages_zapped = 0;          // shadow pages given back
  u64 pages_recycled = 0;        // of these, because the pool was exhausted
  u64 faults_resolved = 0;       // the shadow was behind the guest's tables
  u64 faults_reflected = 0;      // the guest's own tables refuse
  u64 write_protect_faults = 0;  // stores to shadowed guest tables
  u64 tables_unsynced = 0;       // of these, answered by letting a leaf table go out of sync
  u64 emulated_writes = 0;       // of these, stores that were executed for the guest
  u64 tables_released = 0;       // of these, tables given up as shadowed
  u64 syncs = 0;                 // leaf tables synchronised
  u64 prefetched = 0;            // entries installed ahead of a fault
  u64 root_loads = 0;            // CR3 loads
  u64 root_misses = 0;           // of these, roots that had no shadow
  u64 invlpgs = 0;
  u64 large_splits = 0;    // 2 MiB mappings replaced by tables
  u64 splits_dropped = 0;  // of these, by nothing, for want of a table
};

}  // namespace nopte::hv
