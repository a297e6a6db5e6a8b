// What memory should hold, kept as plainly as can be: pages by number, values by page. Against it the engine
// is compared after random operations.
#pragma once

#include <absl/container/btree_map.h>

#include "tests/model/promises.h"

namespace nopte::model {

struct ReferenceObject {
  u64 pages = 0;
  absl::btree_map<u64, u64> values;  // pages that were written
};

class Reference {
 public:
  struct Space {
    const Regions* regions = nullptr;
    absl::btree_map<u64, u64> values;  // private pages that were written, by page number
  };
  absl::btree_map<SpaceId, Space> spaces;
  absl::btree_map<ObjectId, ReferenceObject> objects;

  // What one access of this kind finds: a value, or why it is refused.
  std::expected<u64, ViolationReason> access(SpaceId id, Gva va, Access kind) const {
    const Space& space = spaces.at(id);
    const auto region = space.regions->find(va);
    if (!region) return std::unexpected(ViolationReason::kNoRegion);
    if (!allows(region->perm, kind)) return std::unexpected(ViolationReason::kPermission);
    if (region->object != ObjectId::kNone) {
      const ReferenceObject& object = objects.at(region->object);
      const u64 page = object_page(*region, va);
      if (page >= object.pages) return std::unexpected(ViolationReason::kPastEnd);
      if (region->sharing == Sharing::kShared || !space.values.contains(va.page())) {
        return value_in(object.values, page);
      }
    }
    return value_in(space.values, va.page());
  }
  // After a write that was allowed.
  void write(SpaceId id, Gva va, u64 value) {
    Space& space = spaces.at(id);
    const auto region = space.regions->find(va);
    if (region->object != ObjectId::kNone && region->sharing == Sharing::kShared) {
      objects.at(region->object).values[object_page(*region, va)] = value;
    } else {
      space.values[va.page()] = value;
    }
  }
  void drop(SpaceId id, VaRange range) {
    auto& values = spaces.at(id).values;
    values.erase(values.lower_bound(range.begin.page()), values.lower_bound(range.end.page()));
  }
  void move(SpaceId id, VaRange from, Gva to) {
    auto& values = spaces.at(id).values;
    absl::btree_map<u64, u64> moved;
    for (auto value = values.lower_bound(from.begin.page()); value != values.lower_bound(from.end.page());
         ++value) {
      moved[value->first - from.begin.page() + to.page()] = value->second;
    }
    drop(id, from);
    values.merge(moved);
  }
  void resize(ObjectId id, u64 pages) {
    ReferenceObject& object = objects.at(id);
    for (auto& [space_id, space] : spaces) {
      erase_if(space.values, [&](const auto& value) {
        const Gva va(value.first << kPageShift);
        const auto region = space.regions->find(va);
        return region && region->object == id && object_page(*region, va) >= pages &&
               object_page(*region, va) < object.pages;
      });
    }
    object.values.erase(object.values.lower_bound(pages), object.values.end());
    object.pages = pages;
  }

  static u64 object_page(const RegionSpec& region, Gva va) {
    return region.object_page + (va - region.range.begin) / kPageBytes;
  }

 private:
  static u64 value_in(const absl::btree_map<u64, u64>& values, u64 page) {
    const auto value = values.find(page);
    return value == values.end() ? 0 : value->second;
  }
};

}  // namespace nopte::model
