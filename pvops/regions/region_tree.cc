#include "pvops/regions/region_tree.h"

#include <bit>
#include <new>

#include "pvops/base/panic.h"
#include "pvops/base/work.h"

namespace nopte {

namespace {

// The spec of the part of `spec` that begins at `at`.
RegionSpec from(const RegionSpec& spec, Gva at) {
  RegionSpec part = spec;
  part.range.begin = at;
  if (spec.object != ObjectId::kNone) part.object_page += (at - spec.range.begin) >> kPageShift;
  return part;
}

// Whether what `low` shows goes on in `high`, which begins where `low` ends.
bool same_contents(const RegionSpec& low, u32 low_tag, const RegionList* low_list, const RegionSpec& high,
                   u32 high_tag, const RegionList* high_list) {
  return low_tag == high_tag && low.perm == high.perm && low.sharing == high.sharing &&
         low.object == high.object && low_list == high_list &&
         (low.object == ObjectId::kNone || low.object_page + low.range.pages() == high.object_page);
}

// Whether what `low` shows goes on in `high`; mostly they do not touch.
[[gnu::always_inline]] inline bool continues(const RegionSpec& low, u32 low_tag, const RegionList* low_list,
                                             const RegionSpec& high, u32 high_tag,
                                             const RegionList* high_list) {
  return low.range.end == high.range.begin &&
         same_contents(low, low_tag, low_list, high, high_tag, high_list);
}

}  // namespace

// --- asking --------------------------------------------------------------------------------------------

std::optional<RegionSpec> RegionTree::find(Gva va) const {
  const RegionNode* node = find_node(va);
  if (node == nullptr) return std::nullopt;
  return node->spec;
}

std::optional<RegionSpec> RegionTree::find_next(Gva va) const {
  const RegionNode* node = at_or_after(va);
  if (node == nullptr) return std::nullopt;
  return node->spec;
}

const RegionNode* RegionTree::find_node(Gva va) const {
  RegionNode* node = after(va);
  if (node == nullptr || va < node->spec.range.begin) return nullptr;
  last_hit_ = node;
  return node;
}

const RegionNode* RegionTree::at_or_after(Gva va) const { return after(va); }

RegionNode* RegionTree::search_after(Gva va) const {
  if (last_gap_version_ == version_ && last_gap_.contains(va)) return above_last_gap_;
  // The tree's own iterators are as const as the tree; the nodes are not ours to protect here.
  Tree& tree = const_cast<Tree&>(tree_);
  const auto found = tree.upper_bound(va);
  RegionNode* above = found == tree.end() ? nullptr : &*found;
  RegionNode* below = below_of(above);
  return below != nullptr && va < below->spec.range.end ? below : above;
}

bool RegionTree::covered(VaRange range) const {
  Gva reached = range.begin;
  for (const RegionNode* node = at_or_after(range.begin); reached < range.end; node = node->above) {
    if (node == nullptr || reached < node->spec.range.begin) return false;
    reached = node->spec.range.end;
  }
  return true;
}

bool RegionTree::free(VaRange range) const {
  const RegionNode* node = at_or_after(range.begin);
  return node == nullptr || range.end <= node->spec.range.begin;
}

Gva RegionTree::gap_begin(const RegionNode& node) const {
  const RegionNode* below = node.below;
  return below == nullptr ? bounds_.begin : below->spec.range.end;
}

Result<Gva> RegionTree::find_gap(VaRange within, u64 pages, u64 align_bytes) const {
  if (gaps_ == nullptr) return Fail(Status::kUnsupported);
  within = within.intersect(bounds_);
  if (pages == 0 || within.empty() || pages > within.pages()) return Fail(Status::kNoMemory);
  const u64 bytes = pages_to_bytes(pages);
  const Gva limit = within.end;
  // The highest aligned place in [low, high) inside `within`.
  const auto place = [&](Gva low, Gva high) -> std::optional<Gva> {
    if (low < within.begin) low = within.begin;
    if (within.end < high) high = within.end;
    if (high <= low || high - low < bytes) return std::nullopt;
    const Gva at{(high.value() - bytes) & ~(align_bytes - 1)};
    if (at < low) return std::nullopt;
    return at;
  };
  // What an earlier search has seen need not be seen again.
  if (limit == searched_end_ && searched_from_ < limit && pages >= searched_pages_)
    within.end = searched_from_;

  // The gap that the upper limit cuts belongs to the first region at or above it, or to none.
  RegionNode* owner = searched_owner_;
  Gva low{};
  if (owner != nullptr && owner->spec.range.begin == within.end) {
    low = gap_begin(*owner);
  } else {
    Tree& tree = const_cast<Tree&>(tree_);
    auto above = tree.lower_bound(within.end);
    owner = above == tree.end() ? nullptr : &*above;
    low = above == tree.begin() ? bounds_.begin : (--above)->spec.range.end;
  }
  auto at = place(low, within.end);
  if (!at) {
    // Every other gap ends where a region below the limit begins.
    const RegionNode* best = gaps_->highest(within.end, pages, [&](const RegionNode& node) {
      return place(gap_begin(node), node.spec.range.begin).has_value();
    });
    if (best == nullptr) return Fail(Status::kNoMemory);
    owner = const_cast<RegionNode*>(best);
    low = gap_begin(*best);
    at = place(low, best->spec.range.begin);
  }
  last_gap_ = {low, owner == nullptr ? bounds_.end : owner->spec.range.begin};
  above_last_gap_ = owner;
  last_gap_version_ = version_;
  // Tight alignment and a low bound may pass over gaps that would fit another request.
  if (align_bytes == kPageBytes && within.begin <= low) {
    searched_end_ = limit;
    searched_from_ = owner == nullptr || limit < owner->spec.range.begin ? limit : owner->spec.range.begin;
    searched_pages_ = pages;
    searched_owner_ = owner;
  }
  return *at;
}

// --- preparing -----------------------------------------------------------------------------------------

[[gnu::always_inline]] inline bool RegionTree::in_bounds(VaRange range) const {
  return !range.empty() && range.page_aligned() && bounds_.contains(range);
}

[[gnu::always_inline]] inline bool RegionTree::well_formed(const RegionSpec& spec,
                                                           const RegionList* list) const {
  if (!in_bounds(spec.range)) return false;
  if (spec.object == ObjectId::kNone) {
    return list == nullptr && spec.sharing == Sharing::kPrivate && spec.object_page == 0;
  }
  return list != nullptr && spec.object_page <= (~u64{0} >> kPageShift) - spec.range.pages();
}

[[gnu::always_inline]] inline bool RegionTree::joins_below(const RegionSpec& spec, u32 tag,
                                                           const RegionList* list,
                                                           const RegionNode* above) const {
  const RegionNode* below = below_of(above);
  return below != nullptr && continues(below->spec, below->tag, below->object_list, spec, tag, list);
}
[[gnu::always_inline]] inline bool RegionTree::joins_above(const RegionSpec& spec, u32 tag,
                                                           const RegionList* list, const RegionNode* above) {
  return above != nullptr && continues(spec, tag, list, above->spec, above->tag, above->object_list);
}

// The plan is made in place in the result: it is big for a register and busy enough not to be moved about.
template <class Fill>
[[gnu::always_inline]] inline Result<RegionPlan> RegionTree::prepared(Kind kind, const RegionSpec& spec,
                                                                      Fill fill) {
  Result<RegionPlan> result(std::in_place, kind, version_, *nodes_, spec);
  if (const Status status = fill(*result); status != Status::kOk) [[unlikely]] {
    result = Fail(status);
  }
  return result;
}

Result<RegionPlan> RegionTree::prepare_insert(const RegionSpec& spec, u32 tag, RegionList* list) {
  return prepared(Kind::kInsert, spec, [&](RegionPlan& plan) {
    if (!well_formed(spec, list)) return Status::kInvalid;
    plan.tag_ = tag;
    plan.list_ = list;
    plan.first_ = after(spec.range.begin);
    if (plan.first_ != nullptr && plan.first_->spec.range.begin < spec.range.end) return Status::kOverlap;
    plan.joins_below_ = joins_below(spec, tag, list, plan.first_);
    plan.joins_above_ = joins_above(spec, tag, list, plan.first_);
    if (plan.joins_below_ || plan.joins_above_) return Status::kOk;
    return plan.reserve(1) ? Status::kOk : Status::kNoMemory;
  });
}

Result<RegionPlan> RegionTree::prepare_replace(const RegionSpec& spec, u32 tag, RegionList* list) {
  return prepared(Kind::kReplace, spec, [&](RegionPlan& plan) {
    if (!well_formed(spec, list)) return Status::kInvalid;
    plan.tag_ = tag;
    plan.list_ = list;
    if (const Status unmapped = plan_unmap(plan); unmapped != Status::kOk) return unmapped;
    plan.changes_ = true;
    return plan.reserve(1) ? Status::kOk : Status::kNoMemory;
  });
}

Result<RegionPlan> RegionTree::prepare_unmap(VaRange range) {
  return prepared(Kind::kUnmap, {.range = range, .perm = {}},
                  [&](RegionPlan& plan) { return in_bounds(range) ? plan_unmap(plan) : Status::kInvalid; });
}

// Precondition: the plan's range is in bounds.
[[gnu::always_inline]] inline Status RegionTree::plan_unmap(RegionPlan& plan) {
  const VaRange range = plan.spec_.range;
  plan.first_ = after(range.begin);
  plan.changes_ = plan.first_ != nullptr && plan.first_->spec.range.begin < range.end;
  // Only a hole inside one region makes one more.
  const bool hole =
      plan.changes_ && plan.first_->spec.range.begin < range.begin && range.end < plan.first_->spec.range.end;
  return !hole || plan.reserve(1) ? Status::kOk : Status::kNoMemory;
}

Result<RegionPlan> RegionTree::prepare_protect(VaRange range, Perm perm, u64 most) {
  return prepared(Kind::kProtect, {.range = range, .perm = perm}, [&](RegionPlan& plan) {
    if (!in_bounds(range)) return Status::kInvalid;
    plan.first_ = after(range.begin);
    plan.changes_ = false;
    unsigned splits = 0;
    Gva reached = range.begin;
    for (RegionNode* node = plan.first_; reached < range.end; node = node->above) {
      if (node == nullptr || reached < node->spec.range.begin) return Status::kNoRegion;
      if (most-- == 0) {
        plan.spec_.range.end = reached;
        break;
      }
      work::did(work::Unit::kRegion);
      reached = node->spec.range.end;
      if (node->spec.perm == perm) continue;
      if (!plan.changes_)
        plan.to_ = node->spec.range.begin < range.begin ? range.begin : node->spec.range.begin;
      plan.changes_ = true;
      if (node->spec.range.begin < range.begin) ++splits;
      if (range.end < node->spec.range.end) ++splits;
    }
    return plan.reserve(splits) ? Status::kOk : Status::kNoMemory;
  });
}

void RegionTree::limit(RegionPlan& plan, u64 most) const {
  const Gva end = plan.spec_.range.end;
  for (const RegionNode* node = plan.first_; node != nullptr && node->spec.range.begin < end;
       node = node->above) {
    if (most-- != 0) continue;
    plan.only_unmap();
    plan.spec_.range.end = node->spec.range.begin;
    return;
  }
}

Result<RegionPlan> RegionTree::prepare_move(VaRange from_range, Gva to) {
  return prepared(Kind::kMove, {.range = from_range, .perm = {}}, [&](RegionPlan& plan) {
    if (!in_bounds(from_range) || !to.page_aligned()) return Status::kInvalid;
    if (to < bounds_.begin || bounds_.end <= to || bounds_.end - to < from_range.bytes()) {
      return Status::kInvalid;
    }
    plan.to_ = to;
    plan.first_ = after(from_range.begin);
    if (plan.first_ == nullptr || !plan.first_->spec.range.contains(from_range)) return Status::kNoRegion;
    if (!free({to, to + from_range.bytes()})) return Status::kOverlap;
    const VaRange& whole = plan.first_->spec.range;
    const unsigned needed = (whole.begin < from_range.begin) + (from_range.end < whole.end);
    return plan.reserve(needed) ? Status::kOk : Status::kNoMemory;
  });
}

// --- committing ----------------------------------------------------------------------------------------

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
  if (last_hit_ == &node) last_hit_ = nullptr;
  if (searched_owner_ == &node) searched_owner_ = nullptr;
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
    node.next_dead = dead_;
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
    dead_ = node.next_dead;
    node.was_last = false;
    RegionList* const list = node.object_list;
    let_go(node);
    if (list->empty()) list->emptied();
  }
}

