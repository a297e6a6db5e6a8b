// The promised regions of one space: an ordered set of disjoint ranges. The guest keeps its VMAs in one, the
// hypervisor the regions that a guest declared (mode vma).
//
// Changing goes in two steps, so that the owner can prepare, ask the paging backend, and commit:
//
//     auto plan = tree.prepare_unmap(range);       checks everything, allocates the nodes that splits need
//     if (!plan) return plan.error();              nothing has changed
//     NOPTE_TRY(mm_ops().region_unmap(...));       nothing has changed; the plan gives its nodes back
//     tree.commit(*plan);                          cannot fail
//
// Between prepare and commit the tree must not change (asking is fine). Neighbours whose contents continue
// and whose tags are equal are merged at once, so the list is canonical: equal promises, equal lists.
//
//   before   [----- A rw -----][-- B r --]        protect(x..y, r)
//                     x        y
//   after    [-- A rw][---------- A' r ---]       (merged when A is anonymous and so is B)
//
// Concurrency: the owner's; what is const may run side by side, each with a hint of its own. Bounded work:
// O(log n + regions in the range). Nothing that a caller passes as a range, perm, tag or object page trips an
// assertion.
#pragma once

#include <boost/intrusive/set.hpp>

#include "pvops/base/result.h"
#include "pvops/regions/gap_index.h"
#include "pvops/regions/region_list.h"
#include "pvops/regions/region_node.h"
#include "pvops/regions/region_plan.h"
#include "pvops/regions/searched_gaps.h"

namespace nopte {

class RegionTree : public RegionSource {
 public:
  // Regions lie in `bounds`. `gaps` may be null: then find_gap answers kUnsupported. All arguments outlive
  // the tree.
  RegionTree(VaRange bounds, RegionNodeSource& nodes, GapIndex* gaps)
      : bounds_(bounds), nodes_(&nodes), gaps_(gaps) {}
  RegionTree(const RegionTree&) = delete;
  RegionTree& operator=(const RegionTree&) = delete;
  ~RegionTree() { clear(); }

  // The name under which RegionList::for_each reports this tree's regions.
  void set_space(SpaceId space) { space_ = space; }
  [[nodiscard]] SpaceId space() const { return space_; }

  // --- asking ------------------------------------------------------------------------------------------
  using RegionSource::find;
  [[nodiscard]] std::optional<RegionSpec> find(Gva va, RegionHint& hint) const override;
  [[nodiscard]] std::optional<RegionSpec> find_next(Gva va) const override;
  // The region that contains va, or null.
  [[nodiscard]] const RegionNode* find_node(Gva va) const;
  // The first region that ends after va (contains it or lies above it), or null.
  [[nodiscard]] const RegionNode* at_or_after(Gva va) const;
  // The region above or below, or null.
  [[nodiscard]] const RegionNode* next(const RegionNode& node) const { return node.above; }
  [[nodiscard]] const RegionNode* previous(const RegionNode& node) const { return node.below; }
  [[nodiscard]] const RegionNode* first() const { return first_; }
  [[nodiscard]] const RegionNode* last() const { return last_; }

  // True when every page of the range is promised.
  [[nodiscard]] bool covered(VaRange range) const;
  // True when no page of the range is promised.
  [[nodiscard]] bool free(VaRange range) const;
  [[nodiscard]] u64 regions() const { return regions_; }
  [[nodiscard]] u64 pages() const { return pages_; }
  // Another number after every change.
  [[nodiscard]] u64 version() const { return version_; }

  // --- changing ----------------------------------------------------------------------------------------
  // The highest free range of `pages` pages inside `within`, its begin a multiple of align_bytes (a power of
  // two, at least a page). Changes what is remembered for the next search. Errors: kNoMemory, kUnsupported.
  [[nodiscard]] Result<Gva> find_gap(VaRange within, u64 pages, u64 align_bytes = kPageBytes);
  // Adds a region. `list` is the list of spec.object, null for anonymous memory.
  // Errors: kInvalid (range malformed or out of bounds, object pages wrap), kOverlap, kNoMemory.
  Result<RegionPlan> prepare_insert(const RegionSpec& spec, u32 tag, RegionList* list);
  // The same, taking out what is in the way. Errors: kInvalid, kNoMemory.
  Result<RegionPlan> prepare_replace(const RegionSpec& spec, u32 tag, RegionList* list);
  // Takes out every promise in the range; holes are allowed. Errors: kInvalid, kNoMemory.
  Result<RegionPlan> prepare_unmap(VaRange range);
  // Gives all of the range the rights `perm`; where it has more regions than `most`, what the first so many
  // cover of it. Errors: kInvalid, kNoRegion (a hole), kNoMemory.
  Result<RegionPlan> prepare_protect(VaRange range, Perm perm, u64 most = ~u64{0});
  // Changes how all of the range is used; holes are skipped. Where it has more regions than `most`, up to the
  // end of the last of so many. Errors: kInvalid, kNoMemory.
  Result<RegionPlan> prepare_use(VaRange range, UsageChange change, u64 most = ~u64{0});
  // Puts `bits` in the place of the tags' bits in `mask`, in all of the range; holes are skipped. Errors:
  // kInvalid, kNoMemory.
  Result<RegionPlan> prepare_mark(VaRange range, u32 mask, u32 bits);
  // Moves what is promised in `from` to `to`. Errors: kInvalid, kNoRegion (`from` is not in one region),
  // kOverlap (the target is not free, or overlaps `from`), kNoMemory.
  Result<RegionPlan> prepare_move(VaRange from, Gva to);

