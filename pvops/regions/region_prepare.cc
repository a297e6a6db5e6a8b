// RegionTree: preparing. Checks everything and reserves the nodes that the commit will take.
#include "pvops/base/work.h"
#include "pvops/regions/region_checks.h"

namespace nopte {

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

// changes(node): the plan is to change it.
template <RegionTree::Holes kHoles, class Changes>
[[gnu::always_inline]] inline Status RegionTree::plan_change(RegionPlan& plan, u64 most, Changes changes) {
  const VaRange range = plan.spec_.range;
  if (!in_bounds(range)) return Status::kInvalid;
  plan.first_ = after(range.begin);
  plan.changes_ = false;
  unsigned splits = 0;
  Gva reached = range.begin;
  for (RegionNode* node = plan.first_; reached < range.end; node = node->above) {
    if constexpr (kHoles == Holes::kRefused) {
      if (node == nullptr || reached < node->spec.range.begin) return Status::kNoRegion;
    } else {
      if (node == nullptr || range.end <= node->spec.range.begin) break;
    }
    if (most-- == 0) {
      plan.spec_.range.end = reached;
      break;
    }
    work::did(work::Unit::kRegion);
    reached = node->spec.range.end;
    if (!changes(*node)) continue;
    if (!plan.changes_)
      plan.to_ = node->spec.range.begin < range.begin ? range.begin : node->spec.range.begin;
    plan.changes_ = true;
    if (node->spec.range.begin < range.begin) ++splits;
    if (range.end < node->spec.range.end) ++splits;
  }
  return plan.reserve(splits) ? Status::kOk : Status::kNoMemory;
}

Result<RegionPlan> RegionTree::prepare_protect(VaRange range, Perm perm, u64 most) {
  return prepared(Kind::kProtect, {.range = range, .perm = perm}, [&](RegionPlan& plan) {
    return plan_change<Holes::kRefused>(plan, most,
                                        [&](const RegionNode& node) { return node.spec.perm != perm; });
  });
}

Result<RegionPlan> RegionTree::prepare_use(VaRange range, UsageChange change, u64 most) {
  return prepared(Kind::kUse, {.range = range, .perm = {}}, [&](RegionPlan& plan) {
    plan.use_ = change;
    return plan_change<Holes::kSkipped>(
        plan, most, [&](const RegionNode& node) { return node.spec.usage != change.of(node.spec.usage); });
  });
}

Result<RegionPlan> RegionTree::prepare_mark(VaRange range, u32 mask, u32 bits) {
  return prepared(Kind::kMark, {.range = range, .perm = {}}, [&](RegionPlan& plan) {
    plan.tag_ = bits;
    plan.tag_mask_ = mask;
    return plan_change<Holes::kSkipped>(plan, ~u64{0},
                                        [&](const RegionNode& node) { return (node.tag & mask) != bits; });
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

}  // namespace nopte
