// The ahead policy: how many pages a fault installs behind the one that was asked for.
//
// Behind a run of pages that were touched one after the other it doubles, to kMost:
//
//   page     0   1 2   3 4 5 6   7 ... 14   15 ...
//   fault at ^   ^     ^         ^          ^
//
// The run is looked for in the leaf table, where A says what was touched: no region and no stream has a state
// of its own, and a page whose neighbour nobody touched costs one look.
//
// What is installed ahead and never touched is wasted memory. Each space has an account that pays for each
// page, and gets the price back when a later fault, or the end of the page, shows that it was used, with a
// little more. So a program whose runs break off soon wastes kFirst pages, and then about one for each
// kUsesPerPage that it used; one that goes through its memory is soon given steps of kMost. What was used is
// guessed from where runs end, so the account is a brake, not a proof; no space ever owes more than kMost.
#pragma once

#include <algorithm>
#include <bit>

#include "pvops/base/types.h"

namespace nopte::pt {

// Pages of memory that one space may hold without having touched them.
class AheadAccount {
 public:
  static constexpr unsigned kFirst = 4;
  static constexpr unsigned kMost = 128;
  static constexpr unsigned kUsesPerPage = 32;

  [[nodiscard]] unsigned pages() const { return left_ / kUsesPerPage; }
  // Precondition: pages <= pages().
  void pay(unsigned pages) { left_ -= pages * kUsesPerPage; }
  // `paid` pages were used, and `touched` more that were not paid for.
  void earn(unsigned paid, unsigned touched) {
    left_ = std::min(left_ + (paid * (kUsesPerPage + 1)) + touched, kMost * kUsesPerPage);
  }
  [[nodiscard]] bool full() const { return left_ == kMost * kUsesPerPage; }

 private:
  unsigned left_ = kFirst * kUsesPerPage;  // in parts of a page
};

struct AheadPolicy {
  // Pages of one step, the one that was asked for included.
  static constexpr unsigned kMost = 64;
  // Private mappings of objects are mostly a program's segments, which it goes through in no order: a run
  // must be so many times as long.
  static constexpr unsigned kPrivateRuns = 4;
  // Of the memory that is free, a step takes at most one part in so many.
  static constexpr unsigned kFreeParts = 64;

  struct Step {
    unsigned pages;  // of this step: a power of two
    unsigned paid;   // what the step before took ahead, all of which is behind us
  };
  // At entry `index` of a table. touched(i): the page of entry i was, i < index.
  template <class Touched>
  static Step step_at(unsigned index, const Touched& touched) {
    unsigned pages = 1;
    while (pages < kMost && index >= pages && touched(index - pages)) pages *= 2;
    // Steps of kMost follow steps of kMost.
    const bool steady = pages == kMost && index >= kMost && touched(index - kMost);
    return {pages, steady ? kMost - 1 : pages == 1 ? 0 : pages / 2 - 1};
  }

  // What the last step of a run of so many pages took ahead.
  static unsigned last_step(unsigned run) {
    if (run == 0) return 0;
    if (run >= kMost) return (run - (kMost - 1)) % kMost == 0 ? kMost - 1 : (run - (kMost - 1)) % kMost - 1;
    return run - static_cast<unsigned>(std::bit_floor(run));
  }
};

}  // namespace nopte::pt
