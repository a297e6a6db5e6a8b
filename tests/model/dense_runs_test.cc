// Large pages that runs of touches get unasked, and what they pay for them (engine/ahead.h).
#include "native-fallback/engine/ahead.h"
#include "tests/model/large_pages.h"

namespace nopte::model {
namespace {

class DenseRuns : public testing::TestWithParam<const KindRow*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w.start());
    space = *w.create();
    ASSERT_TRUE(w.activate(space));
  }
  void TearDown() override {
    w.check();
    w.finish();
  }
  [[nodiscard]] u64 counted(u64 pt::EngineCounters::* counter) { return w.engine().counters().*counter; }
  [[nodiscard]] u64 large_pages() { return counted(&pt::EngineCounters::large_pages); }
  // Maps so many, touches every `step`th of them in order, and unmaps them.
  void go_through(u64 step = 1, u64 pages = kPages, Usage usage = {}) {
    const VaRange all = VaRange::of_pages(w.layout().base, pages);
    w.map(space, {.range = all, .perm = kPermRW, .usage = usage});
    for (u64 i = 0; i < pages; i += step) ASSERT_TRUE(w.touch(all.begin + pages_to_bytes(i), Access::kWrite));
    ASSERT_TRUE(w.unmap(space, all));
  }
  // All of them at once, and then touches each.
  void populate() {
    const VaRange all = VaRange::of_pages(w.layout().base, kPages);
    w.map(space, {.range = all, .perm = kPermRW});
    ASSERT_TRUE(w.advise(space, all, Advice::kPopulate));
    for (u64 i = 0; i < kPages; ++i) ASSERT_TRUE(w.touch(all.begin + pages_to_bytes(i), Access::kWrite));
    ASSERT_TRUE(w.unmap(space, all));
  }
  // A run that has earned large pages goes on in a region that is used so.
  void expect_none_behind_a_run(Usage usage) {
    for (u64 uses = 0; uses < kUses; uses += kPages) go_through();
    const VaRange run = VaRange::of_pages(w.layout().base, 2 * pt::kBlockFrames);
    const VaRange next = VaRange::of_pages(run.end, pt::kBlockFrames);
    w.map(space, {.range = run, .perm = kPermRW});
    w.map(space, {.range = next, .perm = kPermRW, .usage = usage});
    const u64 before = large_pages();
    for (Gva va = run.begin; va < run.end; va += kPageBytes) ASSERT_TRUE(w.touch(va, Access::kWrite));
    ASSERT_EQ(large_pages(), before + 1);
    ASSERT_TRUE(w.touch(next.begin, Access::kWrite));
    EXPECT_EQ(large_pages(), before + 1);
    ASSERT_TRUE(w.unmap(space, {run.begin, next.end}));
  }
  static constexpr u64 kPages = 4 * pt::kBlockFrames;
  // What use must have earned for one.
  static constexpr u64 kUses = pt::kBlockFrames * pt::AheadAccount::kUsesPerPage;

  World w{*GetParam(), 80 * pt::kBlockFrames, 1};
  SpaceId space{};
};

INSTANTIATE_TEST_SUITE_P(Kinds, DenseRuns, testing::ValuesIn(kLargePageKinds), kKindName);

TEST_P(DenseRuns, GetThemWhenTheyHaveEarnedThem) {
  for (u64 uses = 0; uses + kPages < kUses; uses += kPages) go_through();
  EXPECT_EQ(large_pages(), 0u);
  go_through();
  const u64 before = large_pages();
  const u64 faults = counted(&pt::EngineCounters::faults);
  const u64 ahead = counted(&pt::EngineCounters::pages_ahead);
  go_through(1, 3 * kPages);
  EXPECT_EQ(counted(&pt::EngineCounters::pages_ahead) - ahead,
            3 * kPages - (counted(&pt::EngineCounters::faults) - faults));
  // Behind the first 2 MiB, which small pages show.
  EXPECT_EQ(large_pages() - before, 3 * kPages / pt::kBlockFrames - 1);
  EXPECT_LE(counted(&pt::EngineCounters::faults) - faults, 30u);
}