  // Cuts what an unmap or a replacement takes out behind `most` regions; of a replacement that is cut only
  // the unmap is left.
  void limit(RegionPlan& plan, u64 most) const;

  // Performs a plan of this tree. Cannot fail. Precondition: the tree has not changed since the plan was
  // made.
  void commit(RegionPlan& plan);
  void commit(RegionPlan&& plan) { commit(plan); }

  // prepare_insert and commit at once, for an owner who has nobody to ask between. Errors: as
  // prepare_insert; kLimit (the tree would have more than most_regions).
  Result<void> insert(const RegionSpec& spec, u32 tag, RegionList* list, u64 most_regions);

  // Fills this empty tree with a copy of `other`'s regions; what other's owner sees of it stays as it is.
  // Errors: kNoMemory; the tree is then empty. Precondition: both have the same bounds, and gaps or none.
  Result<void> copy_from(RegionTree& other);
  // Takes out everything.
  void clear();
  // The same in steps: nothing is promised any more, and at most `most` regions give their memory back. True:
  // all have.
  bool clear_some(u64 most);

  // Test builds: checks order, disjointness, merging, counts, lists and gaps. False when something is wrong.
  [[nodiscard]] bool consistent() const;

 private:
  struct BeginOf {
    using type = Gva;
    const Gva& operator()(const RegionNode& node) const { return node.spec.range.begin; }
  };
  using Tree =
      intrusive::set<RegionNode,
                     intrusive::member_hook<RegionNode, RegionNode::TreeHook, &RegionNode::tree_hook>,
                     intrusive::key_of_value<BeginOf>, intrusive::constant_time_size<false>>;
  using Kind = RegionPlan::Kind;

  [[nodiscard]] bool in_bounds(VaRange range) const;
  [[nodiscard]] bool well_formed(const RegionSpec& spec, const RegionList* list) const;
  // at_or_after without const.
  RegionNode* after(Gva va) const {
    if (recent_ != nullptr && recent_->spec.range.contains(va)) return recent_;
    return search_after(va);
  }
  RegionNode* search_after(Gva va) const;
  const RegionNode* search_at(Gva va) const;
  // The region below `above`; below nothing is the highest.
  [[nodiscard]] RegionNode* below_of(const RegionNode* above) const {
    return above == nullptr ? last_ : above->below;
  }

  // A fresh plan, when fill(plan) answers kOk.
  template <class Fill>
  Result<RegionPlan> prepared(Kind kind, const RegionSpec& spec, Fill fill);
  Status plan_unmap(RegionPlan& plan);
  enum class Holes : u8 { kRefused, kSkipped };
  template <Holes kHoles, class Changes>
  Status plan_change(RegionPlan& plan, u64 most, Changes changes);

  // Below `above`, or as the highest.
  void link(RegionNode& node, RegionNode* above);
  RegionNode& make_node(void* memory, const RegionSpec& spec, u32 tag, RegionList* list, RegionNode* above);
  void unlink(RegionNode& node);
  // Splits off [at, end) of node into a new one.
  RegionNode& split(RegionNode& node, Gva at, void* memory);
  // Merges node into the region below it when they continue; the survivor.
  RegionNode& merge_down(RegionNode& node);
  [[nodiscard]] Gva gap_begin(const RegionNode& node) const;
  // The gap below node (null: above all regions) may have grown: searches know nothing of it.
  void forget_search(RegionNode* node);
  // The gap below node (null: nothing is indexed) begins at `low`. `from` had it, if it comes from a
  // neighbour.
  void set_gap(RegionNode* node, Gva low, RegionNode* from = nullptr);
  // The same, looking for the begin, and searches forget it.
  void refresh_gap(RegionNode* node);
  // Whether such a region continues the one below `above`; whether `above` continues it.
  [[nodiscard]] bool joins_below(const RegionSpec& spec, u32 tag, const RegionList* list,
                                 const RegionNode* above) const;
  [[nodiscard]] static bool joins_above(const RegionSpec& spec, u32 tag, const RegionList* list,
                                        const RegionNode* above);

  void insert_spec(const RegionSpec& spec, u32 tag, RegionList* list, RegionNode* above, bool joins_below,
                   bool joins_above, void* memory);
  void insert_planned(RegionPlan& plan, RegionNode* above);
  RegionNode* unmap_range(RegionPlan& plan);
  void replace_range(RegionPlan& plan);
  void protect_range(RegionPlan& plan);
  void use_range(RegionPlan& plan);
  void mark_range(RegionPlan& plan);
  template <class Changes, class Change>
  void change_range(RegionPlan& plan, Changes changes, Change change);
  void move_range(RegionPlan& plan);
  void doom();
  void free_doomed(BlockChain& to);
  void bury(RegionNode& node);
  void bury_merged(RegionNode& node);
  void let_go(RegionNode& node);
  void release_dead();

  Tree tree_;  // finds; the order is also kept by RegionNode::below and above
  RegionNode* first_ = nullptr;
  RegionNode* last_ = nullptr;
  VaRange bounds_;
  RegionNodeSource* nodes_;
  GapIndex* gaps_;
  SpaceId space_ = SpaceId::kKernel;
  SearchedGaps searched_;
  RegionNode* recent_ = nullptr;  // the region added or moved last, which is asked for next
  RegionNode* dead_ = nullptr;    // emptied their lists during this commit, chained by RegionNode::beside
  RegionNode* doomed_ = nullptr;  // in no tree any more, chained by RegionNode::above
  u64 regions_ = 0;
  u64 pages_ = 0;
  u64 version_ = 0;
};

}  // namespace nopte
