#include "tests/model/world.h"

#include <cstring>

namespace nopte::model {
namespace {

bool is_zero(const u8* page) { return page[0] == 0 && std::memcmp(page, page + 1, kPageBytes - 1) == 0; }

}  // namespace

World::World(const KindRow& row, u64 frames, unsigned cpus) : kind_(row.make(frames, cpus)) {}
World::~World() = default;

Result<void> World::start() {
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

void World::finish() {
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

Regions& World::regions(SpaceId id) {
  return id == SpaceId::kKernel ? kernel_regions_ : *user_spaces_.at(id);
}

SpaceId World::active() { return active_[machine().current()]; }

bool World::is_active(SpaceId id) const {
  for (const auto& [cpu, space] : active_) {
    if (space == id) return true;
  }
  return false;
}

Result<SpaceId> World::create() {
  auto regions = std::make_unique<Regions>();
  const auto id = engine().space_create(*regions);
  return keep(id, std::move(regions));
}

Result<SpaceId> World::clone(SpaceId parent) {
  auto regions = std::make_unique<Regions>(this->regions(parent));
  const auto id = engine().space_clone(parent, *regions);
  return keep(id, std::move(regions));
}

Result<void> World::destroy(SpaceId id, pt::Checkpoint* checkpoint) {
  NOPTE_TRY(engine().space_destroy(id, checkpoint));
  spaces_.erase(id);
  user_spaces_.erase(id);
  return {};
}

Result<void> World::activate(SpaceId id) {
  NOPTE_TRY(engine().space_activate(id));
  active_[machine().current()] = id;
  return {};
}

void World::map(SpaceId id, const RegionSpec& region) {
  ASSERT_TRUE(regions(id).free(region.range));
  regions(id).map(region);
}

Result<void> World::unmap(SpaceId id, VaRange range, pt::Checkpoint* checkpoint) {
  NOPTE_TRY(engine().region_unmapped(id, range, checkpoint));
  regions(id).unmap(range);
  return {};
}

Result<void> World::protect(SpaceId id, VaRange range, Perm perm, pt::Checkpoint* checkpoint) {
  if (!regions(id).covered(range)) return Fail(Status::kNoRegion);
  NOPTE_TRY(engine().region_protected(id, range, perm, checkpoint));
  regions(id).protect(range, perm);
  return {};
}

Result<void> World::move(SpaceId id, VaRange from, Gva to) {
  NOPTE_TRY(engine().region_moved(id, from, to));
  regions(id).move(from, to);
  return {};
}

Result<void> World::advise(SpaceId id, VaRange range, Advice advice, pt::Checkpoint* checkpoint) {
  return engine().region_advise(id, range, advice, checkpoint);
}

Result<Gva> World::kmem_alloc(u64 pages) { return engine().kmem_alloc(pages); }

Result<ObjectId> World::object_create(u64 pages) {
  auto mappings = std::make_unique<Mappings>(spaces_, ObjectId::kNone);
  const auto id = engine().object_create(pages, *mappings);
  return keep(id, std::move(mappings));
}

Result<ObjectId> World::object_adopt(pt::FrameRange contents) {
  auto mappings = std::make_unique<Mappings>(spaces_, ObjectId::kNone);
  const auto id = engine().object_adopt(contents, *mappings);
  if (id) adopted_ = contents.frames();
  return keep(id, std::move(mappings));
}

Result<void> World::object_destroy(ObjectId id, pt::Checkpoint* checkpoint) {
  NOPTE_TRY(engine().object_destroy(id, checkpoint));
  objects_.erase(id);
  return {};
}

World::Touched World::touch(Gva va, Access access, Privilege privilege) {
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

std::expected<u64, ViolationReason> World::read(Gva va, Privilege privilege) {
  const Touched word = touch(va, Access::kRead, privilege);
  if (!word) return std::unexpected(word.error());
  return **word;
}

ViolationReason World::write(Gva va, u64 value, Privilege privilege) {
  const Touched word = touch(va, Access::kWrite, privilege);
  if (!word) return word.error();
  **word = value;
  return ViolationReason::kNone;
}

AnyEngine::FaultResult World::fault(Gva va, Access access, Privilege privilege) {
  return engine().fault(active(), va, access, privilege);
}

u64 World::adopted_in_use() {
  u64 in_use = 0;
  for (u64 i = 0; i < adopted_; ++i) {
    if (frames().meta(outside().begin + i).kind != pt::FrameKind::kFree) ++in_use;
  }
  return in_use;
}

Result<SpaceId> World::keep(Result<SpaceId> id, std::unique_ptr<Regions> regions) {
  if (id) {
    spaces_[*id] = regions.get();
    user_spaces_[*id] = std::move(regions);
  }
  return id;
}

Result<ObjectId> World::keep(Result<ObjectId> id, std::unique_ptr<Mappings> mappings) {
  if (id) {
    mappings->set_object(*id);
    objects_[*id] = std::move(mappings);
  }
  return id;
}

void World::check() {
  // What waits may wait, but not for a flush.
  kind_->complete();
  absl::btree_map<Frame, u64> references;
  absl::btree_map<Frame, u64> large;  // leaves, by the first frame
  absl::btree_map<Frame, u64> parents;
  // A table that several lead to counts once.
  const auto count = [&](auto&& self, Frame table, unsigned level) -> void {
    kind_->for_each_entry(table, level, level == layout().levels, [&](unsigned i) {
      if (const auto first = kind_->large_frame(table, level, i)) ++large[*first];
      const std::optional<Frame> below = kind_->entry_frame(table, level, i);
      if (!below) return;
      if (level == 1) {
        ++references[*below];
      } else if (parents[*below]++ == 0) {
        self(self, *below, level - 1);
      }
    });
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
        kind_->for_each_entry(frame, meta.level, of_a_space, [&](unsigned i) {
          ++live;
          EXPECT_TRUE(kind_->marked(meta, i));
        });
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
