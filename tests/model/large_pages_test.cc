// Large pages: where they come, and how they come apart.
#include "tests/model/large_pages.h"

#include "tests/support/work_meter.h"

namespace nopte::model {
namespace {

INSTANTIATE_TEST_SUITE_P(Kinds, LargePages,
                         testing::Combine(testing::ValuesIn(kLargePageKinds),
                                          testing::Values(Beside::kNothing, Beside::kManyTables)),
                         kLargePageName);

TEST_P(LargePages, OneFaultInstallsAllOfIt) {
  map(0, kLarge);
  const u64 faults = counted(&pt::EngineCounters::faults);
  EXPECT_EQ(w.write(at(5), 6), kFine);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults + 1);
  EXPECT_TRUE(is_large(parent, 0));
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 1u);
  w.check();
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(i)), i == 5 ? 6u : 0u);
  fill(0, kLarge);
  expect_filled(0, kLarge);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults + 1);
}

TEST_P(LargePages, ItComesForAReadAndIsWrittenWithoutAFaultMore) {
  map(0, kLarge);
  EXPECT_EQ(w.read(at(3)), 0u);
  const u64 faults = counted(&pt::EngineCounters::faults);
  EXPECT_EQ(w.write(at(7), 8), kFine);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
}

TEST_P(LargePages, ItLiesInsideOneRegion) {
  map(1, kLarge + 1);
  map(2 * kLarge, 3 * kLarge - 1);
  fill(1, kLarge + 1);
  fill(2 * kLarge, 2 * kLarge + 3);
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 0u);
}

TEST_P(LargePages, NobodyGetsOneUnasked) {
  for (const LargeLeaves asked : {LargeLeaves::kNever, LargeLeaves::kAsItComes}) {
    map(0, kLarge, kPermRW, Usage(AccessPattern::kNormal, asked));
    fill(0, kLarge);
    ASSERT_TRUE(w.unmap(parent, pages(0, kLarge)));
  }
  map(0, kLarge, kPermRW, UsageChange{Usage::kBarred, Usage::kBarred}.of(kWanted));
  fill(0, kLarge);
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 0u);
}

TEST_P(LargePages, AnObjectsPagesAreSmall) {
  const ObjectId object = *w.object_create(kLarge);
  for (const Sharing sharing : {Sharing::kShared, Sharing::kPrivate}) {
    const u64 first = sharing == Sharing::kShared ? 0 : kLarge;
    w.map(parent, {.range = pages(first, first + kLarge),
                   .perm = kPermRW,
                   .sharing = sharing,
                   .usage = kWanted,
                   .object = object});
    fill(first, first + kLarge);
  }
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 0u);
}

TEST_P(LargePages, NoBlockIsAnAnswer) {
  map(0, 2 * kLarge);
  w.frames().fail_allocation(1);
  while (w.engine().peek(parent, at(0)) == std::nullopt) {
    // The tables above come first.
    (void)w.write(at(0), 1);
  }
  w.frames().fail_allocation(0);
  fill(0, 2 * kLarge);
  expect_filled(0, 2 * kLarge);
}

TEST_P(LargePages, MemoryThatCameBackInPiecesIsLargeAgain) {
  map(0, kLarge);
  u64 most = 0;
  // As much as there is, in small pages and then in large ones.
  const u64 room = free_frames() - 64;
  map(kLarge, kLarge + room, kPermRW, Usage());
  for (u64 i = kLarge; i < kLarge + room; ++i) ASSERT_EQ(w.write(at(i), i), kFine);
  ASSERT_TRUE(w.unmap(parent, pages(kLarge, kLarge + room)));
  w.check();
  for (u64 tries = 0; tries < 2 * 8192 / kLarge; ++tries) {
    ASSERT_EQ(w.write(at(0), 1), kFine);
    if (is_large(parent, 0)) ++most;
    map(kLarge, 2 * kLarge);
    ASSERT_EQ(w.write(at(kLarge), 1), kFine);
    ASSERT_TRUE(w.unmap(parent, pages(kLarge, 2 * kLarge)));
    ASSERT_TRUE(w.advise(parent, pages(0, kLarge), Advice::kDontNeed));
    w.check();
  }
  EXPECT_GE(most, 8192 / kLarge);
}

