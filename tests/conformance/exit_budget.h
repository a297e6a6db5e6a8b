// The most exits that a case may cost in a mode, added up while it runs from what it asks for.
#pragma once

#include "pvops/base/types.h"

namespace nopte::conformance {

// What one thing costs at most in a mode; the reasons stand in modes.cc. All 0: memory never exits.
struct ExitCosts {
  u64 call = 0;      // an MmOps call
  u64 touch = 0;     // an access that may find nothing installed, or is refused
  u64 warm = 0;      // an access to what was used before, and the first to committed kernel memory
  u64 batch = 0;     // leaf entries that one exit tells of; 0: entries cost nothing
  u64 most = 0;      // more exits than that for the entries of one call are saved by a flush; 0: no limit
  u64 shortage = 0;  // that memory runs out
};

class ExitBudget {
 public:
  constexpr void begin(const ExitCosts& costs) { costs_ = costs, allowed_ = 0; }
  constexpr void touch() { allowed_ += costs_.touch; }
  constexpr void warm() { allowed_ += costs_.warm; }
  constexpr void shortage() { allowed_ += costs_.shortage; }
  // A call, and how many leaf entries it may find.
  constexpr void call(u64 entries) {
    allowed_ += costs_.call;
    if (costs_.batch == 0) return;
    const u64 exits = entries / costs_.batch + (entries % costs_.batch != 0);
    allowed_ += costs_.most != 0 && exits > costs_.most ? costs_.most : exits;
  }
  [[nodiscard]] constexpr u64 allowed() const { return allowed_; }

 private:
  ExitCosts costs_;
  u64 allowed_ = 0;
};

}  // namespace nopte::conformance
