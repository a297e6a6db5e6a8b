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
  explicit World(const KindRow& row, u64 frames, unsigned cpus = 1) : kind_(row.make(frames, cpus)) {}

  // Errors of init are for the caller to see.
  Result<void> start() {
    NOPTE_TRY(kind_->init());
    engine().set_kernel_regions(kernel_regions_);
    spaces_[SpaceId::kKernel] = &kernel_regions_;
    for (unsigned cpu = machine().cpus(); cpu-- != 0;) {
      machine().set_current(cpu);
      NOPTE_TRY(activate(SpaceId::kKernel));
    }
    kind_->booted();
    return {};
  }
  // Everything is given back, and nothing is missing.
  void finish() {
    for (unsigned cpu = 0; cpu < machine().cpus(); ++cpu) {
      machine().set_current(cpu);
      ASSERT_TRUE(activate(SpaceId::kKernel));
    }
    while (!user_spaces_.empty()) ASSERT_TRUE(destroy(user_spaces_.begin()->first));
    kernel_regions_.unmap(layout().windows);
    ASSERT_TRUE(engine().region_unmapped(SpaceId::kKernel, layout().windows));
    while (!objects_.empty()) ASSERT_TRUE(object_destroy(objects_.begin()->first));
    kind_->ends(*engine().root(SpaceId::kKernel));
    engine().shut_down();
    EXPECT_EQ(frames().free_frames(), frames().total_frames());
  }

  [[nodiscard]] const Layout& layout() const { return kind_->layout(); }
  AnyEngine& engine() { return kind_->engine(); }
  Machine& machine() { return kind_->machine(); }
  pt::FrameTable& frames() { return kind_->frames(); }
  Memory& memory() { return kind_->memory(); }
  AnyKind& kind() { return *kind_; }
  Regions& regions(SpaceId id) { return id == SpaceId::kKernel ? kernel_regions_ : *user_spaces_.at(id); }
  const absl::btree_map<SpaceId, std::unique_ptr<Regions>>& user_spaces() const { return user_spaces_; }
  const absl::btree_map<ObjectId, std::unique_ptr<Mappings>>& objects() const { return objects_; }
  SpaceId active() { return active_[machine().current()]; }
  // Some CPU runs it.
  [[nodiscard]] bool is_active(SpaceId id) const {
    for (const auto& [cpu, space] : active_) {
      if (space == id) return true;
    }
    return false;
  }
  [[nodiscard]] pt::FrameRange outside() const { return kind_->outside(); }

  // --- what a kernel asks ---
  Result<SpaceId> create() {
    auto regions = std::make_unique<Regions>();
    const auto id = engine().space_create(*regions);
    return keep(id, std::move(regions));
  }
  Result<SpaceId> clone(SpaceId parent) {
    auto regions = std::make_unique<Regions>(this->regions(parent));
    const auto id = engine().space_clone(parent, *regions);
    return keep(id, std::move(regions));
  }
  Result<void> destroy(SpaceId id, pt::Checkpoint* checkpoint = nullptr) {
    NOPTE_TRY(engine().space_destroy(id, checkpoint));
    spaces_.erase(id);
    user_spaces_.erase(id);
    return {};
  }
  Result<void> activate(SpaceId id) {
    NOPTE_TRY(engine().space_activate(id));
    active_[machine().current()] = id;
    return {};
  }
  void map(SpaceId id, const RegionSpec& region) {
    ASSERT_TRUE(regions(id).free(region.range));
    regions(id).map(region);
  }
  Result<void> unmap(SpaceId id, VaRange range, pt::Checkpoint* checkpoint = nullptr) {
    NOPTE_TRY(engine().region_unmapped(id, range, checkpoint));
    regions(id).unmap(range);
    return {};
  }
  Result<void> protect(SpaceId id, VaRange range, Perm perm, pt::Checkpoint* checkpoint = nullptr) {
    if (!regions(id).covered(range)) return Fail(Status::kNoRegion);
    NOPTE_TRY(engine().region_protected(id, range, perm, checkpoint));
    regions(id).protect(range, perm);
    return {};
  }
  Result<void> move(SpaceId id, VaRange from, Gva to) {
    NOPTE_TRY(engine().region_moved(id, from, to));
    regions(id).move(from, to);
    return {};
  }
  Result<void> advise(SpaceId id, VaRange range, Advice advice, pt::Checkpoint* checkpoint = nullptr) {
    return engine().region_advise(id, range, advice, checkpoint);
  }
  Result<Gva> kmem_alloc(u64 pages) { return engine().kmem_alloc(pages); }
  Result<ObjectId> object_create(u64 pages) {
    auto mappings = std::make_unique<Mappings>(spaces_, ObjectId::kNone);
    const auto id = engine().object_create(pages, *mappings);
    return keep(id, std::move(mappings));
  }
  Result<ObjectId> object_adopt(pt::FrameRange contents) {
    auto mappings = std::make_unique<Mappings>(spaces_, ObjectId::kNone);
    const auto id = engine().object_adopt(contents, *mappings);
    if (id) adopted_ = contents.frames();
    return keep(id, std::move(mappings));
  }
  Result<void> object_destroy(ObjectId id, pt::Checkpoint* checkpoint = nullptr) {
    NOPTE_TRY(engine().object_destroy(id, checkpoint));
    objects_.erase(id);
    return {};
  }

  // --- what programs and the kernel do on the current CPU ---
  using Touched = std::expected<u64*, ViolationReason>;
  // The word at va, after the faults that this access takes.
  Touched touch(Gva va, Access access, Privilege privilege = Privilege::kUser) {
    for (int tries = 0; tries < 4; ++tries) {
      if (const auto byte = machine().access(machine().current(), va, access, privilege)) {
        return reinterpret_cast<u64*>(*byte);
      }
      const auto resolved = fault(va, access, privilege);
      if (!resolved) return std::unexpected(resolved.error());
    }
    ADD_FAILURE() << "the same access faults for ever at " << std::hex << va.value();
    return std::unexpected(ViolationReason::kNone);
  }
  std::expected<u64, ViolationReason> read(Gva va, Privilege privilege = Privilege::kUser) {
    const Touched word = touch(va, Access::kRead, privilege);
    if (!word) return std::unexpected(word.error());
    return **word;
  }
  ViolationReason write(Gva va, u64 value, Privilege privilege = Privilege::kUser) {
    const Touched word = touch(va, Access::kWrite, privilege);
    if (!word) return word.error();
    **word = value;
    return ViolationReason::kNone;
  }

  // Frame references, table counts and promises agree; no CPU knows a translation that no longer holds.
  void check();

 private:
  AnyEngine::FaultResult fault(Gva va, Access access, Privilege privilege) {
    return engine().fault(active(), va, access, privilege);
  }
  // Adopted frames are not among for_each_touched's.
  u64 adopted_in_use() {
    u64 in_use = 0;
    for (u64 i = 0; i < adopted_; ++i) {
      if (frames().meta(outside().begin + i).kind != pt::FrameKind::kFree) ++in_use;
    }
    return in_use;
  }

  Result<SpaceId> keep(Result<SpaceId> id, std::unique_ptr<Regions> regions) {
    if (id) {
      spaces_[*id] = regions.get();
      user_spaces_[*id] = std::move(regions);
    }
    return id;
  }
  Result<ObjectId> keep(Result<ObjectId> id, std::unique_ptr<Mappings> mappings) {
    if (id) {
      mappings->set_object(*id);
      objects_[*id] = std::move(mappings);
    }
    return id;
  }

  std::unique_ptr<AnyKind> kind_;
  u64 adopted_ = 0;  // the first of outside()
  Regions kernel_regions_;
  Mappings::Spaces spaces_;
  absl::btree_map<SpaceId, std::unique_ptr<Regions>> user_spaces_;
  absl::btree_map<ObjectId, std::unique_ptr<Mappings>> objects_;
  absl::btree_map<unsigned, SpaceId> active_;
};