TEST_P(LargePages, AllOfItGoesAtOnce) {
  const u64 before = free_frames();
  map_filled(2);
  EXPECT_LE(free_frames(), before - 2 * kLarge);
  ASSERT_TRUE(w.unmap(parent, pages(0, 2 * kLarge)));
  EXPECT_EQ(free_frames(), before);  // the tables, too
  EXPECT_EQ(splits(), 0u);
  w.check();
  EXPECT_EQ(w.read(at(3)), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(LargePages, APartGoesFromAPlaceOfItsOwn) {
  map_filled(3);
  ASSERT_TRUE(w.unmap(parent, pages(10, 20)));  // amidst one
  w.check();
  EXPECT_EQ(splits(), 1u);
  ASSERT_TRUE(w.advise(parent, pages(kLarge + 500, 2 * kLarge + 7), Advice::kDontNeed));  // across two
  w.check();
  EXPECT_EQ(splits(), 3u);
  expect_filled(0, 10);
  EXPECT_EQ(w.read(at(10)), std::unexpected(ViolationReason::kNoRegion));
  EXPECT_EQ(w.read(at(19)), std::unexpected(ViolationReason::kNoRegion));
  expect_filled(20, kLarge + 500);
  for (u64 i = kLarge + 500; i < 2 * kLarge + 7; ++i) ASSERT_EQ(w.read(at(i)), 0u) << i;
  expect_filled(2 * kLarge + 7, 3 * kLarge);
}

TEST_P(LargePages, RightsOfAllOfItAreTheLeafs) {
  map_filled(1);
  ASSERT_TRUE(w.protect(parent, pages(0, kLarge), kPermR));
  w.check();
  EXPECT_EQ(w.write(at(9), 1), ViolationReason::kPermission);
  ASSERT_TRUE(w.protect(parent, pages(0, kLarge), kPermNone));
  w.check();
  EXPECT_EQ(w.read(at(9)), std::unexpected(ViolationReason::kPermission));
  EXPECT_TRUE(is_large(parent, 9));
  ASSERT_TRUE(w.protect(parent, pages(0, kLarge), kPermRW));
  w.check();
  const u64 faults = counted(&pt::EngineCounters::faults);
  expect_filled(0, kLarge);
  EXPECT_EQ(w.write(at(9), 10), kFine);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
  EXPECT_TRUE(is_large(parent, 9));
  EXPECT_EQ(splits(), 0u);
}

TEST_P(LargePages, RightsOfAPartSplitIt) {
  map_filled(1);
  ASSERT_TRUE(w.protect(parent, pages(7, 9), kPermR));
  w.check();
  EXPECT_EQ(splits(), 1u);
  for (u64 i = 5; i < 11; ++i) {
    EXPECT_EQ(w.write(at(i), i + 1), i == 7 || i == 8 ? ViolationReason::kPermission : kFine);
  }
  expect_filled(0, kLarge);
  // Nothing of it is another's: all comes back.
  ASSERT_TRUE(w.unmap(parent, pages(0, kLarge)));
}

// The promise changed in a part without a call that took anything away.
TEST_P(LargePages, AFaultInAPartOfWhatItWasPromisedForSplitsIt) {
  map(0, kLarge, kPermR);
  EXPECT_EQ(w.read(at(0)), 0u);
  ASSERT_TRUE(is_large(parent, 0));
  w.regions(parent).protect(pages(100, 200), kPermRW);
  EXPECT_EQ(w.write(at(150), 151), kFine);
  w.check();
  EXPECT_EQ(splits(), 1u);
  EXPECT_EQ(w.write(at(99), 100), ViolationReason::kPermission);
}

TEST_P(LargePages, ItMovesWholeToWhereOneCouldBegin) {
  map_filled(2);
  const Gva to = at(8 * kLarge);
  ASSERT_TRUE(w.move(parent, pages(0, 2 * kLarge), to));
  w.check();
  EXPECT_EQ(splits(), 0u);
  EXPECT_TRUE(is_large(parent, 8 * kLarge));
  for (u64 i = 0; i < 2 * kLarge; ++i) ASSERT_EQ(w.read(at(8 * kLarge + i)), i + 1);
  EXPECT_EQ(w.read(at(0)), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(LargePages, ItMovesInPiecesToElsewhere) {
  map_filled(2);
  ASSERT_TRUE(w.move(parent, pages(0, kLarge), at(8 * kLarge + 3)));
  w.check();
  EXPECT_EQ(splits(), 1u);
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(8 * kLarge + 3 + i)), i + 1);
  // A part, to where a table is already; and all of one, likewise.
  ASSERT_TRUE(w.move(parent, pages(kLarge, kLarge + 4), at(9 * kLarge + 100)));
  ASSERT_TRUE(w.move(parent, pages(kLarge + 4, 2 * kLarge), at(12 * kLarge + 4)));
  w.check();
  for (u64 i = 0; i < 4; ++i) ASSERT_EQ(w.read(at(9 * kLarge + 100 + i)), kLarge + i + 1);
  for (u64 i = 4; i < kLarge; ++i) ASSERT_EQ(w.read(at(12 * kLarge + i)), kLarge + i + 1);
}

TEST_P(LargePages, ItMovesToWhereAnEmptyTableIs) {
  map_filled(1);
  // The table stays where small pages are beside, and goes with the last.
  w.map(parent, {.range = pages(4 * kLarge, 4 * kLarge + 1), .perm = kPermRW});
  EXPECT_EQ(w.write(at(4 * kLarge), 1), kFine);
  w.map(parent, {.range = pages(5 * kLarge - 1, 5 * kLarge), .perm = kPermRW});
  ASSERT_TRUE(w.unmap(parent, pages(4 * kLarge, 4 * kLarge + 1)));
  ASSERT_TRUE(w.unmap(parent, pages(5 * kLarge - 1, 5 * kLarge)));
  ASSERT_TRUE(w.move(parent, pages(0, kLarge), at(4 * kLarge)));
  w.check();
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(4 * kLarge + i)), i + 1);
}

