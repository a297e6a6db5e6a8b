// What a fault installs besides the page that was asked for, over every kind of sink.
#pragma once

#include "native-fallback/engine/ahead.h"
#include "tests/model/scenario.h"

namespace nopte::model {

inline constexpr auto kFine = ViolationReason::kNone;

inline RegionSpec used(RegionSpec region, AccessPattern pattern) {
  region.usage = Usage(pattern);
  return region;
}

class Ahead : public Scenario {
 protected:
  u64 counted(u64 pt::EngineCounters::* counter) { return world.engine().counters().*counter; }
  u64 ahead() { return counted(&pt::EngineCounters::pages_ahead); }
  u64 unused() { return counted(&pt::EngineCounters::ahead_unused); }
  u64 wasted() { return counted(&pt::EngineCounters::ahead_wasted); }
  // Faults that the work of `access` to pages begin, begin + step, ... below end of the base takes.
  u64 faults_of(u64 begin, u64 end, u64 step, Access access) {
    const u64 before = counted(&pt::EngineCounters::faults);
    for (u64 i = begin; i < end; i += step) {
      EXPECT_TRUE(world.touch(page(kBase, i), access)) << i;
    }
    return counted(&pt::EngineCounters::faults) - before;
  }
  u64 installed(u64 begin, u64 end) {
    u64 found = 0;
    for (u64 i = begin; i < end; ++i) found += world.engine().peek(first, page(kBase, i)) ? 1 : 0;
    return found;
  }
  bool marks() { return world.kind().processor_marks(); }
};

}  // namespace nopte::model