void RegionTree::forget_search(RegionNode* node) {
  const Gva end = node == nullptr ? searched_end_ : node->spec.range.begin;
  if (end <= searched_from_) return;
  searched_from_ = end < searched_end_ ? end : searched_end_;
  searched_owner_ = node;  // looked at only if it begins there
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
  if (spec.range.end == searched_from_) searched_from_ = spec.range.begin;
  if (joins_below) {
    last_hit_ = below;
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
    last_hit_ = above;
    above->spec.range.begin = spec.range.begin;
    above->spec.object_page = spec.object_page;
    set_gap(above, low);
    if (searched_from_ == spec.range.begin) searched_owner_ = above;
    return;
  }
  RegionNode& node = make_node(memory, spec, tag, list, above);
  set_gap(&node, low, above);
  set_gap(above, spec.range.end);
  last_hit_ = &node;
  if (searched_from_ == spec.range.begin) searched_owner_ = &node;
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

[[gnu::noinline]] void RegionTree::protect_range(RegionPlan& plan) {
  const VaRange range = plan.spec_.range;
  const Perm perm = plan.spec_.perm;
  RegionNode* node = plan.first_;
  if (node->spec.range.begin < range.begin && node->spec.perm != perm) {
    node = &split(*node, range.begin, plan.take());
  }
  while (node != nullptr && node->spec.range.begin < range.end) {
    if (node->spec.perm != perm) {
      if (range.end < node->spec.range.end) split(*node, range.end, plan.take());
      node->spec.perm = perm;
    }
    node = merge_down(*node).above;
  }
  if (node != nullptr) node = &merge_down(*node);
  // Splits made regions whose gap is empty; merging removed such ones: no gap has changed.
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
        above_last_gap_ = unmap_range(plan);
        last_gap_ = plan.spec_.range;
        last_gap_version_ = version_;
      }
      break;
    case Kind::kReplace:
      replace_range(plan);
      break;
    case Kind::kProtect:
      if (plan.changes_) protect_range(plan);
      break;
    case Kind::kMove:
      move_range(plan);
      break;
  }
  if (plan.held_ != 0) plan.release_spares();
  if (dead_ != nullptr) release_dead();
}

