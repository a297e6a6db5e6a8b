// Large pages that a clone has too, and how they come apart.
#include <vector>

#include "native-fallback/engine/ahead.h"
#include "tests/model/large_pages.h"

namespace nopte::model {
namespace {

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
  // What the child has a copy of is the parent's alone, by the page. Of the rest it copies a few around.
  constexpr unsigned kMore = pt::CopyAccount::kLeast;
  static_assert(kMore < 6);
  EXPECT_EQ(w.write(at(5), 6), kFine);
  EXPECT_EQ(copied(), copies + 1 + kMore);
  EXPECT_EQ(w.write(at(6), 7), kFine);
  EXPECT_EQ(copied(), copies + 2 + kMore);
  w.check();
  in(child);
  EXPECT_EQ(w.read(at(5)), 77u);
  EXPECT_EQ(w.read(at(6)), 7u);
}

// One GiB with pages of its own, one with an object's alone, of which a clone has nothing, one with large
// pages.
TEST_P(LargePages, AClonesTableThatIsNotNeededGoesOnce) {
  if (w.layout().levels < 4) GTEST_SKIP() << "there is no such table below the root";
  constexpr u64 kGiB = 512 * kLarge;
  map(0, 4, kPermRW, Usage());
  fill(0, 4);
  const ObjectId object = *w.object_create(4);
  w.map(parent,
        {.range = pages(kGiB, kGiB + 4), .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  fill(kGiB, kGiB + 4);
  map(2 * kGiB, 2 * kGiB + kLarge);
  fill(2 * kGiB, 2 * kGiB + kLarge);
  ASSERT_TRUE(is_large(parent, 2 * kGiB));
  clone();
  in(child);
  ASSERT_TRUE(w.unmap(child, pages(0, 4)));
  w.check();
  expect_filled(2 * kGiB, 2 * kGiB + kLarge);
  expect_filled(kGiB, kGiB + 4);
  in(parent);
  expect_filled(0, 4);
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

TEST_P(LargePages, RightsThatComeBackLeaveTheOthersPages) {
  map_filled(1);
  clone();
  for (const SpaceId space : {child, parent}) {
    in(space);
    ASSERT_TRUE(w.protect(space, pages(0, kLarge), kPermR));
    ASSERT_TRUE(w.protect(space, pages(0, kLarge), kPermRW));
    EXPECT_EQ(w.write(at(7), space == child ? 70 : 80), kFine);
    w.check();
  }
  in(child);
  EXPECT_EQ(w.read(at(7)), 70u);
}

TEST_P(LargePages, APartThatMovesLeavesTheOtherItsLeaf) {
  map_filled(1);
  clone();
  in(child);
  ASSERT_TRUE(w.move(child, pages(9, kLarge), at(10 * kLarge)));
  w.check();
  EXPECT_TRUE(is_large(parent, 0));
  for (u64 i = 9; i < kLarge; ++i) ASSERT_EQ(w.read(at(10 * kLarge + i - 9)), i + 1);
  in(parent);
  expect_filled(0, kLarge);
}

// A table of so many that a clone shares it.
TEST_P(LargePages, ItMovesIntoATableThatACloneHasToo) {
  const u64 there = 512 * kLarge;
  for (u64 i = 1; i <= kCrowd; ++i) {
    map(there + i * kLarge, there + i * kLarge + 1);
    ASSERT_EQ(w.write(at(there + i * kLarge), i), kFine);
  }
  map_filled(1);
  clone();
  in(child);
  ASSERT_TRUE(w.move(child, pages(0, kLarge), at(there)));
  w.check();
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(there + i)), i + 1);
  in(parent);
  expect_filled(0, kLarge);
  EXPECT_EQ(w.read(at(there)), std::unexpected(ViolationReason::kNoRegion));
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
  EXPECT_EQ(w.write(at(1), 99), kFine);
  EXPECT_EQ(w.read(at(kLarge + 5)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.unmap(child, pages(2, 3 * kLarge)));
  w.check();
  in(parent);
  expect_filled(0, 2 * kLarge);
  fill(0, 2 * kLarge);
}

// A fault that gives a right to run gives none to write.
TEST_P(LargePages, ARightThatIsFoundByAFaultLeavesTheOthersPages) {
  map_filled(1);
  clone();
  w.regions(parent).protect(pages(0, kLarge), kPermRWX);
  in(parent);
  EXPECT_TRUE(w.touch(at(0), Access::kExec));
  w.check();
  EXPECT_EQ(w.write(at(1), 99), kFine);
  in(child);
  EXPECT_EQ(w.read(at(1)), 2u);
}

// Of an object that was cut, a table that a clone has too stays where its regions go piece by piece.
TEST_P(LargePages, ItMovesToWhereAnEmptySharedTableIs) {
  const u64 there = 8 * kLarge;
  const u64 half = kLarge / 2;
  const ObjectId object = *w.object_create(kLarge);
  for (const u64 first : {u64{0}, half}) {
    w.map(parent, {.range = pages(there + first, there + first + half),
                   .perm = kPermRW,
                   .sharing = Sharing::kShared,
                   .object = object,
                   .object_page = first});
  }
  fill(there, there + half);
  map_filled(1);
  clone();
  in(child);
  ASSERT_TRUE(w.protect(child, pages(there, there + kLarge), kPermNone));
  ASSERT_TRUE(w.engine().object_resize(object, 0));
  w.check();
  ASSERT_TRUE(w.unmap(child, pages(there, there + half)));
  ASSERT_TRUE(w.unmap(child, pages(there + half, there + kLarge)));
  w.check();
  ASSERT_TRUE(w.move(child, pages(0, kLarge), at(there)));
  w.check();
  for (u64 i = 0; i < kLarge; ++i) ASSERT_EQ(w.read(at(there + i)), i + 1);
  in(parent);
  expect_filled(0, kLarge);
  EXPECT_EQ(w.read(at(there)), std::unexpected(ViolationReason::kPastEnd));
}

}  // namespace
}  // namespace nopte::model
