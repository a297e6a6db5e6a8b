// Holds every call of a home to what may lie between two looks at whether it should stop.
#pragma once

#include "pvops/abi/hypercalls.h"
#include "tests/support/work_meter.h"

namespace nopte::conformance {

class CallBound {
 public:
  void begins() { meter_.begin(); }
  void look() { meter_.look(); }
  // A clone and a move run to their end: what bounds them stands in the ABI.
  void ends(abi::Call call) {
    meter_.look();
    const bool to_its_end = call == abi::Call::space_clone || call == abi::Call::region_move;
    exceeded_ = exceeded_ || (!to_its_end && !meter_.kept());
  }
  // Null, or what is wrong.
  [[nodiscard]] const char* broken() const {
    return exceeded_ ? "a call did too much between two looks at whether it should stop" : nullptr;
  }

 private:
  test::WorkMeter meter_;
  bool exceeded_ = false;
};

}  // namespace nopte::conformance
