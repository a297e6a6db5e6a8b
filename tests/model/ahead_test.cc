// What a fault installs besides the page that was asked for (engine/ahead.h), over every kind of sink: where
// it comes and where it does not, what it may waste, and that nobody sees a difference but by counting.
#include "tests/model/ahead_worlds.h"

namespace nopte::model {
namespace {

INSTANTIATE_TEST_SUITE_P(Kinds, Ahead, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(Ahead, ARunOfTouchesTakesFewFaults) {
  world.map(first, anonymous(kBase, 1024));
  EXPECT_LE(faults_of(0, 1024, 1, Access::kWrite), 1024 / 12);  // the account is small at first
  EXPECT_EQ(faults_of(0, 1024, 1, Access::kWrite), 0u);
  EXPECT_EQ(installed(0, 1024), 1024u);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 1024)}));
  world.map(first, anonymous(kBase, 1024));
  EXPECT_LE(faults_of(0, 1024, 1, Access::kWrite), 1024 / 16);
}

TEST_P(Ahead, ReadsGoAheadToo) {
  world.map(first, anonymous(kBase, 512));
  EXPECT_LE(faults_of(0, 512, 1, Access::kRead), 512 / 8);
  EXPECT_EQ(faults_of(0, 512, 1, Access::kWrite), 0u);
}

TEST_P(Ahead, NothingComesWithoutANeighbour) {
  world.map(first, anonymous(kBase, 512));
  EXPECT_EQ(faults_of(0, 512, 2, Access::kWrite), 256u);
  EXPECT_EQ(ahead(), 0u);
  EXPECT_EQ(installed(0, 512), 256u);
}

TEST_P(Ahead, ItStaysInsideTheRegion) {
  world.map(first, anonymous(kBase, 10));
  world.map(first, anonymous(page(kBase, 10), 10, kPermR));
  faults_of(0, 10, 1, Access::kWrite);
  EXPECT_EQ(installed(0, 10), 10u);
  EXPECT_EQ(installed(10, 40), 0u);
}

TEST_P(Ahead, ItStopsAtWhatIsThere) {
  world.map(first, anonymous(kBase, 64));
  ASSERT_EQ(world.write(page(kBase, 5), 55), kFine);
  faults_of(0, 5, 1, Access::kWrite);
  EXPECT_EQ(installed(6, 64), 0u);
  EXPECT_EQ(world.read(page(kBase, 5)), 55u);
}

// Five touches and on to the next place, far and wide.
TEST_P(Ahead, WasteIsSmallAndCounted) {
  constexpr u64 kPlaces = 100;
  world.map(first, anonymous(kBase, kPlaces * 20));
  for (u64 place = 0; place < kPlaces; ++place) faults_of(place * 20, place * 20 + 5, 1, Access::kWrite);
  const u64 touched = kPlaces * 5;
  const u64 there = installed(0, kPlaces * 20);
  EXPECT_GT(there, touched);
  EXPECT_LE(there - touched, pt::AheadAccount::kFirst + touched / 20);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, kPlaces * 20)}));
  EXPECT_EQ(unused(), marks() ? there - touched : 0);
  EXPECT_EQ(wasted(), unused());
}

TEST_P(Ahead, WasteIsCountedWhenASpaceEnds) {
  world.map(first, anonymous(kBase, 64));
  faults_of(0, 5, 1, Access::kWrite);
  const u64 there = installed(0, 64);
  ASSERT_EQ(there, 8u);
  const SpaceId other = *world.create();
  ASSERT_TRUE(world.activate(other));
  ASSERT_TRUE(world.destroy(first));
  EXPECT_EQ(unused(), marks() ? 3u : 0u);
}

// What was used before it went is paid back, wherever a region ends.
TEST_P(Ahead, ShortRegionsThatAreUsedUpGoOnGettingPagesAhead) {
  for (u64 round = 0; round < 100; ++round) {
    world.map(first, anonymous(kBase, 12));
    EXPECT_LE(faults_of(0, 12, 1, Access::kWrite), 5u) << round;
    ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 12)}));
  }
  EXPECT_EQ(unused(), 0u);
}

