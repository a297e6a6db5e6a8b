// Holds a call to what the contract allows between two looks at whether it should stop (pvops/base/work.h).
#pragma once

#include <algorithm>

#include "pvops/base/work.h"

namespace nopte::test {

class WorkMeter {
 public:
  // A call begins, or looks whether it should stop, or ends.
  void look() {
    for (unsigned unit = 0; unit < work::kUnits; ++unit) {
      most_ = std::max(most_, work::g_done[unit] - then_[unit]);
    }
    then_ = work::g_done;
  }
  void begin() {
    then_ = work::g_done;
    most_ = 0;
  }
  // Units of one kind, between two looks since begin().
  [[nodiscard]] u64 most() const { return most_; }

 private:
  std::array<u64, work::kUnits> then_{};
  u64 most_ = 0;
};

}  // namespace nopte::test
