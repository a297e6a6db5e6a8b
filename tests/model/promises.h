// Promises kept plainly, as a home of the engine would keep them: the regions of one space, and where an
// object is mapped.
#pragma once

#include <absl/container/btree_map.h>

#include "pvops/region_spec.h"

namespace nopte::model {

class Regions : public RegionSource {
 public:
  Regions();
  Regions(const Regions&);
  Regions& operator=(const Regions&) = delete;
  ~Regions();

  using RegionSource::find;
  [[nodiscard]] std::optional<RegionSpec> find(Gva va, RegionHint&) const override;
  [[nodiscard]] std::optional<RegionSpec> find_next(Gva va) const override;

  [[nodiscard]] const absl::btree_map<Gva, RegionSpec>& list() const { return regions_; }
  [[nodiscard]] bool free(VaRange range) const;
  [[nodiscard]] bool covered(VaRange range) const;

  // Precondition: free(region.range).
  void map(const RegionSpec& region);
  void unmap(VaRange range);
  void protect(VaRange range, Perm perm);
  void move(VaRange from, Gva to);

 private:
  void cut(VaRange range);
  void cut_at(Gva va);

  absl::btree_map<Gva, RegionSpec> regions_;
};

// Where one object is mapped, found by looking at every space.
class Mappings : public ObjectMappings {
 public:
  using Spaces = absl::btree_map<SpaceId, const Regions*>;
  Mappings(const Spaces& spaces, ObjectId object) : spaces_(&spaces), object_(object) {}

  void set_object(ObjectId object) { object_ = object; }

  void for_each(u64 first_page, u64 pages, FunctionRef<void(SpaceId, VaRange)> visit) const override;
  // Nothing changes while one stands still.
  bool visit(From from, u64 first_page, u64 pages,
             FunctionRef<Stopped(SpaceId, VaRange)> step) const override;

 private:
  const Spaces* spaces_;
  ObjectId object_;
  mutable std::pair<SpaceId, Gva> stopped_at_;
};

}  // namespace nopte::model
