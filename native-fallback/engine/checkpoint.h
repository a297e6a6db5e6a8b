// Where a long operation asks whether it should stop (an interrupt is pending): at most 512 pages or tables
// apart. When it stops it answers kAgain after an exact prefix, and `next` is the first address that is not
// done: the caller issues the operation again for [next, end of the range), so that progress is kept.
//
// An operation that takes something away may be one of several that deal with a range part by part. Then all
// of a table inside the whole may go, or lose its rights, with the first part: behind that less is installed
// than promised, as far as the whole reaches.
#pragma once

#include "pvops/base/addr.h"
#include "pvops/base/function_ref.h"

namespace nopte::pt {

class Checkpoint {
 public:
  // `stop` answers true when the operation should return. It must not call the engine.
  // `whole`: what operations on its parts deal with; else each range is a whole.
  constexpr explicit Checkpoint(FunctionRef<bool()> stop, VaRange whole = {}) : stop_(stop), whole_(whole) {}

  // After kAgain of an operation on a range.
  [[nodiscard]] Gva next() const { return next_; }
  [[nodiscard]] bool stopped() const { return stopped_; }
  // What this range is a part of.
  [[nodiscard]] VaRange whole_of(VaRange part) const { return whole_.empty() ? part : whole_; }

  // For the engine: `done_to` is where the prefix ends.
  [[nodiscard]] bool should_stop(Gva done_to) {
    next_ = done_to;
    stopped_ = stop_();
    return stopped_;
  }

 private:
  FunctionRef<bool()> stop_;
  VaRange whole_;
  Gva next_;
  bool stopped_ = false;
};

}  // namespace nopte::pt
