// The ahead policy: how many pages a fault installs behind the one that was asked for.
//
// Behind a run of pages that were touched one after the other it doubles, from the third on, to kMost:
//
//   page     0   1   2 3   4 5 6 7   8 ... 15   16 ...
//   fault at ^   ^   ^     ^         ^          ^
//
// The run is looked for in the leaf table, where A says what was touched: no region has a state of its own,
// and a page whose neighbour nobody touched costs one look.
//
// A region whose program says that it is used at random has nothing ahead; one that is used in sequence has
// steps of kMost from its first touch on, in each leaf table, and private mappings no fewer. What that wastes
// is the program's wish: it is counted, but no account pays.
//
// What is installed ahead and never touched is wasted memory. Each space has an account that pays for each
// page, and gets the price back, with a little more, when a fault right behind the step, or the end of its
// pages, shows that it was used. So a program whose runs break off soon wastes kFirst pages, and then one for
// each kUsesPerPage that it used; one that goes through its memory is soon given steps of kMost, and then,
// where such a step ends at the end of a leaf table, a large page for all that the next would map. That is
// paid for as a step is: with what 64 MiB of use have earned. Nobody can tell how much of it was touched
// (there is one A), so that what a fault behind it does not show to be used, is not paid back.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "native-fallback/frames/frame_table.h"
#include "pvops/base/addr.h"

namespace nopte::pt {

// Pages of memory that one space may hold without having touched them.
class AheadAccount {
 public:
  static constexpr unsigned kFirst = 4;
  static constexpr unsigned kMost = 1024;      // two large pages
  static constexpr unsigned kInherited = 128;  // at most
  static constexpr unsigned kUsesPerPage = 32;

  [[nodiscard]] unsigned pages() const { return left_ / kUsesPerPage; }
  // For a step that ends at `end`. Precondition: pages <= pages().
  void pay(Gva end, unsigned pages) {
    left_ = static_cast<u16>(left_ - pages * kUsesPerPage);
    if (steps_[next_].pages != 0) (void)close(steps_[next_]);
    ++open_;
    if (at_edge(end.page())) ++at_edges_;
    steps_[next_] = {end.page(), pages};
    next_ = static_cast<u8>((next_ + 1) % kSteps);
  }
  // A fault behind `run` touched pages, or at the page behind a step (1).
  void fault_at(Gva va, unsigned run) {
    unsigned used = 0;
    for (Step& step : steps_) {
      if (step.pages != 0 && va.page() - step.end_page < run) used += close(step);
    }
    earn(used, 1);
  }
  // Pages that were paid for a step that ended right before va; 0: there was none.
  [[nodiscard]] unsigned step_before(Gva va) const {
    for (const Step& step : steps_) {
      if (step.pages != 0 && step.end_page == va.page()) return static_cast<unsigned>(step.pages);
    }
    return 0;
  }
  // Something is paid for of which it is not known whether it is used.
  [[nodiscard]] bool paid() const { return open_ != 0; }
  // A step that was paid for may end where a leaf table does.
  [[nodiscard]] bool paid_to_edge() const { return at_edges_ != 0; }
  // All that lay in the range is gone, of which `unused` pages were never touched.
  void gone(VaRange range, unsigned unused) {
    for (Step& step : steps_) {
      if (step.pages == 0 || !range.contains(Gva(pages_to_bytes(step.end_page - 1)))) continue;
      const unsigned paid = close(step);
      if (paid > unused) earn(paid - unused, 0);
      unused -= std::min(unused, paid);
    }
  }
  // A clone's, which has paid for nothing yet.
  [[nodiscard]] AheadAccount inherited() const {
    AheadAccount same;
    same.left_ = static_cast<u16>(std::min<unsigned>(left_, kInherited * kUsesPerPage));
    return same;
  }

 private:
  // As many runs may go on at once.
  static constexpr unsigned kSteps = 4;
  // Leaf tables have as many entries, or a multiple.
  static constexpr u64 kEdge = 512;
  struct Step {
    u64 end_page : 54 = 0;
    u64 pages : 10 = 0;  // 0: there is none
  };
  static constexpr bool at_edge(u64 page) { return page % kEdge == 0; }
  unsigned close(Step& step) {
    --open_;
    if (at_edge(step.end_page)) --at_edges_;
    return static_cast<unsigned>(std::exchange(step, Step()).pages);
  }
  void earn(unsigned used, unsigned touched) {
    left_ = static_cast<u16>(std::min(left_ + (used * (kUsesPerPage + 1)) + touched, kMost * kUsesPerPage));
  }

  std::array<Step, kSteps> steps_{};
  u16 left_ = kFirst * kUsesPerPage;  // in parts of a page
  u8 next_ = 0;
  u8 open_ = 0;
  u8 at_edges_ = 0;  // of the open ones
};

// Pages of memory that is shared are copied for one who writes to them, and around such a page those that are
// likely to be next.
//
// A space that was cloned and goes on (a shell) mostly writes again what it wrote after its last clone: D
// says what that was. A page that is copied ahead loses its D; when it is without it at the next clone, it
// was for nothing, and is not copied again. This account keeps a program that does not write the same again
// from copying all that it has: what was used pays for itself and one more.
class CopyAccount {
 public:
  static constexpr unsigned kLeast = 4;  // after each clone
  static constexpr unsigned kMost = 128;

  [[nodiscard]] unsigned pages() const { return left_; }
  // The space was cloned since it was made.
  [[nodiscard]] bool open() const { return open_; }
  void cloned() {
    open_ = true;
    left_ = std::max<u16>(left_, kLeast);
  }
  // Precondition: pages() != 0.
  void pay() { --left_; }
  // A page that was copied ahead before the last clone was written then.
  void was_used() { left_ = static_cast<u16>(std::min<unsigned>(left_ + 2u, kMost)); }

 private:
  u16 left_ = 0;
  bool open_ = false;
};

// What is known of a page that a clone has from its original, or a mapping from an object: others like it
// came and wrote to it before. Nobody asks what becomes of a copy there, as it goes with who made it; so
// after two copies ahead the next is made by a fault again.
class CopyHistory {
 public:
  explicit CopyHistory(FrameMeta& of) : counter_(of.live) {}
  [[nodiscard]] bool likely() const { return counter_ >= kLikely; }
  void copied() { counter_ = std::min<u16>(counter_ + kFault, kMost); }
  void copied_ahead() { --counter_; }

 private:
  static constexpr u16 kFault = 2, kLikely = 4, kMost = 7;
  u16& counter_;
};

struct AheadPolicy {
  // Pages of one step, the one that was asked for included.
  static constexpr unsigned kMost = 64;
  // Private mappings of objects are mostly a program's segments, which it goes through in no order: so many
  // pages, aligned, come together with one of them that is read, as far as the object has them: an entry
  // each, and no memory. Not where nobody knows what was touched: each clone would be given them all. There a
  // run must be so many times as long as elsewhere.
  static constexpr unsigned kAround = 64;
  static constexpr unsigned kPrivateRuns = 4;
  // Pages, aligned, that a write to a shared page may bring.
  static constexpr unsigned kWriteAround = 16;
  // Of the memory that is free, a step takes at most one part in so many.
  static constexpr unsigned kFreeParts = 64;

  // Pages of the step at entry `index` of a table, a power of two. touched(i): the page of entry i was, i <
  // index.
  template <class Touched>
  static unsigned step_at(unsigned index, const Touched& touched) {
    unsigned run = 1;
    while (run < 2 * kMost && index >= run && touched(index - run)) run *= 2;
    return run < 4 ? 1 : run / 2;
  }
};

}  // namespace nopte::pt
