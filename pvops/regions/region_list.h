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
  [[nodiscard]] bool empty() const { return regions_.empty(); }

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
  Regions regions_;
};

}  // namespace nopte
