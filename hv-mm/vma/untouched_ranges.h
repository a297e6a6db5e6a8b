// The ranges of one space of which the hypervisor knows that nothing was installed in them since they were
// mapped, and their words (pvops/abi/region_queue.h). This list decides; a word only says so to the guest,
// and only its `dying` is believed: nothing is installed there any more. So a guest that writes what it likes
// loses its own unmaps and accesses, and what is not in the list is never taken for untouched.
//
// Faults ask often and are mostly answered at once, by a bit for their 2 MiB, modulo 64.
//
// Concurrency: that of VmaMemory; the guest may write the words at any moment.
#pragma once

#include <bit>

#include "pvops/abi/region_queue.h"

namespace nopte::hv {

class UntouchedRanges {
 public:
  using Words = std::array<u64, abi::kQueueWords>;
  static constexpr u64 kBlockBytes = u64{2} << 20;
  static constexpr VaRange block_of(Gva va) {
    const Gva begin(va.value() & ~(kBlockBytes - 1));
    return {begin, begin + kBlockBytes};
  }

  // They live in `words` from now on, which are 0; null: nobody is told.
  void tell_in(Words* words) {
    for (Set left{live_}; !left.empty(); left.drop()) remove(left.first());
    words_ = words;
  }
  // False: none is in the block of va.
  [[nodiscard]] bool may_be_near(Gva va) const { return (near_ >> block(va) % 64 & 1) != 0; }
  [[nodiscard]] bool any() const { return near_ != 0; }
  [[nodiscard]] bool contains(Gva va) const { return !overlapping({va, va + 1}).empty(); }

  // What was just mapped. It takes the place of what shares its word, unless that is dying.
  void add(VaRange range) {
    if (words_ == nullptr || range.pages() > abi::kMostWordPages) return;
    const u32 n = abi::word_index(range.begin);
    const u64 before = live(n) ? word_of(n) : 0;
    if (!abi::shared_change((*words_)[n], before, abi::untouched_word(range))) return;
    stale_ = stale_ || before != 0;
    ranges_[n] = range;
    live_ |= 1u << n;
    near_ |= blocks(range);
  }
  // Something is about to be installed in the range, or in what part() says that it is of the range, where it
  // matters. False: some of it is dying, and stays as it is.
  template <class Part>
  [[nodiscard]] bool touch(VaRange range, const Part& part) {
    Set found = overlapping(range);
    if (found.empty()) {
      if (stale_) look_again();
      return true;
    }
    range = part();
    bool alive = true;
    for (; !found.empty(); found.drop()) {
      const u32 n = found.first();
      if (!ranges_[n].overlaps(range)) continue;
      if (!abi::shared_change((*words_)[n], word_of(n), 0) &&
          abi::shared_load((*words_)[n]) == abi::dying_word(word_of(n))) {
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
  void forget_living(VaRange range) {
    static_cast<void>(touch(range, [&] { return range; }));
  }
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
  static constexpr u64 block(Gva va) { return va.value() / kBlockBytes; }
  // The bits of near_ for a range.
  static constexpr u64 blocks(VaRange range) {
    const u64 more = block(range.end - 1) - block(range.begin);
    return more >= 63 ? ~u64{0} : std::rotl((u64{2} << more) - 1, static_cast<int>(block(range.begin) % 64));
  }
  [[nodiscard]] bool live(u32 n) const { return (live_ >> n & 1) != 0; }
  [[nodiscard]] u64 word_of(u32 n) const { return abi::untouched_word(ranges_[n]); }
  [[nodiscard]] Set overlapping(VaRange range) const {
    Set found{0};
    for (Set left{live_}; !left.empty(); left.drop()) {
      if (ranges_[left.first()].overlaps(range)) found.bits |= left.bits & -left.bits;
    }
    return found;
  }
  void remove(u32 n) {
    live_ &= ~(1u << n);
    stale_ = true;
    if (live_ == 0) near_ = 0;
    abi::shared_store((*words_)[n], u64{0});
  }
  void look_again() {
    near_ = 0;
    for (Set left{live_}; !left.empty(); left.drop()) near_ |= blocks(ranges_[left.first()]);
    stale_ = false;
  }

  Words* words_ = nullptr;
  u64 near_ = 0;  // bit n: one is in a block of this number, or was if `stale_`
  u32 live_ = 0;  // bit n: ranges_[n] is one, and words_[n] its word
  bool stale_ = false;
  std::array<VaRange, abi::kQueueWords> ranges_;
};

}  // namespace nopte::hv
