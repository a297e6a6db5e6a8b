// The tables that an operation of the shadow MMU is promised (ShadowTables::Operation). Hosted builds count
// what it takes and assert, so that tests and fuzzers hold every operation to it; in the image counting is
// nothing, and an operation that takes more lives on what is free beside its promise.
#pragma once

#include "pvops/base/panic.h"
#include "pvops/base/types.h"

namespace nopte::hv {

class OperationBudget {
 public:
#ifdef NOPTE_FREESTANDING
  void begin(u32) {}
  void debit() {}
  void end() {}
#else
  void begin(u32 tables) {
    NOPTE_ASSERT(!running_);  // operations do not nest
    running_ = true;
    left_ = tables;
  }
  void debit() {
    NOPTE_ASSERT(left_ != 0);
    --left_;
  }
  void end() {
    running_ = false;
    left_ = 0;
  }

 private:
  u32 left_ = 0;
  bool running_ = false;
#endif
};

}  // namespace nopte::hv
