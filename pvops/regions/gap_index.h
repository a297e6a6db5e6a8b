// Finds free address space below a limit, from the top, as Linux places mappings. Each region owns the gap
// below it; gaps hang in one address-ordered set per power of two of their length in pages, so a search looks
// at the highest gap of each class that surely fits: O(classes * log n). Only gaps of the request's own class
// can be too small; of these a bounded number is tried before a bigger gap is taken.
//
// A separate object because the hypervisor's declared regions need no search.
#pragma once

#include <array>
#include <bit>
#include <boost/intrusive/set.hpp>

#include "pvops/regions/region_node.h"
#include "pvops/regions/tree_shape.h"

namespace nopte {

class GapIndex {
 public:
  GapIndex() = default;
  GapIndex(const GapIndex&) = delete;
  GapIndex& operator=(const GapIndex&) = delete;

  // The gap below `node` is now gap_pages long (0: none). The node's begin may have changed as long as its
  // order among the regions did not.
  void update(RegionNode& node, u64 gap_pages);
  void remove(RegionNode& node);
  // `to` takes over the place of its neighbour `from`, whose gap is about to change: a mapping that is placed
  // right below the last one, or taken away again, moves the big gap without a search.
  void hand_over(RegionNode& from, RegionNode& to, u64 gap_pages);

  // For a copy of a tree, whose index is `from` (TreeShape): the gap below `node`, of the same class as the
  // original's, which has one; and when all have theirs. Precondition: this index was empty.
  void link_copy(RegionNode& node, RegionNode& original, const GapIndex& from) {
    if (from.hot_ != &original) TreeShape<Class>::link(node, original);
  }
  void finish_copy(GapIndex& from);
  // Forgets all gaps; each region that had one is to be unlinked before it ends.
  void forget();
  static void unlink(RegionNode& node) { TreeShape<Class>::unlink(node); }

  // Test builds: asserts that each set is ordered and balanced.
  void check() const {
    for (const Class& set : classes_) set.check();
  }

  // The highest region that begins at or below `limit` and has a gap that satisfies fits(node); null when
  // there is none.
  template <class Fits>
  [[nodiscard]] const RegionNode* highest(Gva limit, u64 pages, Fits fits) const;

 private:
  static constexpr unsigned kClasses = 40;
  // How many gaps of one class are tried before a bigger class is preferred.
  static constexpr unsigned kTries = 32;
  static int class_of(u64 pages) {
    const int wanted = static_cast<int>(std::bit_width(pages)) - 1;
    return wanted < static_cast<int>(kClasses) ? wanted : static_cast<int>(kClasses) - 1;
  }
  struct BeginOf {
    using type = Gva;
    const Gva& operator()(const RegionNode& node) const { return node.spec.range.begin; }
  };
  using Class =
      intrusive::multiset<RegionNode,
                          intrusive::member_hook<RegionNode, RegionNode::TreeHook, &RegionNode::gap_hook>,
                          intrusive::key_of_value<BeginOf>, intrusive::constant_time_size<false>>;

  void take_out(RegionNode& node);
  void put_in(RegionNode& node);

  std::array<Class, kClasses> classes_;
  u64 non_empty_ = 0;  // bit per class
  // One gap, kept beside its class because it changes at every mapping placed there: the one that moved last.
  RegionNode* hot_ = nullptr;
};

template <class Fits>
const RegionNode* GapIndex::highest(Gva limit, u64 pages, Fits fits) const {
  if (pages == 0) return nullptr;
  const RegionNode* best = nullptr;
  if (hot_ != nullptr && hot_->spec.range.begin <= limit && fits(*hot_)) best = hot_;
  // Bounded tries per class first; the whole of every class only when nothing was found.
  for (unsigned tries : {kTries, ~0u}) {
    for (u64 left = non_empty_ & (~u64{0} << class_of(pages)); left != 0; left &= left - 1) {
      const Class& set = classes_[static_cast<unsigned>(std::countr_zero(left))];
      auto it = set.upper_bound(limit);
      for (unsigned tried = 0; it != set.begin() && tried < tries; ++tried) {
        --it;
        if (best != nullptr && it->spec.range.begin < best->spec.range.begin) break;
        if (fits(*it)) {
          best = &*it;
          break;
        }
      }
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

}  // namespace nopte
