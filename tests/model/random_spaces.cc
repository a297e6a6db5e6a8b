// RandomRun: what is done to spaces and their regions.
#include "tests/model/random_run.h"

namespace nopte::model {
namespace {

constexpr u64 kMostSpaces = 6;

}  // namespace

void RandomRun::map() {
  const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
  RegionSpec region{.range = any_range(id), .perm = any_perm()};
  // Now and then a page in a table of its own, so that there are tables of many entries, which clones share.
  if (large() && id != SpaceId::kKernel && !one_in(4)) {
    const Gva at = layout_.areas[0] + (20 + below(80)) * layout_.leaf_table_bytes;
    region.range = VaRange::of_pages(at, 1);
  }
  if (large() && !one_in(8)) region.usage = Usage(AccessPattern::kNormal, LargeLeaves::kWanted);
  if (region.range.pages() > area_pages(id) + 2 * layout_.entries_per_table) return;
  if (id == SpaceId::kKernel || one_in(2)) {
    const auto object = any_object();
    if (!object) return;
    region.object = *object;
    region.object_page = below(80);
    region.sharing = id == SpaceId::kKernel || one_in(2) ? Sharing::kShared : Sharing::kPrivate;
    if (id == SpaceId::kKernel) region.perm = kPermRW;
  }
  if (one_in(3)) {
    region.usage = Usage(one_in(2) ? AccessPattern::kSequential : AccessPattern::kRandom);
  }
  if (!world_.regions(id).free(region.range)) return;
  world_.regions(id).map(region);
  ++histogram["map: ok"];
}

void RandomRun::unmap() {
  if (one_in(10)) {
    note("unmap", engine().region_unmapped(one_in(2) ? unknown_space() : any_space(), bad_range()));
    return;
  }
  const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
  const VaRange range = any_range(id);
  if (!taken("unmap", id, range, [&](VaRange left, pt::Checkpoint* checkpoint) {
        return engine().region_unmapped(id, left, checkpoint);
      })) {
    return;
  }
  world_.regions(id).unmap(range);
  reference_.drop(id, range);
}

void RandomRun::protect() {
  if (one_in(10)) {
    note("protect",
         engine().region_protected(one_in(2) ? unknown_space() : any_space(), bad_range(), kPermR));
    return;
  }
  const SpaceId id = any_space();
  const auto range = part_of_region(id);
  if (!range || id == SpaceId::kKernel) return;
  const Perm perm = any_perm();
  if (!taken("protect", id, *range, [&](VaRange left, pt::Checkpoint* checkpoint) {
        return engine().region_protected(id, left, perm, checkpoint);
      })) {
    return;
  }
  world_.regions(id).protect(*range, perm);
}

void RandomRun::move() {
  const SpaceId id = any_space();
  if (one_in(10)) {
    note("move", engine().region_moved(one_in(2) ? unknown_space() : id, bad_range(), layout_.areas[0]));
    return;
  }
  const auto from = part_of_region(id);
  if (!from || id == SpaceId::kKernel) return;
  Gva to = area_of(id) + pages_to_bytes(below(area_pages(id)));
  // Often so that large pages can stay so.
  if (large() && one_in(2)) to = to + (from->begin.value() - to.value()) % layout_.leaf_table_bytes;
  const VaRange target = VaRange::of_pages(to, from->pages());
  if (target.overlaps(*from)) {
    EXPECT_FALSE(note("move", engine().region_moved(id, *from, to)));
    return;
  }
  if (!world_.regions(id).free(target)) return;
  fail_soon();
  const Result<void> moved = world_.move(id, *from, to);
  if (note("move", moved)) {
    reference_.move(id, *from, to);
  } else {
    EXPECT_EQ(moved.error(), Status::kNoMemory);
    EXPECT_TRUE(scarce());
  }
}

void RandomRun::advise() {
  static constexpr const char* kNames[] = {"dont-need", "will-need", "populate"};
  const u32 which = static_cast<u32>(below(3));
  const Advice advice{which};
  if (one_in(10)) {
    note(kNames[which], world_.advise(one_in(2) ? unknown_space() : any_space(), bad_range(), advice));
    return;
  }
  const SpaceId id = one_in(5) ? SpaceId::kKernel : any_space();
  VaRange range = any_range(id);
  if (advice == Advice::kWillNeed && id != SpaceId::kKernel && !one_in(3)) {
    range = {layout_.areas[0], layout_.areas[3] + pages_to_bytes(area_pages(id))};
  }
  const VaRange all = range;
  if (advice == Advice::kDontNeed) fail_soon();
  Status last = Status::kOk;
  const bool done = until_done(kNames[which], [&](pt::Checkpoint* checkpoint) {
    const auto result = world_.advise(id, range, advice, checkpoint);
    if (!result) last = result.error();
    if (!result && result.error() == Status::kAgain) range.begin = checkpoint->next();
    return result;
  });
  if (advice == Advice::kPopulate && id != SpaceId::kKernel) note_copies(id, all);
  if (!done) {
    EXPECT_EQ(last, Status::kNoMemory);
    EXPECT_NE(advice, Advice::kWillNeed);
    // Nothing, where what a clone has too would have to be copied.
    if (advice == Advice::kDontNeed) {
      EXPECT_EQ(range, all);
    }
    EXPECT_TRUE(scarce());
  } else if (advice == Advice::kDontNeed) {
    reference_.drop(id, all);
  }
}

void RandomRun::note_copies(SpaceId id, VaRange range) {
  for (const auto& [begin, region] : world_.regions(id).list()) {
    if (region.object == ObjectId::kNone || region.sharing == Sharing::kShared || !region.perm.write())
      continue;
    const VaRange part = region.range.intersect(range);
    for (Gva va = part.begin; va < part.end; va += kPageBytes) {
      const auto installed = engine().peek(id, va);
      if (!installed || world_.frames().meta(installed->frame).kind != pt::FrameKind::kAnon) continue;
      auto& values = reference_.spaces.at(id).values;
      if (!values.contains(va.page())) values[va.page()] = *reference_.access(id, va, Access::kRead);
    }
  }
}

void RandomRun::create() {
  if (world_.user_spaces().size() >= kMostSpaces) return;
  if (one_in(4)) fail_soon();
  const auto id = world_.create();
  if (note("create", id)) {
    reference_.spaces[*id].regions = &world_.regions(*id);
  } else {
    EXPECT_TRUE(scarce());
  }
}

void RandomRun::clone() {
  if (one_in(10)) {
    const SpaceId bad = one_in(2) ? unknown_space() : SpaceId::kKernel;
    note("clone", engine().space_clone(bad, world_.regions(SpaceId::kKernel)));
    return;
  }
  const SpaceId parent = any_space();
  if (parent == SpaceId::kKernel || world_.user_spaces().size() >= kMostSpaces) return;
  const auto child = world_.clone(parent);
  if (note("clone", child)) {
    const Reference::Space copy = reference_.spaces[parent];  // a reference would not outlive the new element
    reference_.spaces[*child] = copy;
    reference_.spaces[*child].regions = &world_.regions(*child);
  } else {
    EXPECT_EQ(child.error(), Status::kNoMemory);
    EXPECT_TRUE(scarce());
  }
}

void RandomRun::destroy() {
  if (one_in(10)) {
    note("destroy", engine().space_destroy(one_in(2) ? unknown_space() : SpaceId::kKernel));
    return;
  }
  const SpaceId id = any_space();
  if (id == SpaceId::kKernel) return;
  const bool runs = world_.is_active(id);
  const bool done =
      until_done("destroy", [&](pt::Checkpoint* checkpoint) { return world_.destroy(id, checkpoint); });
  EXPECT_EQ(done, !runs);
  if (done) reference_.spaces.erase(id);
}

void RandomRun::activate() {
  world_.machine().set_current(static_cast<unsigned>(below(world_.machine().cpus())));
  if (one_in(10)) {
    note("activate", engine().space_activate(unknown_space()));
    return;
  }
  ASSERT_TRUE(note("activate", world_.activate(one_in(6) ? SpaceId::kKernel : any_space())));
}

}  // namespace nopte::model