TEST_P(Ahead, OfAnObjectComesWhatItHas) {
  const ObjectId object = *world.object_create(100);
  for (u64 i = 0; i < 100; ++i) {
    if (i % 10 != 9) *world.engine().object_pointer(object, i).value() = static_cast<u8>(i);
  }
  world.map(first, of_object(kBase, 120, object, Sharing::kShared));
  world.map(first, of_object(page(kBase, 200), 100, object, Sharing::kPrivate));
  const u64 zeroed = counted(&pt::EngineCounters::frames_zeroed);
  const u64 copied = counted(&pt::EngineCounters::frames_copied);
  faults_of(0, 9, 1, Access::kWrite);
  EXPECT_EQ(installed(0, 16), 15u);  // but for page 9
  EXPECT_EQ(counted(&pt::EngineCounters::frames_zeroed), zeroed);
  EXPECT_LE(faults_of(0, 100, 1, Access::kWrite), 40u);
  EXPECT_EQ(installed(100, 120), 0u);
  // Reads of a private mapping see the object's pages, and a write gets its copy alone.
  EXPECT_LE(faults_of(200, 300, 1, Access::kRead), 80u);
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), copied);
  ASSERT_EQ(world.write(page(kBase, 203), 9), kFine);
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), copied + 1);
  EXPECT_EQ(world.read(page(kBase, 3)), 3u);
}

TEST_P(Ahead, UnusedEntriesOfAnObjectWasteNoMemory) {
  const ObjectId object = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_pointer(object, i).value() = 1;
  world.map(first, of_object(kBase, 64, object, Sharing::kShared));
  faults_of(0, 5, 1, Access::kRead);
  ASSERT_EQ(installed(0, 64), 8u);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 64)}));
  EXPECT_EQ(unused(), marks() ? 3u : 0u);
  EXPECT_EQ(wasted(), 0u);
}

TEST_P(Ahead, PrivateWritesCopyWhatTheyWrite) {
  const ObjectId object = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_pointer(object, i).value() = 1;
  world.map(first, of_object(kBase, 64, object, Sharing::kPrivate));
  EXPECT_EQ(faults_of(0, 32, 1, Access::kWrite), 32u);
  EXPECT_EQ(installed(0, 64), 32u);
}

TEST_P(Ahead, ResidentIsWhatWasTouched) {
  world.map(first, anonymous(kBase, 64));
  faults_of(0, 5, 1, Access::kWrite);
  ASSERT_EQ(installed(0, 64), 8u);
  EXPECT_EQ(*world.engine().region_resident(first, {kBase, page(kBase, 64)}), marks() ? 0x1fu : 0xffu);
}

TEST_P(Ahead, PopulatedPagesAreNotAhead) {
  world.map(first, anonymous(kBase, 100));
  ASSERT_TRUE(world.advise(first, {kBase, page(kBase, 100)}, Advice::kPopulate));
  EXPECT_EQ(installed(0, 100), 100u);
  EXPECT_EQ(ahead(), 0u);
  EXPECT_EQ(faults_of(0, 100, 1, Access::kWrite), 0u);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 100)}));
  EXPECT_EQ(unused(), 0u);
}

TEST_P(Ahead, ItFailsByDoingLess) {
  world.map(first, anonymous(kBase, 64));
  faults_of(0, 4, 1, Access::kWrite);
  // The page that is asked for, and one more.
  world.frames().fail_allocation(3, pt::FrameTable::Failing::kFrom);
  ASSERT_EQ(world.write(page(kBase, 4), 4), kFine);
  world.frames().fail_allocation(0);
  EXPECT_EQ(installed(0, 64), 6u);
  world.check();
}

TEST_P(Ahead, AtRandomNothingComes) {
  constexpr AccessPattern kRandom = AccessPattern::kRandom;
  world.map(first, used(anonymous(kBase, 128), kRandom));
  EXPECT_EQ(faults_of(0, 128, 1, Access::kWrite), 128u);
  const ObjectId object = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_pointer(object, i).value() = 1;
  world.map(first, used(of_object(page(kBase, 200), 64, object, Sharing::kShared), kRandom));
  world.map(first, used(of_object(page(kBase, 300), 64, object, Sharing::kPrivate), kRandom));
  EXPECT_EQ(faults_of(200, 264, 1, Access::kRead), 64u);
  EXPECT_EQ(faults_of(300, 364, 1, Access::kRead), 64u);
  EXPECT_EQ(ahead(), 0u);
}