Result<void> RegionTree::copy_from(const RegionTree& other, FunctionRef<bool(const RegionNode&)> keep) {
  NOPTE_ASSERT(first_ == nullptr);
  ++version_;
  Gva low = bounds_.begin;
  for (const RegionNode& original : other.tree_) {
    work::did(work::Unit::kRegion);
    if (!keep(original)) continue;
    void* const memory = nodes_->allocate();
    if (memory == nullptr) {
      clear();
      return Fail(Status::kNoMemory);
    }
    RegionNode& node = make_node(memory, original.spec, original.tag, original.object_list, nullptr);
    if (gaps_ != nullptr) gaps_->update(node, (node.spec.range.begin - low) >> kPageShift);
    low = node.spec.range.end;
    pages_ += node.spec.range.pages();
  }
  return {};
}

bool RegionTree::clear_some(u64 most) {
  ++version_;
  for (; regions_ > most && most != 0; --most) {
    work::did(work::Unit::kRegion);
    pages_ -= first_->spec.range.pages();
    bury(*first_);
  }
  if (regions_ != 0 && most == 0) {
    refresh_gap(first_);
    release_dead();
    return false;
  }
  clear();
  return true;
}

void RegionTree::clear() {
  ++version_;
  last_hit_ = nullptr;
  searched_owner_ = nullptr;
  searched_from_ = searched_end_;
  tree_.clear_and_dispose([&](RegionNode* node) {
    if (gaps_ != nullptr) gaps_->remove(*node);
    work::did(work::Unit::kRegion);
    if (node->object_list != nullptr) node->was_last = !node->object_list->remove(*node);
    let_go(*node);
  });
  first_ = nullptr;
  last_ = nullptr;
  regions_ = 0;
  pages_ = 0;
  release_dead();
}

bool RegionTree::consistent() const {
  u64 regions = 0;
  u64 pages = 0;
  const RegionNode* below = nullptr;
  for (const RegionNode& node : tree_) {
    ++regions;
    pages += node.spec.range.pages();
    if (node.tree != this || node.below != below || !well_formed(node.spec, node.object_list)) return false;
    Gva low = bounds_.begin;
    if (below != nullptr) {
      low = below->spec.range.end;
      if (node.spec.range.begin < low) return false;
      if (continues(below->spec, below->tag, below->object_list, node.spec, node.tag, node.object_list)) {
        return false;
      }
    }
    if (gaps_ != nullptr) {
      const int wanted = static_cast<int>(std::bit_width((node.spec.range.begin - low) >> kPageShift)) - 1;
      if (node.gap_class != (wanted > 39 ? 39 : wanted)) return false;
    }
    if (node.object_list != nullptr && !node.list_hook.is_linked()) return false;
    below = &node;
  }
  return last_ == below && regions == regions_ && pages == pages_ &&
         (last_hit_ == nullptr || last_hit_->tree == this);
}

}  // namespace nopte
