// What one that asks RegionSources remembers of the last answer, since neighbouring places are asked for
// next. It is its owner's, one for each processor, so that asking changes nothing that others see. It says
// nothing that its source does not, as long as the source lives and is as it was: a fresh one changes no
// answer.
#pragma once

#include "pvops/base/types.h"

namespace nopte {

class RegionSource;
struct RegionNode;

struct RegionHint {
  const RegionSource* source = nullptr;
  u64 version = 0;                     // of the source, at that time
  const RegionNode* region = nullptr;  // contains what was asked for

  // The source goes: another may be where it was.
  void forget(const RegionSource* gone) {
    if (source == gone) *this = {};
  }
};

}  // namespace nopte
