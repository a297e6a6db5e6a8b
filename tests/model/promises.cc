#include "tests/model/promises.h"

#include <vector>

namespace nopte::model {

Regions::Regions() = default;
Regions::Regions(const Regions&) = default;
Regions::~Regions() = default;

std::optional<RegionSpec> Regions::find(Gva va, RegionHint&) const {
  auto next = regions_.upper_bound(va);
  if (next == regions_.begin()) return std::nullopt;
  const RegionSpec& region = std::prev(next)->second;
  if (!region.range.contains(va)) return std::nullopt;
  return region;
}

std::optional<RegionSpec> Regions::find_next(Gva va) const {
  if (const auto region = find(va)) return region;
  const auto next = regions_.lower_bound(va);
  if (next == regions_.end()) return std::nullopt;
  return next->second;
}

bool Regions::free(VaRange range) const {
  for (const auto& [begin, region] : regions_) {
    if (region.range.overlaps(range)) return false;
  }
  return true;
}

bool Regions::covered(VaRange range) const {
  Gva va = range.begin;
  while (va < range.end) {
    const auto region = find(va);
    if (!region) return false;
    va = region->range.end;
  }
  return true;
}

void Regions::map(const RegionSpec& region) { regions_[region.range.begin] = region; }

void Regions::unmap(VaRange range) {
  cut(range);
  erase_if(regions_, [&](const auto& item) { return range.contains(item.second.range); });
}

void Regions::protect(VaRange range, Perm perm) {
  cut(range);
  for (auto& [begin, region] : regions_) {
    if (range.contains(region.range)) region.perm = perm;
  }
}

void Regions::move(VaRange from, Gva to) {
  cut(from);
  std::vector<RegionSpec> moved;
  for (auto& [begin, region] : regions_) {
    if (from.contains(region.range)) moved.push_back(region);
  }
  erase_if(regions_, [&](const auto& item) { return from.contains(item.second.range); });
  for (RegionSpec region : moved) {
    region.range = VaRange::of_pages(to + (region.range.begin - from.begin), region.range.pages());
    map(region);
  }
}

void Regions::cut(VaRange range) {
  cut_at(range.begin);
  cut_at(range.end);
}

void Regions::cut_at(Gva va) {
  const auto region = find(va);
  if (!region || region->range.begin == va) return;
  RegionSpec left = *region;
  RegionSpec right = *region;
  left.range.end = va;
  right.range.begin = va;
  if (right.object != ObjectId::kNone) right.object_page += left.range.pages();
  regions_[left.range.begin] = left;
  regions_[va] = right;
}

void Mappings::for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const {
  for (const auto& [space, regions] : *spaces_) {
    for (const auto& [begin, region] : regions->list()) {
      if (region.object != object_) continue;
      const u64 first = std::max(first_page, region.object_page);
      const u64 end = std::min(first_page + pages, region.object_page + region.range.pages());
      if (first < end) {
        visit(space, VaRange::of_pages(begin + pages_to_bytes(first - region.object_page), end - first));
      }
    }
  }
}

bool Mappings::visit(From from, u64 first_page, u64 pages,
                     FunctionRef<Stopped(SpaceId, VaRange)> step) const {
  if (from == From::kStart) stopped_at_ = {};
  bool going = true;
  for_each(first_page, pages, [&](SpaceId space, VaRange range) {
    if (!going || std::pair(space, range.end) <= stopped_at_) return;
    if (space == stopped_at_.first) range.begin = std::max(range.begin, stopped_at_.second);
    const Stopped stopped = step(space, range);
    going = !stopped.has_value();
    if (stopped) stopped_at_ = {space, *stopped};
  });
  return going;
}

}  // namespace nopte::model