TEST_P(DenseRuns, WhoWantsNoneGetsNone) {
  for (u64 uses = 0; uses < 2 * kUses; uses += kPages) {
    go_through(1, kPages, Usage(AccessPattern::kNormal, LargeLeaves::kNever));
  }
  EXPECT_EQ(large_pages(), 0u);
}

// The run goes on in another region.
TEST_P(DenseRuns, TheNextRegionMayBeToHaveNone) {
  expect_none_behind_a_run(Usage(AccessPattern::kNormal, LargeLeaves::kNever));
}
TEST_P(DenseRuns, TheNextRegionMayBeUsedAtRandom) { expect_none_behind_a_run(Usage(AccessPattern::kRandom)); }

TEST_P(DenseRuns, NobodyGetsThemWhereLittleIsFree) {
  for (u64 uses = 0; uses < kUses; uses += kPages) go_through();
  const VaRange much = VaRange::of_pages(w.layout().base + pages_to_bytes(2 * kPages),
                                         w.frames().free_frames() - 64 * pt::kBlockFrames + 1);
  w.map(space, {.range = much, .perm = kPermRW});
  ASSERT_TRUE(w.advise(space, much, Advice::kPopulate));
  const u64 before = large_pages();
  go_through();
  EXPECT_EQ(large_pages(), before);
}

TEST_P(DenseRuns, OthersDoNot) {
  for (u64 uses = 0; uses < 3 * kUses; uses += kPages / 2) go_through(2);
  EXPECT_EQ(large_pages(), 0u);
}

// What a run leaves of one is not known, so that runs that end in them do not get many.
TEST_P(DenseRuns, ThatBreakOffPayForAllThatTheyLeft) {
  for (u64 uses = 0; uses < 2 * kUses; uses += kPages) go_through();
  const u64 before = large_pages();
  const VaRange all = VaRange::of_pages(w.layout().base, kPages);
  for (u64 i = 0; i < 8; ++i) {
    w.map(space, {.range = all, .perm = kPermRW});
    for (u64 k = 0; k < pt::kBlockFrames + 1; ++k) {
      ASSERT_TRUE(w.touch(all.begin + pages_to_bytes(k), Access::kWrite));
    }
    ASSERT_TRUE(w.unmap(space, all));
  }
  EXPECT_LE(large_pages() - before, 2u);
}

// What was asked for page by page is nobody's run: it earns nothing, and costs nothing of what was earned.
TEST_P(DenseRuns, PopulatingDoesNotEarnThem) {
  for (u64 uses = 0; uses < 2 * kUses; uses += kPages) populate();
  EXPECT_EQ(counted(&pt::EngineCounters::pages_ahead), 0u);
  const u64 before = large_pages();
  go_through();
  EXPECT_EQ(large_pages(), before);
}

TEST_P(DenseRuns, PopulatingDoesNotPayForItsOwn) {
  for (u64 uses = 0; uses + kPages < kUses; uses += kPages) {
    go_through();
    populate();
  }
  go_through();
  const u64 before = large_pages();
  go_through(1, 3 * kPages);
  EXPECT_EQ(large_pages() - before, 3 * kPages / pt::kBlockFrames - 1);
}

// Nor is it paid back by a fault where it ended, once it is gone.
TEST_P(DenseRuns, ThatAreGoneAreNotGoneOnWith) {
  const VaRange run = VaRange::of_pages(w.layout().base, 2 * pt::kBlockFrames);
  const auto large_after_a_run = [&] {
    const u64 before = large_pages();
    w.map(space, {.range = run, .perm = kPermRW});
    for (u64 i = 0; i <= pt::kBlockFrames; ++i) {
      EXPECT_TRUE(w.touch(run.begin + pages_to_bytes(i), Access::kWrite));
    }
    EXPECT_TRUE(w.unmap(space, run));
    return large_pages() - before;
  };
  for (u64 uses = 0; uses < kUses; uses += kPages) go_through();
  ASSERT_EQ(large_after_a_run(), 1u);
  const VaRange behind = VaRange::of_pages(run.end, 1);
  w.map(space, {.range = behind, .perm = kPermRW});
  ASSERT_TRUE(w.touch(behind.begin, Access::kWrite));
  EXPECT_EQ(large_after_a_run(), 0u);
}

}  // namespace
}  // namespace nopte::model
