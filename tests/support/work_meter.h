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
      most_[unit] = std::max(most_[unit], work::g_done[unit] - then_[unit]);
    }
    then_ = work::g_done;
  }
  void begin() {
    then_ = work::g_done;
    most_ = {};
  }
  // Units of one kind, between two looks since begin(); but for whole tables.
  [[nodiscard]] u64 most() const {
    return std::max({most_of(work::Unit::kPage), most_of(work::Unit::kNode), most_of(work::Unit::kRegion)});
  }
  [[nodiscard]] u64 most_of(work::Unit unit) const { return most_[static_cast<unsigned>(unit)]; }
  // The contract holds.
  [[nodiscard]] bool kept() const {
    return most() <= work::kMostAtOnce && most_of(work::Unit::kTable) <= work::kMostTablesAtOnce;
  }

 private:
  std::array<u64, work::kUnits> then_{};
  std::array<u64, work::kUnits> most_{};
};

}  // namespace nopte::test
