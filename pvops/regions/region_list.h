// The regions that show one object: how pages that leave the object are found in every space. An owner
// derives its object from this and passes it along with each region that shows it.
#pragma once

#include <boost/intrusive/list.hpp>

#include "pvops/regions/region_node.h"

namespace nopte {

class RegionList : public ObjectMappings {
 public:
  RegionList() = default;
  RegionList(const RegionList&) = delete;
  RegionList& operator=(const RegionList&) = delete;

  void for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const override;
  bool visit(From from, u64 first_page, u64 pages,
             FunctionRef<Stopped(SpaceId, VaRange)> step) const override;
  [[nodiscard]] bool empty() const { return regions_.empty(); }
  // Whether `which` says so of any of them.
  [[nodiscard]] bool any(FunctionRef<bool(const RegionNode&)> which) const;
  // Any of them; null: there is none.
  [[nodiscard]] const RegionNode* first() const { return empty() ? nullptr : &regions_.front(); }

  // Called by RegionTree::commit, after the tree is whole again, when the last region left the list. The
  // list may delete itself here.
  virtual void emptied() {}

 protected:
  ~RegionList() = default;

 private:
  friend class RegionTree;
  using Regions =
      intrusive::list<RegionNode,
                      intrusive::member_hook<RegionNode, RegionNode::ListHook, &RegionNode::list_hook>,
                      intrusive::constant_time_size<false>>;
  // The part of a region that shows these pages.
  static VaRange shown(const RegionNode& node, u64 first_page, u64 pages);
  // Takes a region out. False: there is none left.
  bool remove(RegionNode& node) {
    if (next_ == &node) [[unlikely]]
      step_over(node);
    regions_.erase(regions_.iterator_to(node));
    return !regions_.empty();
  }
  [[nodiscard]] const RegionNode* after(const RegionNode& node) const;
  [[gnu::noinline, gnu::cold]] void step_over(const RegionNode& node);
  // A region that a visit has seen took over what another showed, or one changed its place in the list: a
  // visit that stopped begins again.
  void disturb() { disturbed_ = true; }

  Regions regions_;  // new ones at the end, where a visit comes last
  mutable const RegionNode* next_ =
      nullptr;                 // where a visit goes on; null: there is none, or it has seen all
  mutable u64 next_page_ = 0;  // and from which of the object's pages on
  mutable bool disturbed_ = false;
};

}  // namespace nopte
