// RegionTree's own, for its sources: what is a well-formed region, and which regions continue each other.
#pragma once

#include "pvops/regions/region_tree.h"

namespace nopte {

// Whether what `low` shows goes on in `high`, which begins where `low` ends.
inline bool same_contents(const RegionSpec& low, u32 low_tag, const RegionList* low_list,
                          const RegionSpec& high, u32 high_tag, const RegionList* high_list) {
  return low_tag == high_tag && low.perm == high.perm && low.sharing == high.sharing &&
         low.usage == high.usage && low.object == high.object && low_list == high_list &&
         (low.object == ObjectId::kNone || low.object_page + low.range.pages() == high.object_page);
}

// Whether what `low` shows goes on in `high`; mostly they do not touch.
[[gnu::always_inline]] inline bool continues(const RegionSpec& low, u32 low_tag, const RegionList* low_list,
                                             const RegionSpec& high, u32 high_tag,
                                             const RegionList* high_list) {
  return low.range.end == high.range.begin &&
         same_contents(low, low_tag, low_list, high, high_tag, high_list);
}

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

inline Gva RegionTree::gap_begin(const RegionNode& node) const {
  const RegionNode* below = node.below;
  return below == nullptr ? bounds_.begin : below->spec.range.end;
}

}  // namespace nopte