inline bool is_zero(const u8* page) {
  return std::all_of(page, page + kPageBytes, [](u8 byte) { return byte == 0; });
}

inline void World::check() {
  // What waits may wait, but not for a flush.
  kind_->complete();
  absl::btree_map<Frame, u64> references;
  absl::btree_map<Frame, u64> large;  // leaves, by the first frame
  absl::btree_map<Frame, u64> parents;
  // A table that several lead to counts once.
  const auto count = [&](auto&& self, Frame table, unsigned level) -> void {
    const unsigned entries = kind_->counted_entries(level, level == layout().levels);
    for (unsigned i = 0; i < entries; ++i) {
      if (level == layout().levels && kind_->is_foreign(level, i)) continue;
      if (const auto first = kind_->large_frame(table, level, i)) ++large[*first];
      const std::optional<Frame> below = kind_->entry_frame(table, level, i);
      if (!below) continue;
      if (level == 1) {
        ++references[*below];
      } else if (parents[*below]++ == 0) {
        self(self, *below, level - 1);
      }
    }
  };
  const auto look = [&](SpaceId id, const Regions& promised) {
    engine().for_each_installed(id, [&](Gva va, const Installed& installed) {
      if (id == SpaceId::kKernel) ++references[installed.frame];
      const auto region = promised.find(va);
      ASSERT_TRUE(region) << "installed but not promised: " << std::hex << va.value();
      if (installed.present) {
        // Up to what the format has no way to refuse.
        EXPECT_TRUE(layout().granted(region->perm).contains(installed.rights)) << std::hex << va.value();
      }
      EXPECT_EQ(installed.user, id != SpaceId::kKernel);
      if (!installed.touched && frames().meta(installed.frame).kind == pt::FrameKind::kAnon) {
        EXPECT_TRUE(is_zero(memory().alias(installed.frame))) << "untouched: " << std::hex << va.value();
      }
    });
  };
  for (const auto& [id, promised] : user_spaces_) {
    look(id, *promised);
    if (const auto root = engine().root(id)) count(count, *root, layout().levels);
  }
  look(SpaceId::kKernel, kernel_regions_);

  for (const auto& [first, leaves] : large) {
    if (frames().meta(first).kind == pt::FrameKind::kBlock) continue;
    EXPECT_EQ(frames().meta(first).index, leaves) << "broken block " << first.number();
    for (u64 i = 0; i < pt::kBlockFrames; ++i) ++references[first + i];
  }
  frames().for_each_zeroed(
      [&](Frame table) { EXPECT_TRUE(is_zero(memory().alias(table))) << "free table " << table.number(); });
  u64 used = 0;
  frames().for_each_touched([&](Frame frame, const pt::FrameMeta& meta) {
    if (meta.kind == pt::FrameKind::kFree || meta.kind == pt::FrameKind::kFreeBlock) return;
    used += meta.kind == pt::FrameKind::kBlock ? pt::kBlockFrames : 1;
    switch (meta.kind) {
      case pt::FrameKind::kAnon:
        EXPECT_EQ(meta.refs, references[frame]) << "anonymous frame " << frame.number();
        EXPECT_NE(meta.refs, 0u);
        EXPECT_TRUE(meta.index == 0 || large.contains(frame)) << "first of a block " << frame.number();
        break;
      case pt::FrameKind::kBlock:
        EXPECT_EQ(meta.refs, large[frame]) << "block " << frame.number();
        EXPECT_NE(meta.refs, 0u);
        break;
      case pt::FrameKind::kObject:
        EXPECT_EQ(meta.refs, references[frame] + 1) << "object frame " << frame.number();
        break;
      case pt::FrameKind::kTable: {
        const bool root = meta.level == layout().levels;
        const bool of_a_space = root && frame != *engine().root(SpaceId::kKernel);
        unsigned live = 0;
        for (unsigned i = 0; i < kind_->counted_entries(meta.level, of_a_space); ++i) {
          if ((root && kind_->is_foreign(meta.level, i)) || kind_->entry_empty(frame, i)) continue;
          ++live;
          EXPECT_TRUE(kind_->marked(meta, i));
        }
        EXPECT_EQ(meta.live, live) << "table " << frame.number();
        // The kernel's, which all roots lead to, count as the kernel root's.
        EXPECT_EQ(meta.refs, root ? 0u : parents.contains(frame) ? parents[frame] : 1u);
        break;
      }
      case pt::FrameKind::kKernel:
        EXPECT_EQ(meta.refs, 1u);
        break;
      default:
        EXPECT_EQ(meta.kind, pt::FrameKind::kMeta);
    }
  });
  EXPECT_EQ(frames().total_frames() - frames().free_frames(), used + adopted_in_use() + kind_->adopted());
  EXPECT_EQ(machine().stale_translations(), 0u);
  kind_->check();
}

}  // namespace nopte::model
