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
  map_filled(2);
  const u64 before = free_frames();
  ASSERT_TRUE(w.unmap(parent, pages(0, 2 * kLarge)));
  EXPECT_GE(free_frames(), before + 2 * kLarge);
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
  expect_filled(0, kLarge);
  EXPECT_EQ(w.write(at(9), 10), kFine);
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

TEST_P(LargePages, AClonesWriteCopiesOnePage) {
  map_filled(2);
  const u64 before = free_frames();
  clone();
  EXPECT_EQ(splits(), 0u);
  EXPECT_LT(before - free_frames(), kLarge / 8);  // tables
  in(child);
  expect_filled(0, 2 * kLarge);
  const u64 copies = copied();
  EXPECT_EQ(w.write(at(5), 77), kFine);
  w.check();
  EXPECT_EQ(copied(), copies + 1);
  EXPECT_EQ(splits(), 1u);
  EXPECT_FALSE(is_large(child, 5));
  EXPECT_TRUE(is_large(child, kLarge));
  EXPECT_TRUE(is_large(parent, 5));
  EXPECT_EQ(w.read(at(5)), 77u);
  in(parent);
  expect_filled(0, 2 * kLarge);
  // What the child has a copy of is the parent's alone, by the page.
  EXPECT_EQ(w.write(at(5), 6), kFine);
  EXPECT_EQ(copied(), copies + 1);
  EXPECT_EQ(w.write(at(6), 7), kFine);
  EXPECT_EQ(copied(), copies + 2);
  w.check();
  in(child);
  EXPECT_EQ(w.read(at(5)), 77u);
  EXPECT_EQ(w.read(at(6)), 7u);
}

TEST_P(LargePages, WhoIsLeftAloneWritesAllOfItAgain) {
  for (const bool splits_first : {false, true}) {
    map_filled(2);
    clone();
    if (splits_first) {
      in(child);
      ASSERT_EQ(w.write(at(3), 4), kFine);
    }
    in(parent);
    const u64 copies = copied();
    const u64 split = splits();
    ASSERT_TRUE(w.destroy(child));
    w.check();
    const u64 faults = counted(&pt::EngineCounters::faults);
    fill(0, 2 * kLarge);
    w.check();
    EXPECT_EQ(copied(), copies);
    EXPECT_EQ(splits(), split);
    EXPECT_TRUE(is_large(parent, 0));
    EXPECT_LE(counted(&pt::EngineCounters::faults) - faults, 4u);
    ASSERT_TRUE(w.unmap(parent, pages(0, 2 * kLarge)));
  }
}

TEST_P(LargePages, AChainOfClonesComesApartInAnyOrder) {
  map_filled(2);
  std::vector<SpaceId> chain{parent};
  for (u64 i = 1; i < 6; ++i) {
    in(chain.back());
    chain.push_back(*w.clone(chain.back()));
    EXPECT_EQ(w.write(at(i % 3 == 0 ? i : kLarge + i), 100 * i),
              kFine);  // the older of the two, after the clone
    w.check();
  }
  const auto expect_all = [&](u64 i) {
    for (u64 k = 1; k < 6; ++k) {
      const u64 page = k % 3 == 0 ? k : kLarge + k;
      EXPECT_EQ(w.read(at(page)), k == i + 1 ? 100 * k : page + 1) << i;
    }
    expect_filled(6, kLarge);
    expect_filled(kLarge + 6, 2 * kLarge);
  };
  for (u64 i = 0; i < chain.size(); ++i) {
    in(chain[i]);
    expect_all(i);
  }
  for (const u64 gone : {2u, 0u, 5u, 1u}) {
    in(chain[3]);
    ASSERT_TRUE(w.destroy(chain[gone]));
    w.check();
    EXPECT_EQ(w.write(at(10 + gone), 11 + gone), kFine);
    w.check();
  }
  in(chain[4]);
  expect_all(4);
}

// What one side does to all of it, or a part, the other does not see; whichever began as the original.
TEST_P(LargePages, CallsOfOneSideLeaveTheOthers) {
  map_filled(2);
  clone();
  for (const SpaceId space : {child, parent}) {
    const SpaceId other = space == child ? parent : child;
    if (space == parent) {
      other == child ? in(child) : in(parent);
    }
    in(space);
    ASSERT_TRUE(w.protect(space, pages(0, kLarge), kPermR));
    w.check();
    ASSERT_TRUE(w.protect(space, pages(0, kLarge), kPermRW));
    ASSERT_TRUE(w.protect(space, pages(4, 6), kPermR));
    w.check();
    EXPECT_EQ(w.write(at(4), 1), ViolationReason::kPermission);
    ASSERT_TRUE(w.advise(space, pages(kLarge + 1, kLarge + 3), Advice::kDontNeed));
    w.check();
    ASSERT_TRUE(w.unmap(space, pages(kLarge + 100, 2 * kLarge)));
    w.check();
    expect_filled(0, kLarge + 1);
    EXPECT_EQ(w.read(at(kLarge + 2)), 0u);
    if (space == child) {
      in(parent);
      expect_filled(0, 2 * kLarge);
    }
  }
}

TEST_P(LargePages, MovingWhatACloneHasTooMovesItForOne) {
  map_filled(2);
  clone();
  in(child);
  ASSERT_TRUE(w.move(child, pages(0, kLarge), at(8 * kLarge)));
  w.check();
  ASSERT_TRUE(w.move(child, pages(kLarge + 9, 2 * kLarge), at(10 * kLarge)));
  w.check();
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(8 * kLarge + i)), i + 1);
  for (u64 i = kLarge + 9; i < 2 * kLarge; ++i) ASSERT_EQ(w.read(at(10 * kLarge + i - kLarge - 9)), i + 1);
  EXPECT_EQ(w.write(at(8 * kLarge + 1), 99), kFine);
  in(parent);
  expect_filled(0, 2 * kLarge);
}

// Refused access is kept above what is shared (unshare.h).
TEST_P(LargePages, WhatACloneMayNotTouchComesBackWithItsContents) {
  map_filled(2);
  map(2 * kLarge, 3 * kLarge);
  clone();
  in(child);
  ASSERT_TRUE(w.protect(child, pages(0, 3 * kLarge), kPermNone));
  w.check();
  EXPECT_EQ(w.read(at(1)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.protect(child, pages(0, kLarge + 5), kPermRW));
  w.check();
  expect_filled(0, kLarge + 5);
  EXPECT_EQ(w.write(at(1), 2), kFine);
  EXPECT_EQ(w.read(at(kLarge + 5)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.unmap(child, pages(2, 3 * kLarge)));
  w.check();
  in(parent);
  fill(0, 2 * kLarge);
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

// The policy of its own accord.
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
  go_through(1, 3 * kPages);
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