// Every processor forgets what it knows of a large page when a part of it changes.
TEST_P(LargePages, NoProcessorKeepsWhatItKnewOfAPart) {
  map_filled(1);
  on(1);
  in(parent);
  EXPECT_EQ(w.read(at(0)), 1u);  // all of it is known here by that
  on(0);
  ASSERT_TRUE(w.protect(parent, pages(300, 301), kPermR));
  w.check();
  on(1);
  EXPECT_EQ(w.write(at(300), 1), ViolationReason::kPermission);
  EXPECT_EQ(w.read(at(0)), 1u);
  on(0);
  clone();
  EXPECT_EQ(w.write(at(2), 99), kFine);
  w.check();
  on(1);
  EXPECT_EQ(w.read(at(2)), 99u);
  ASSERT_TRUE(w.unmap(parent, pages(0, kLarge)));
  w.check();
}

TEST_P(LargePages, ResidentIsAllOfIt) {
  map(0, 2 * kLarge);
  EXPECT_EQ(w.write(at(5), 6), kFine);
  EXPECT_EQ(*w.engine().region_resident(parent, pages(kLarge - 10, kLarge + 10)), (u64{1} << 10) - 1);
}

TEST_P(LargePages, PopulatingGoesPastThem) {
  map(0, 2 * kLarge);
  EXPECT_EQ(w.write(at(5), 6), kFine);
  const u64 zeroed = counted(&pt::EngineCounters::frames_zeroed);
  ASSERT_TRUE(w.advise(parent, pages(0, kLarge + 10), Advice::kPopulate));
  w.check();
  EXPECT_EQ(counted(&pt::EngineCounters::frames_zeroed), zeroed + 10);
  EXPECT_EQ(w.read(at(5)), 6u);
}

