// RegionTree: what is done with all of it at once. Nothing is rebalanced, neither what is made nor what goes.
#include <new>

#include "pvops/base/panic.h"
#include "pvops/base/work.h"
#include "pvops/regions/region_tree.h"
#include "pvops/regions/tree_shape.h"

namespace nopte {

Result<void> RegionTree::copy_from(RegionTree& other) {
  NOPTE_ASSERT(first_ == nullptr && bounds_ == other.bounds_ &&
               (gaps_ == nullptr) == (other.gaps_ == nullptr));
  ++version_;
  BlockChain memory = nodes_->take(other.regions_);
  if (memory.count() != other.regions_) {
    nodes_->give(memory);
    return Fail(Status::kNoMemory);
  }
  RegionNode* below = nullptr;
  for (RegionNode* original = other.first_; original != nullptr; original = original->above) {
    work::did(work::Unit::kRegion);
    RegionNode& node = *new (memory.pop()) RegionNode{.spec = original->spec,
                                                      .tag = original->tag,
                                                      .gap_class = original->gap_class,
                                                      .object_list = original->object_list,
                                                      .tree = this,
                                                      .below = below};
    (below == nullptr ? first_ : below->above) = &node;
    original->beside = &node;
    TreeShape<Tree>::link(node, *original);
    if (gaps_ != nullptr && node.gap_class >= 0) gaps_->link_copy(node, *original, *other.gaps_);
    if (node.object_list != nullptr) node.object_list->regions_.push_back(node);
    below = &node;
  }
  NOPTE_ASSERT(memory.empty());
  if (below == nullptr) return {};
  last_ = below;
  regions_ = other.regions_;
  pages_ = other.pages_;
  TreeShape<Tree>::finish(tree_, other.tree_);
  if (gaps_ != nullptr) gaps_->finish_copy(*other.gaps_);
  return {};
}

// Empties the tree; its nodes are a chain of what is to be freed.
void RegionTree::doom() {
  if (first_ == nullptr) return;
  ++version_;
  recent_ = nullptr;
  searched_.owner = nullptr;
  searched_.from = searched_.end;
  TreeShape<Tree>::forget(tree_);
  if (gaps_ != nullptr) gaps_->forget();
  last_->above = doomed_;
  doomed_ = first_;
  first_ = nullptr;
  last_ = nullptr;
  regions_ = 0;
  pages_ = 0;
}

// A list that lost its last region may delete itself: the tree is whole, and the node gone.
[[gnu::always_inline]] inline void RegionTree::free_doomed(BlockChain& to) {
  work::did(work::Unit::kRegion);
  RegionNode& node = *doomed_;
  doomed_ = node.above;
  RegionList* const list = node.object_list;
  const bool was_last = list != nullptr && !list->remove(node);
  TreeShape<Tree>::unlink(node);
  if (node.gap_class >= 0) GapIndex::unlink(node);
  node.~RegionNode();
  to.push(&node);
  if (was_last) list->emptied();
}

bool RegionTree::clear_some(u64 most) {
  doom();
  if (doomed_ == nullptr) return true;
  BlockChain gone;
  for (; doomed_ != nullptr && most != 0; --most) free_doomed(gone);
  nodes_->give(gone);
  return doomed_ == nullptr;
}

void RegionTree::clear() { static_cast<void>(clear_some(~u64{0})); }

}  // namespace nopte
