#include "tests/conformance/promise_list.h"

#include "pvops/base/panic.h"

namespace nopte::conformance {

std::optional<RegionSpec> PromiseList::find(Gva va, RegionHint&) const {
  const auto region = find_next(va);
  return region && region->range.contains(va) ? region : std::nullopt;
}

std::optional<RegionSpec> PromiseList::find_next(Gva va) const {
  for (const RegionSpec& spec : list()) {
    if (va < spec.range.end) return spec;
  }
  return std::nullopt;
}

void PromiseList::add(const RegionSpec& spec) {
  NOPTE_ASSERT(count_ < kMost);
  u64 i = count_++;
  for (; i > 0 && spec.range.begin < specs_[i - 1].range.begin; --i) specs_[i] = specs_[i - 1];
  specs_[i] = spec;
}

void PromiseList::split_at(Gva va) {
  for (u64 i = 0; i < count_; ++i) {
    RegionSpec& spec = specs_[i];
    if (!spec.range.contains(va) || spec.range.begin == va) continue;
    RegionSpec upper = spec;
    upper.range.begin = va;
    if (upper.object != ObjectId::kNone) upper.object_page += (va - spec.range.begin) >> kPageShift;
    spec.range.end = va;
    add(upper);
    return;
  }
}

void PromiseList::cut(VaRange range) {
  split_at(range.begin);
  split_at(range.end);
  u64 kept = 0;
  for (u64 i = 0; i < count_; ++i) {
    if (!range.contains(specs_[i].range)) specs_[kept++] = specs_[i];
  }
  count_ = kept;
}

void PromiseList::set_perm(VaRange range, Perm perm) {
  split_at(range.begin);
  split_at(range.end);
  for (u64 i = 0; i < count_; ++i) {
    if (range.contains(specs_[i].range)) specs_[i].perm = perm;
  }
}

void PromiseList::set_usage(VaRange range, UsageChange change) {
  split_at(range.begin);
  split_at(range.end);
  for (u64 i = 0; i < count_; ++i) {
    if (range.contains(specs_[i].range)) specs_[i].usage = change.of(specs_[i].usage);
  }
}

void PromiseList::move(VaRange from, Gva to) {
  split_at(from.begin);
  split_at(from.end);
  for (u64 i = 0; i < count_; ++i) {
    if (!from.contains(specs_[i].range)) continue;
    RegionSpec spec = specs_[i];
    for (u64 j = i + 1; j < count_; ++j) specs_[j - 1] = specs_[j];
    --count_;
    spec.range = VaRange::of_pages(to + (spec.range.begin - from.begin), spec.range.pages());
    add(spec);
    return;
  }
}

}  // namespace nopte::conformance
