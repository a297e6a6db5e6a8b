// RegionTree: changing. Nothing here fails, but for what takes memory without a plan (insert).
#include <new>

#include "pvops/base/panic.h"
#include "pvops/base/work.h"
#include "pvops/regions/region_checks.h"

namespace nopte {

namespace {

// The spec of the part of `spec` that begins at `at`.
RegionSpec from(const RegionSpec& spec, Gva at) {
  RegionSpec part = spec;
  part.range.begin = at;
  if (spec.object != ObjectId::kNone) part.object_page += (at - spec.range.begin) >> kPageShift;
  return part;
}

}  // namespace

[[gnu::always_inline]] inline void RegionTree::link(RegionNode& node, RegionNode* above) {
  node.tree = this;
  node.above = above;
  node.below = below_of(above);
  (node.below == nullptr ? first_ : node.below->above) = &node;
  (above == nullptr ? last_ : above->below) = &node;
  tree_.insert_before(above == nullptr ? tree_.end() : tree_.iterator_to(*above), node);
  if (node.object_list != nullptr) node.object_list->regions_.push_back(node);
  ++regions_;
}

[[gnu::always_inline]] inline void RegionTree::unlink(RegionNode& node) {
  if (recent_ == &node) recent_ = nullptr;
  if (searched_.owner == &node) searched_.owner = nullptr;
  if (gaps_ != nullptr) gaps_->remove(node);
  tree_.erase(tree_.iterator_to(node));
  (node.below == nullptr ? first_ : node.below->above) = node.above;
  (node.above == nullptr ? last_ : node.above->below) = node.below;
  if (node.object_list != nullptr) node.was_last = !node.object_list->remove(node);
  --regions_;
}

// A node that emptied its list is kept until the tree is whole: the list may then delete itself.
[[gnu::always_inline]] inline void RegionTree::let_go(RegionNode& node) {
  if (node.was_last) [[unlikely]] {
    node.beside = dead_;
    dead_ = &node;
  } else {
    node.~RegionNode();
    nodes_->release(&node);
  }
}

[[gnu::always_inline]] inline void RegionTree::bury(RegionNode& node) {
  unlink(node);
  let_go(node);
}

// Its neighbour shows what it showed.
[[gnu::always_inline]] inline void RegionTree::bury_merged(RegionNode& node) {
  if (node.object_list != nullptr) node.object_list->disturb();
  bury(node);
}

void RegionTree::release_dead() {
  while (dead_ != nullptr) {
    RegionNode& node = *dead_;
    dead_ = node.beside;
    node.was_last = false;
    RegionList* const list = node.object_list;
    let_go(node);
    if (list->empty()) list->emptied();
  }
}

void RegionTree::forget_search(RegionNode* node) {
  const Gva end = node == nullptr ? searched_.end : node->spec.range.begin;
  if (end <= searched_.from) return;
  searched_.from = end < searched_.end ? end : searched_.end;
  searched_.owner = node;  // looked at only if it begins there
}

void RegionTree::set_gap(RegionNode* node, Gva low, RegionNode* from) {
  if (gaps_ == nullptr || node == nullptr) return;
  const u64 pages = (node->spec.range.begin - low) >> kPageShift;
  if (from != nullptr) {
    gaps_->hand_over(*from, *node, pages);
  } else {
    gaps_->update(*node, pages);
  }
}

void RegionTree::refresh_gap(RegionNode* node) {
  if (gaps_ == nullptr) return;
  forget_search(node);
  if (node != nullptr) set_gap(node, gap_begin(*node));
}

[[gnu::always_inline]] inline RegionNode& RegionTree::make_node(void* memory, const RegionSpec& spec, u32 tag,
                                                                RegionList* list, RegionNode* above) {
  auto& node = *new (memory) RegionNode{.spec = spec, .tag = tag, .object_list = list};
  link(node, above);
  return node;
}

[[gnu::noinline]] RegionNode& RegionTree::split(RegionNode& node, Gva at, void* memory) {
  const RegionSpec upper = from(node.spec, at);
  node.spec.range.end = at;
  return make_node(memory, upper, node.tag, node.object_list, node.above);
}

RegionNode& RegionTree::merge_down(RegionNode& node) {
  RegionNode* below = node.below;
  if (below == nullptr ||
      !continues(below->spec, below->tag, below->object_list, node.spec, node.tag, node.object_list)) {
    return node;
  }
  below->spec.range.end = node.spec.range.end;
  bury_merged(node);
  return *below;
}

// `above`: the region above spec's free range, or null. `memory`: for a node, unless it joins another.
[[gnu::always_inline]] inline void RegionTree::insert_spec(const RegionSpec& spec, u32 tag, RegionList* list,
                                                           RegionNode* above, bool joins_below,
                                                           bool joins_above, void* memory) {
  RegionNode* below = below_of(above);
  pages_ += spec.range.pages();
  // What is taken is not searched again.
  if (spec.range.end == searched_.from) searched_.from = spec.range.begin;
  if (joins_below) {
    recent_ = below;
    below->spec.range.end = spec.range.end;
    if (joins_above) {
      below->spec.range.end = above->spec.range.end;
      bury_merged(*above);
    } else {
      set_gap(above, spec.range.end);
    }
    return;
  }
  const Gva low = below == nullptr ? bounds_.begin : below->spec.range.end;
  if (joins_above) {
    recent_ = above;
    above->spec.range.begin = spec.range.begin;
    above->spec.object_page = spec.object_page;
    set_gap(above, low);
    if (searched_.from == spec.range.begin) searched_.owner = above;
    return;
  }
  RegionNode& node = make_node(memory, spec, tag, list, above);
  set_gap(&node, low, above);
  set_gap(above, spec.range.end);
  recent_ = &node;
  if (searched_.from == spec.range.begin) searched_.owner = &node;
}

// Returns the region above the range, or null.
[[gnu::always_inline]] inline RegionNode* RegionTree::unmap_range(RegionPlan& plan) {
  const VaRange range = plan.spec_.range;
  RegionNode* node = plan.first_;
  if (node != nullptr && node->spec.range.begin < range.begin) {
    if (range.end < node->spec.range.end) {
      RegionNode& upper = split(*node, range.end, plan.take());
      node->spec.range.end = range.begin;
      pages_ -= range.pages();
      refresh_gap(&upper);
      return &upper;
    }
    pages_ -= (node->spec.range.end - range.begin) >> kPageShift;
    node->spec.range.end = range.begin;
    node = node->above;
  }
  while (node != nullptr && node->spec.range.end <= range.end) {
    work::did(work::Unit::kRegion);
    RegionNode* above = node->above;
    pages_ -= node->spec.range.pages();
    if (gaps_ != nullptr && above != nullptr && above->gap_class < 0 &&
        range.end <= above->spec.range.begin) {
      gaps_->hand_over(*node, *above, (above->spec.range.begin - gap_begin(*node)) >> kPageShift);
    }
    bury(*node);
    node = above;
  }
  if (node != nullptr && node->spec.range.begin < range.end) {
    pages_ -= (range.end - node->spec.range.begin) >> kPageShift;
    node->spec = from(node->spec, range.end);
  }
  refresh_gap(node);
  return node;
}

[[gnu::always_inline]] inline void RegionTree::insert_planned(RegionPlan& plan, RegionNode* above) {
  insert_spec(plan.spec_, plan.tag_, plan.list_, above, plan.joins_below_, plan.joins_above_,
              plan.joins_below_ || plan.joins_above_ ? nullptr : plan.take());
}

[[gnu::noinline]] void RegionTree::replace_range(RegionPlan& plan) {
  RegionNode* above = unmap_range(plan);
  plan.joins_below_ = joins_below(plan.spec_, plan.tag_, plan.list_, above);
  plan.joins_above_ = joins_above(plan.spec_, plan.tag_, plan.list_, above);
  insert_planned(plan, above);
}

// changes(node): the plan is to change it, as change(node) does.
template <class Changes, class Change>
[[gnu::always_inline]] inline void RegionTree::change_range(RegionPlan& plan, Changes changes,
                                                            Change change) {
  const VaRange range = plan.spec_.range;
  RegionNode* node = plan.first_;
  if (node->spec.range.begin < range.begin && changes(*node)) {
    node = &split(*node, range.begin, plan.take());
  }
  while (node != nullptr && node->spec.range.begin < range.end) {
    if (changes(*node)) {
      if (range.end < node->spec.range.end) split(*node, range.end, plan.take());
      change(*node);
    }
    node = merge_down(*node).above;
  }
  if (node != nullptr) node = &merge_down(*node);
  // Splits made regions whose gap is empty; merging removed such ones: no gap has changed.
}

[[gnu::noinline]] void RegionTree::protect_range(RegionPlan& plan) {
  const Perm perm = plan.spec_.perm;
  change_range(
      plan, [perm](const RegionNode& node) { return node.spec.perm != perm; },
      [perm](RegionNode& node) { node.spec.perm = perm; });
}

[[gnu::noinline, gnu::cold]] void RegionTree::use_range(RegionPlan& plan) {
  const UsageChange use = plan.use_;
  change_range(
      plan, [use](const RegionNode& node) { return node.spec.usage != use.of(node.spec.usage); },
      [use](RegionNode& node) { node.spec.usage = use.of(node.spec.usage); });
}

[[gnu::noinline, gnu::cold]] void RegionTree::mark_range(RegionPlan& plan) {
  const u32 mask = plan.tag_mask_;
  const u32 bits = plan.tag_;
  change_range(
      plan, [=](const RegionNode& node) { return (node.tag & mask) != bits; },
      [=](RegionNode& node) { node.tag = (node.tag & ~mask) | bits; });
}

[[gnu::noinline]] void RegionTree::move_range(RegionPlan& plan) {
  const VaRange range = plan.spec_.range;
  RegionNode* node = plan.first_;
  if (node->spec.range.begin < range.begin) {
    node = &split(*node, range.begin, plan.take());
  }
  if (range.end < node->spec.range.end) split(*node, range.end, plan.take());
  RegionNode* source_above = node->above;
  RegionList* list = node->object_list;
  if (list != nullptr) list->disturb();
  unlink(*node);
  node->was_last = false;
  node->object_list = list;
  refresh_gap(source_above);
  RegionNode* target_above = after(plan.to_);
  node->spec.range = {plan.to_, plan.to_ + range.bytes()};
  link(*node, target_above);
  RegionNode& merged = merge_down(*node);
  recent_ = &merged;
  refresh_gap(&merged);
  if (target_above != nullptr) refresh_gap(&merge_down(*target_above));
}

Result<void> RegionTree::insert(const RegionSpec& spec, u32 tag, RegionList* list, u64 most_regions) {
  if (!well_formed(spec, list)) return Fail(Status::kInvalid);
  RegionNode* const above = after(spec.range.begin);
  if (above != nullptr && above->spec.range.begin < spec.range.end) return Fail(Status::kOverlap);
  const bool below_joins = joins_below(spec, tag, list, above);
  const bool above_joins = joins_above(spec, tag, list, above);
  void* memory = nullptr;
  if (!below_joins && !above_joins) {
    if (regions_ >= most_regions) return Fail(Status::kLimit);
    memory = nodes_->allocate();
    if (memory == nullptr) return Fail(Status::kNoMemory);
  }
  ++version_;
  insert_spec(spec, tag, list, above, below_joins, above_joins, memory);
  if (dead_ != nullptr) release_dead();
  return {};
}

void RegionTree::commit(RegionPlan& plan) {
  NOPTE_ASSERT(plan.version_ == version_);
  ++version_;
  switch (plan.kind_) {
    case Kind::kInsert:
      insert_planned(plan, plan.first_);
      break;
    case Kind::kUnmap:
      if (plan.changes_) {
        // What comes next is often put there.
        RegionNode* const above = unmap_range(plan);
        searched_.note_gap(plan.spec_.range, above, version_);
      }
      break;
    case Kind::kReplace:
      replace_range(plan);
      break;
    case Kind::kProtect:
      if (plan.changes_) protect_range(plan);
      break;
    case Kind::kUse:
      if (plan.changes_) use_range(plan);
      break;
    case Kind::kMark:
      if (plan.changes_) mark_range(plan);
      break;
    case Kind::kMove:
      move_range(plan);
      break;
  }
  if (plan.held_ != 0) plan.release_spares();
  if (dead_ != nullptr) release_dead();
}

}  // namespace nopte
