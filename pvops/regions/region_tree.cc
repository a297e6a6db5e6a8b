// RegionTree: asking.
#include "pvops/regions/region_tree.h"

#include <bit>

#include "pvops/regions/region_checks.h"

namespace nopte {

std::optional<RegionSpec> RegionTree::find(Gva va, RegionHint& hint) const {
  if (hint.version == version_ && hint.source == this && hint.region->spec.range.contains(va)) {
    return hint.region->spec;
  }
  if (recent_ != nullptr && recent_->spec.range.contains(va)) return recent_->spec;
  const RegionNode* const node = search_at(va);
  if (node == nullptr) return std::nullopt;
  hint = {this, version_, node};
  return node->spec;
}

[[gnu::always_inline]] inline const RegionNode* RegionTree::search_at(Gva va) const {
  const auto above = tree_.upper_bound(va);
  const RegionNode* const node = below_of(above == tree_.end() ? nullptr : &*above);
  return node != nullptr && va < node->spec.range.end ? node : nullptr;
}

std::optional<RegionSpec> RegionTree::find_next(Gva va) const {
  const RegionNode* node = at_or_after(va);
  if (node == nullptr) return std::nullopt;
  return node->spec;
}

const RegionNode* RegionTree::find_node(Gva va) const {
  const RegionNode* node = after(va);
  return node == nullptr || va < node->spec.range.begin ? nullptr : node;
}

const RegionNode* RegionTree::at_or_after(Gva va) const { return after(va); }

RegionNode* RegionTree::search_after(Gva va) const {
  if (searched_.gap_version == version_ && searched_.gap.contains(va)) return searched_.above_gap;
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

Result<Gva> RegionTree::find_gap(VaRange within, u64 pages, u64 align_bytes) {
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
  if (limit == searched_.end && searched_.from < limit && pages >= searched_.pages)
    within.end = searched_.from;

  // The gap that the upper limit cuts belongs to the first region at or above it, or to none.
  RegionNode* owner = searched_.owner;
  Gva low{};
  if (owner != nullptr && owner->spec.range.begin == within.end) {
    low = gap_begin(*owner);
  } else {
    auto above = tree_.lower_bound(within.end);
    owner = above == tree_.end() ? nullptr : &*above;
    low = above == tree_.begin() ? bounds_.begin : (--above)->spec.range.end;
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
  searched_.note_gap({low, owner == nullptr ? bounds_.end : owner->spec.range.begin}, owner, version_);
  // Tight alignment and a low bound may pass over gaps that would fit another request.
  if (align_bytes == kPageBytes && within.begin <= low) {
    searched_.end = limit;
    searched_.from = owner == nullptr || limit < owner->spec.range.begin ? limit : owner->spec.range.begin;
    searched_.pages = pages;
    searched_.owner = owner;
  }
  return *at;
}

bool RegionTree::consistent() const {
  tree_.check();
  if (gaps_ != nullptr) gaps_->check();
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
         (recent_ == nullptr || recent_->tree == this);
}

}  // namespace nopte
