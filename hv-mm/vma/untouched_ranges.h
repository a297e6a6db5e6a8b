// The ranges of one space of which the hypervisor knows that nothing was installed in them since they were
// mapped, and their words (pvops/abi/region_queue.h). This list decides; a word only says so to the guest,
// and only its `dying` is believed: nothing is installed there any more. So a guest that writes what it likes
// loses its own unmaps and accesses, and what is not in the list is never taken for untouched.
//
// Concurrency: that of VmaMemory; the guest may write the words at any moment.
#pragma once

#include <bit>

#include "pvops/abi/region_queue.h"

namespace nopte::hv {

class UntouchedRanges {
 public:
  using Words = std::array<u64, abi::kQueueWords>;

  // They live in `words`; null: nobody is told.
  void tell_in(Words* words) {
    words_ = words;
    live_ = 0;
    if (words == nullptr) return;
    for (u64& word : *words) abi::shared_store(word, u64{0});
  }
  [[nodiscard]] bool any() const { return live_ != 0; }
  [[nodiscard]] bool contains(Gva va) const { return !overlapping({va, va + 1}).empty(); }

  // What was just mapped. It takes the place of what shares its word, unless that is dying.
  void add(VaRange range) {
    if (words_ == nullptr || range.pages() > abi::kMostWordPages) return;
    const u32 n = abi::word_index(range.begin);
    u64& word = (*words_)[n];
    if (live(n)) {
      if (!abi::shared_change(word, abi::untouched_word(ranges_[n]), abi::untouched_word(range))) return;
    } else {
      abi::shared_store(word, abi::untouched_word(range));
    }
    if (live_ == 0) within_ = range;
    if (range.begin < within_.begin) within_.begin = range.begin;
    if (within_.end < range.end) within_.end = range.end;
    ranges_[n] = range;
    live_ |= 1u << n;
  }
  // The range may lie in what was touched never.
  [[nodiscard]] bool may_overlap(VaRange range) const {
    return within_.overlaps(range) && !overlapping(range).empty();
  }
  // Something is about to be installed in the range. False: part of it is dying, and stays as it is.
  [[nodiscard]] bool touch(VaRange range) {
    bool alive = true;
    for (Set found = overlapping(range); !found.empty(); found.drop()) {
      const u32 n = found.first();
      const u64 untouched = abi::untouched_word(ranges_[n]);
      if (!abi::shared_change((*words_)[n], untouched, 0) &&
          abi::shared_load((*words_)[n]) == abi::dying_word(untouched)) {
        alive = false;
      } else {
        remove(n);
      }
    }
    return alive;
  }
  // A call is about the range: what is in it is unmapped by calls from now on.
  void forget(VaRange range) {
    for (Set found = overlapping(range); !found.empty(); found.drop()) remove(found.first());
  }
  // As forget, but for what is dying: the rest of that is queued behind.
  void forget_living(VaRange range) { static_cast<void>(touch(range)); }
  // The guest withdraws exactly this range. False: something may be installed in it.
  [[nodiscard]] bool take(VaRange range) {
    const u32 n = abi::word_index(range.begin);
    if (!live(n) || ranges_[n] != range) return false;
    remove(n);
    return true;
  }

 private:
  struct Set {
    u32 bits;
    [[nodiscard]] bool empty() const { return bits == 0; }
    [[nodiscard]] u32 first() const { return static_cast<u32>(std::countr_zero(bits)); }
    void drop() { bits &= bits - 1; }
  };
  [[nodiscard]] bool live(u32 n) const { return (live_ >> n & 1) != 0; }
  [[nodiscard]] Set overlapping(VaRange range) const {
    Set found{0};
    for (Set left{live_}; !left.empty(); left.drop()) {
      if (ranges_[left.first()].overlaps(range)) found.bits |= left.bits & -left.bits;
    }
    return found;
  }
  void remove(u32 n) {
    live_ &= ~(1u << n);
    abi::shared_store((*words_)[n], u64{0});
  }

  Words* words_ = nullptr;
  u32 live_ = 0;    // bit n: ranges_[n] is one, and words_[n] its word
  VaRange within_;  // that all of them lie in
  std::array<VaRange, abi::kQueueWords> ranges_;
};

}  // namespace nopte::hv
