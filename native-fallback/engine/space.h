// One address space as the engine keeps it: where its tables begin and who knows its promises.
#pragma once

#include "native-fallback/engine/ahead.h"
#include "native-fallback/frames/phys.h"
#include "pvops/region_spec.h"

namespace nopte::pt {

struct Space {
  Frame root;
  const RegionSource* regions = nullptr;
  AheadAccount ahead{};
  CopyAccount copies{};
  bool retired = false;  // being destroyed: the sink has retired the root
  // Was cloned, or is a clone: its tables may have other parents (unshare.h); or has had large pages. Then
  // an end of a range may lie amidst what must come apart first.
  bool shares = false;
  bool emptied = false;  // the tables are gone, and the root with them; the name is still taken
};

}  // namespace nopte::pt
