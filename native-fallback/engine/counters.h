// What the engine counts. Plain sums since start; a reader subtracts two snapshots.
#pragma once

#include "pvops/base/types.h"

namespace nopte::pt {

struct EngineCounters {
  u64 faults = 0;           // calls of fault()
  u64 violations = 0;       // of those, refused
  u64 entries_written = 0;  // leaf entries installed, changed or removed one by one
  u64 tables_allocated = 0;
  u64 tables_freed = 0;
  u64 frames_zeroed = 0;  // data frames; a table's zeroing is counted by tables_allocated
  u64 frames_copied = 0;
  u64 page_flushes = 0;  // single-page TLB flushes
  u64 full_flushes = 0;  // whole-space or global TLB flushes
  u64 spaces_created = 0;
  u64 objects_created = 0;
};

// visit("name", value) for every counter, in the order above: one list for every writer of counters.
template <class Visit>
constexpr void for_each_counter(const EngineCounters& c, Visit visit) {
  visit("faults", c.faults);
  visit("violations", c.violations);
  visit("entries_written", c.entries_written);
  visit("tables_allocated", c.tables_allocated);
  visit("tables_freed", c.tables_freed);
  visit("frames_zeroed", c.frames_zeroed);
  visit("frames_copied", c.frames_copied);
  visit("page_flushes", c.page_flushes);
  visit("full_flushes", c.full_flushes);
  visit("spaces_created", c.spaces_created);
  visit("objects_created", c.objects_created);
}

}  // namespace nopte::pt
