// A home for the engine in one process: a machine, promises, and users that touch memory through the
// machine's processors, taking faults as a kernel would. A kind says which sink, and how it sees frames
// (kinds.h).
#pragma once

#include <absl/container/btree_map.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/model/kinds.h"
#include "tests/model/promises.h"

namespace nopte::model {

class World {
 public:
  explicit World(const KindRow& row, u64 frames, unsigned cpus = 1);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Errors of init are for the caller to see.
  Result<void> start();
  // Everything is given back, and nothing is missing.
  void finish();

  [[nodiscard]] const Layout& layout() const { return kind_->layout(); }
  AnyEngine& engine() { return kind_->engine(); }
  Machine& machine() { return kind_->machine(); }
  pt::FrameTable& frames() { return kind_->frames(); }
  Memory& memory() { return kind_->memory(); }
  AnyKind& kind() { return *kind_; }
  Regions& regions(SpaceId id);
  const absl::btree_map<SpaceId, std::unique_ptr<Regions>>& user_spaces() const { return user_spaces_; }
  const absl::btree_map<ObjectId, std::unique_ptr<Mappings>>& objects() const { return objects_; }
  SpaceId active();
  // Some CPU runs it.
  [[nodiscard]] bool is_active(SpaceId id) const;
  [[nodiscard]] pt::FrameRange outside() const { return kind_->outside(); }

  // --- what a kernel asks ---
  Result<SpaceId> create();
  Result<SpaceId> clone(SpaceId parent);
  Result<void> destroy(SpaceId id, pt::Checkpoint* checkpoint = nullptr);
  Result<void> activate(SpaceId id);
  void map(SpaceId id, const RegionSpec& region);
  Result<void> unmap(SpaceId id, VaRange range, pt::Checkpoint* checkpoint = nullptr);
  Result<void> protect(SpaceId id, VaRange range, Perm perm, pt::Checkpoint* checkpoint = nullptr);
  Result<void> move(SpaceId id, VaRange from, Gva to);
  Result<void> advise(SpaceId id, VaRange range, Advice advice, pt::Checkpoint* checkpoint = nullptr);
  Result<Gva> kmem_alloc(u64 pages);
  Result<ObjectId> object_create(u64 pages);
  Result<ObjectId> object_adopt(pt::FrameRange contents);
  Result<void> object_destroy(ObjectId id, pt::Checkpoint* checkpoint = nullptr);

  // --- what programs and the kernel do on the current CPU ---
  using Touched = std::expected<u64*, ViolationReason>;
  // The word at va, after the faults that this access takes.
  Touched touch(Gva va, Access access, Privilege privilege = Privilege::kUser);
  std::expected<u64, ViolationReason> read(Gva va, Privilege privilege = Privilege::kUser);
  ViolationReason write(Gva va, u64 value, Privilege privilege = Privilege::kUser);

  // Frame references, table counts and promises agree; no CPU knows a translation that no longer holds.
  void check();

 private:
  AnyEngine::FaultResult fault(Gva va, Access access, Privilege privilege);
  // Adopted frames are not among for_each_touched's.
  u64 adopted_in_use();

  Result<SpaceId> keep(Result<SpaceId> id, std::unique_ptr<Regions> regions);
  Result<ObjectId> keep(Result<ObjectId> id, std::unique_ptr<Mappings> mappings);

  std::unique_ptr<AnyKind> kind_;
  u64 adopted_ = 0;  // the first of outside()
  Regions kernel_regions_;
  Mappings::Spaces spaces_;
  absl::btree_map<SpaceId, std::unique_ptr<Regions>> user_spaces_;
  absl::btree_map<ObjectId, std::unique_ptr<Mappings>> objects_;
  absl::btree_map<unsigned, SpaceId> active_;
};

}  // namespace nopte::model
