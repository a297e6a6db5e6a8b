// One promised region as a node: what is promised, the owner's tag, and the hooks by which it hangs in its
// tree, in its object's list and in the gap index. The owner's allocator gives the memory.
#pragma once

#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/set_hook.hpp>

#include "pvops/base/block_chain.h"
#include "pvops/region_spec.h"

namespace nopte {

class RegionTree;
class RegionList;

namespace intrusive = boost::intrusive;

// Read it freely; only RegionTree changes it.
struct RegionNode {
  using TreeHook = intrusive::set_member_hook<intrusive::optimize_size<false>>;
  using ListHook = intrusive::list_member_hook<>;

  RegionSpec spec;
  u32 tag = 0;                        // the owner's; regions with different tags do not merge
  i32 gap_class = -1;                 // the gap index's; -1: not in it
  RegionList* object_list = nullptr;  // the list of the object that it shows; null for anonymous
  RegionTree* tree = nullptr;
  RegionNode* below = nullptr;  // the neighbours in the tree, by address; null at the ends
  RegionNode* above = nullptr;
  // The next that emptied its list in this commit; while its tree is copied, the copy.
  RegionNode* beside = nullptr;
  bool was_last = false;  // its leaving emptied object_list

  TreeHook tree_hook{};
  TreeHook gap_hook{};
  ListHook list_hook{};

  [[nodiscard]] const VaRange& range() const { return spec.range; }
};

// Where nodes have their memory.
class RegionNodeSource {
 public:
  // Memory for one node, or null when there is none.
  [[nodiscard]] virtual void* allocate() = 0;
  // Precondition: from allocate() or take(), and no node is in it any more.
  virtual void release(void* memory) = 0;
  // The same for many: up to `most`, or fewer when there is no more.
  [[nodiscard]] virtual BlockChain take(u64 most) {
    BlockChain taken;
    while (taken.count() != most) {
      void* const memory = allocate();
      if (memory == nullptr) break;
      taken.push(memory);
    }
    return taken;
  }
  virtual void give(BlockChain memory) {
    while (!memory.empty()) release(memory.pop());
  }

 protected:
  ~RegionNodeSource() = default;
};

}  // namespace nopte
