// The walk: from a root to one address, a table at a time. Here is how an address is split and how the levels
// follow each other; what an entry on the way says, and whether its table may be looked at, is the caller's.
#pragma once

#include <concepts>

#include "native-fallback/format/format.h"

namespace nopte::pt {

// From the root down to the table of level `last`, which `table` is then. step(table, level, index) looks at
// entry `index` of a table and goes on to the table of the level below that it leads to, or answers false:
// the walk ends there, and so does descend(). With `last` 0 the step ends it, at level 1 at the latest. A
// Table is a frame, or what stands for one where the tables lie.
template <PageTableFormat Format, class Table, class Step>
  requires std::predicate<const Step&, Table&, unsigned, unsigned>
[[gnu::always_inline]] inline bool descend(Table& table, Gva va, unsigned last, const Step& step) {
  // Unrolled, so that what depends on the level is constant.
#pragma GCC unroll 5
  for (unsigned level = Format::kLevels; level > last; --level) {
    if (!step(table, level, Format::table_index(va, level))) return false;
  }
  return true;
}

}  // namespace nopte::pt