// Whatever fails for want of memory has changed nothing, and can be done when there is some.
TEST_P(LargePages, ASplitWithoutMemoryChangesNothing) {
  map_filled(2);
  const auto fails = [&](auto operation) {
    const u64 before = free_frames();
    w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
    const Result<void> result = operation();
    w.frames().fail_allocation(0);
    EXPECT_EQ(result, Fail(Status::kNoMemory));
    EXPECT_EQ(free_frames(), before);
    w.check();
    expect_filled(0, 2 * kLarge);
    ASSERT_TRUE(is_large(parent, 0));
  };
  fails([&] { return w.unmap(parent, pages(10, 20)); });
  fails([&] { return w.unmap(parent, pages(0, 20)); });
  fails([&] { return w.protect(parent, pages(10, kLarge), kPermR); });
  fails([&] { return w.advise(parent, pages(0, kLarge + 10), Advice::kDontNeed); });
  fails([&] { return w.move(parent, pages(0, kLarge), at(8 * kLarge + 1)); });
  fails([&] { return w.engine().make_ready(parent, pages(3, kLarge)); });
  // What needs no split needs no memory.
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  EXPECT_TRUE(w.protect(parent, pages(0, 2 * kLarge), kPermR));
  EXPECT_TRUE(w.unmap(parent, pages(0, 2 * kLarge)));
  w.frames().fail_allocation(0);
}

TEST_P(LargePages, AfterMakeReadyPartsNeedNoMemory) {
  map_filled(3);
  const VaRange whole = pages(10, 2 * kLarge + 10);
  ASSERT_TRUE(w.engine().make_ready(parent, whole));
  w.check();
  EXPECT_EQ(splits(), 2u);
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  const auto stop = [] { return false; };
  pt::Checkpoint checkpoint(stop, whole);
  for (u64 i = 10; i < 2 * kLarge + 10; i += 50) {
    const VaRange part = pages(i, std::min(i + 50, 2 * kLarge + 10));
    ASSERT_TRUE(w.unmap(parent, part, &checkpoint));
    w.check();
  }
  w.frames().fail_allocation(0);
  expect_filled(0, 10);
  expect_filled(2 * kLarge + 10, 3 * kLarge);
}

// A space full of large pages, cloned and taken apart: what one look at the checkpoint is from the next.
TEST_P(LargePages, NoCallDoesMuchAtOnce) {
  const u64 count = 8;
  map_filled(count);
  clone();
  in(child);
  for (u64 i = 0; i < 4; ++i) ASSERT_EQ(w.write(at(i * kLarge + i), 1), kFine);
  test::WorkMeter meter;
  const auto stop = [&] {
    meter.look();
    return false;
  };
  pt::Checkpoint checkpoint(stop);
  const auto expect_kept = [&](const char* what, auto operation) {
    meter.begin();
    ASSERT_TRUE(operation()) << what;
    meter.look();
    EXPECT_TRUE(meter.kept()) << what << ": " << meter.most() << " units, "
                              << meter.most_of(work::Unit::kTable) << " tables";
    w.check();
  };
  expect_kept("protect",
              [&] { return w.protect(child, pages(kLarge, count * kLarge - 1), kPermR, &checkpoint); });
  expect_kept("unmap", [&] { return w.unmap(child, pages(7, 3 * kLarge + 1), &checkpoint); });
  in(parent);
  expect_kept("write", [&] { return w.write(at(2), 3) == kFine; });
  expect_kept("unmap", [&] { return w.unmap(parent, pages(5, (count - 1) * kLarge), &checkpoint); });
  expect_kept("destroy", [&] { return w.destroy(child, &checkpoint); });
}

TEST_P(LargePages, AreCounted) {
  map_filled(2);
  map(2 * kLarge, 2 * kLarge + 5);
  fill(2 * kLarge, 2 * kLarge + 5);
  const auto large = [&](VaRange range) {
    u64 found = 0;
    while (!range.empty()) found += w.engine().region_installed(parent, range)->large;
    return found;
  };
  EXPECT_EQ(large(pages(0, 3 * kLarge)), 2 * kLarge);
  EXPECT_EQ(large(pages(10, kLarge + 7)), kLarge - 3);
  EXPECT_EQ(large(pages(2 * kLarge, 3 * kLarge)), 0u);
  ASSERT_TRUE(w.protect(parent, pages(3, 4), kPermR));
  EXPECT_EQ(large(pages(0, 3 * kLarge)), kLarge);
}

}  // namespace
}  // namespace nopte::model