// As few pages as a clone copies, so that each has lost its right.
TEST_P(Ahead, RightsToWriteComeBackAsTheyAreUsed) {
  constexpr u64 kPages = 40;
  const auto faults = [&](AccessPattern pattern) {
    world.map(first, used(anonymous(kBase, kPages), pattern));
    for (u64 i = 0; i < kPages; ++i) EXPECT_EQ(world.write(page(kBase, i), i), kFine);
    const SpaceId child = *world.clone(first);
    EXPECT_TRUE(world.destroy(child));
    const u64 taken = faults_of(0, kPages, 1, Access::kWrite);
    EXPECT_TRUE(world.unmap(first, {kBase, page(kBase, kPages)}));
    return taken;
  };
  EXPECT_EQ(faults(AccessPattern::kRandom), kPages);
  EXPECT_EQ(faults(AccessPattern::kSequential), 1u);
  const u64 normal = faults(AccessPattern::kNormal);
  EXPECT_GT(normal, 1u);
  EXPECT_LT(normal, kPages / 2);
}

// What there is of memory in these worlds allows: one part in AheadPolicy::kFreeParts of what is free.
constexpr u64 kLeastStep = 48;

TEST_P(Ahead, ASequenceBeginsWithALargeStep) {
  world.map(first, used(anonymous(kBase, 256), AccessPattern::kSequential));
  const u64 faults = faults_of(0, 256, 1, Access::kWrite);
  EXPECT_LE(faults, 256 / kLeastStep + 1);
  EXPECT_EQ(installed(0, 256), 256u);
  EXPECT_EQ(ahead(), 256 - faults);
  world.check();
  // Wherever it begins, and at every place anew.
  world.map(first, used(anonymous(page(kBase, 300), 200), AccessPattern::kSequential));
  faults_of(310, 311, 1, Access::kRead);
  const u64 step = installed(300, 500);
  EXPECT_EQ(installed(310, 310 + step), step);
  EXPECT_GE(step, kLeastStep);
  EXPECT_LE(step, 64u);
  faults_of(480, 481, 1, Access::kWrite);
  EXPECT_EQ(installed(480, 500), 20u);
  EXPECT_EQ(installed(300, 500), step + 20);
  world.check();
}

TEST_P(Ahead, ASequenceStaysInItsRegionAndItsTable) {
  const u64 table = world.layout().entries_per_table;
  world.map(first, used(anonymous(kBase, 10), AccessPattern::kSequential));
  world.map(first, anonymous(page(kBase, 10), 10));
  EXPECT_EQ(faults_of(0, 10, 1, Access::kWrite), 1u);
  EXPECT_EQ(installed(10, 20), 0u);
  world.map(first, used(anonymous(page(kBase, table - 8), 100), AccessPattern::kSequential));
  EXPECT_EQ(faults_of(table - 8, table, 1, Access::kWrite), 1u);
  EXPECT_EQ(installed(table, table + 92), 0u);
  EXPECT_EQ(faults_of(table, table + kLeastStep, 1, Access::kWrite), 1u);
}

TEST_P(Ahead, ASequenceOfAnObjectIsWhatItHas) {
  const ObjectId object = *world.object_create(50);
  for (u64 i = 0; i < 50; ++i) {
    if (i != 9) *world.engine().object_pointer(object, i).value() = 1;
  }
  for (const u64 at : {0, 100}) {
    const Sharing sharing = at == 0 ? Sharing::kShared : Sharing::kPrivate;
    world.map(first, used(of_object(page(kBase, at), 64, object, sharing), AccessPattern::kSequential));
    EXPECT_EQ(faults_of(at, at + 9, 1, Access::kRead), 1u);
    EXPECT_EQ(installed(at, at + 64), 49u);
  }
  world.check();
}

TEST_P(Ahead, WhatASequenceWastesIsCountedAndNobodyPays) {
  world.map(first, used(anonymous(kBase, 512), AccessPattern::kSequential));
  faults_of(0, 512, 64, Access::kWrite);
  const u64 there = installed(0, 512);
  EXPECT_GE(there, 8 * kLeastStep);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 512)}));
  EXPECT_EQ(wasted(), marks() ? there - 8 : 0);
  world.map(first, anonymous(kBase, 12));
  EXPECT_LE(faults_of(0, 12, 1, Access::kWrite), 5u);
}

TEST_P(Ahead, ASequenceFailsByDoingLess) {
  world.map(first, used(anonymous(kBase, 512), AccessPattern::kSequential));
  for (u64 nth = 1; nth < 12; ++nth) {
    world.frames().fail_allocation(nth, pt::FrameTable::Failing::kFrom);
    const ViolationReason written = world.write(page(kBase, 64), 4);
    world.frames().fail_allocation(0);
    world.check();
    EXPECT_TRUE(written == kFine || written == ViolationReason::kNoMemory);
    ASSERT_TRUE(world.advise(first, {kBase, page(kBase, 512)}, Advice::kDontNeed));
  }
}

