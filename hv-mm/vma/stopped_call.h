// The range call that stopped last, for when it is issued again. A stub goes on from where the answer says;
// one that knows nothing of that issues the whole call again, and is taken to the same place as long as
// nothing has happened that the call would have to see.
#pragma once

#include "pvops/abi/hypercalls.h"

namespace nopte::hv {

// A call on a range, as it was issued.
struct RangeCall {
  abi::Call call;
  SpaceId space;
  VaRange range;
  u64 argument;  // rights, or advice
};

class StoppedCall {
 public:
  // What is promised, and for advice what was taken out: other numbers after every change.
  struct Moment {
    u64 promised;
    u64 taken;
    friend constexpr bool operator==(Moment, Moment) = default;
  };
  // Where an issue begins, whether it goes on with what has begun, and where that was.
  struct Start {
    Gva begin;
    bool goes_on;
    Gva began;
  };

  void remember(const RangeCall& issue, Gva began, Gva next, Moment now) {
    last_ = issue;
    began_ = began;
    next_ = next;
    then_ = now;
    any_ = true;
  }
  // A space of this id begins: whatever stopped was another's.
  void forget(SpaceId space) { any_ = any_ && last_.space != space; }
  [[nodiscard]] Start start(const RangeCall& issue, Moment now) const {
    const bool same = any_ && issue.call == last_.call && issue.space == last_.space &&
                      issue.argument == last_.argument && issue.range.end == last_.range.end;
    // What lies before it is as it was left, or is not the call's any more.
    if (same && issue.range.begin == next_) return {next_, true, now == then_ ? began_ : next_};
    if (same && issue.range.begin == last_.range.begin && now == then_) return {next_, true, began_};
    return {issue.range.begin, false, issue.range.begin};
  }

 private:
  RangeCall last_{};
  Gva began_;
  Gva next_;
  Moment then_{};
  bool any_ = false;
};

}  // namespace nopte::hv