TEST_P(Ahead, APrivatePageThatCameAheadIsCopiedWhenItIsWritten) {
  const ObjectId object = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_pointer(object, i).value() = 1;
  const RegionSpec region = of_object(kBase, 64, object, Sharing::kPrivate);
  world.map(first, used(region, AccessPattern::kSequential));
  EXPECT_EQ(world.read(kBase), 1u);
  ASSERT_GE(installed(0, 64), kLeastStep);
  const u64 copied = counted(&pt::EngineCounters::frames_copied);
  ASSERT_EQ(world.write(page(kBase, 5), 9), kFine);
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), copied + 1);
  EXPECT_EQ(*world.engine().object_pointer(object, 5).value(), 1);
  // Behind a page that is copied at once nothing comes.
  ASSERT_TRUE(world.unmap(first, region.range));
  world.map(first, used(region, AccessPattern::kSequential));
  ASSERT_EQ(world.write(kBase, 9), kFine);
  EXPECT_EQ(installed(0, 64), 1u);
}

// Its size is the new one, and the pages behind that are still in its index.
TEST_P(Ahead, NothingComesPastTheEndOfAnObjectThatIsBeingCut) {
  const ObjectId object = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_pointer(object, i).value() = 1;
  const auto stop = [] { return true; };
  pt::Checkpoint checkpoint(stop);
  const auto cut = world.engine().object_resize(object, 32, &checkpoint);
  ASSERT_EQ(cut, Fail(Status::kAgain));
  world.map(first, used(of_object(kBase, 64, object, Sharing::kShared), AccessPattern::kSequential));
  EXPECT_EQ(world.read(kBase), 1u);
  EXPECT_EQ(installed(0, 64), 32u);
  ASSERT_TRUE(world.engine().object_resize(object, 32));
  EXPECT_EQ(world.read(page(kBase, 32)), std::unexpected(ViolationReason::kPastEnd));
}

// What is there is counted: by whole tables, by parts of one, and of what a clone shares too.
TEST_P(Ahead, WhatIsInstalledIsCounted) {
  const auto count = [&](SpaceId space, u64 begin, u64 end) {
    VaRange range{page(kBase, begin), page(kBase, end)};
    u64 found = 0;
    while (!range.empty()) {
      const Gva before = range.begin;
      const auto some = world.engine().region_installed(space, range);
      EXPECT_TRUE(some);
      EXPECT_EQ(some->large, 0u);
      if (!some || range.begin <= before) break;
      found += some->pages;
    }
    return found;
  };
  world.map(first, used(anonymous(kBase, 3000), AccessPattern::kRandom));
  EXPECT_EQ(count(first, 0, 3000), 0u);
  u64 expected = 0;
  for (u64 i = 3; i < 3000; i += 7, ++expected) ASSERT_EQ(world.write(page(kBase, i), i), kFine);
  EXPECT_EQ(count(first, 0, 3000), expected);
  EXPECT_EQ(count(first, 3, 4), 1u);
  EXPECT_EQ(count(first, 4, 10), 0u);
  EXPECT_EQ(count(first, 100, 2100), 286u);
  const SpaceId child = *world.clone(first);
  EXPECT_EQ(count(first, 0, 3000), expected);
  EXPECT_EQ(count(child, 0, 3000), expected);
  EXPECT_EQ(count(child, 100, 2100), 286u);
  VaRange outside{world.layout().windows.begin, world.layout().windows.begin + kPageBytes};
  EXPECT_FALSE(world.engine().region_installed(first, outside));
  VaRange none{kBase, kBase};
  EXPECT_FALSE(world.engine().region_installed(first, none));
}

// Where little is free, nothing is given ahead: the last page is there for who asks for it.
TEST_P(Ahead, TheLastPagesAreNotGivenAhead) {
  world.map(first, anonymous(kBase, 8192));
  u64 touched = 0;
  constexpr u64 kTables = 3;
  for (u64 free = world.frames().free_frames(); world.write(page(kBase, touched), 1) == kFine; ++touched) {
    const u64 taken = free - world.frames().free_frames();
    EXPECT_LE(taken, 1 + kTables + free / pt::AheadPolicy::kFreeParts) << touched;
    free -= taken;
  }
  EXPECT_EQ(installed(0, 8192), touched);
  EXPECT_LT(world.frames().free_frames(), 4u);
}

}  // namespace
}  // namespace nopte::model
