#include "pvops/regions/region_tree.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "pvops/mm_ops.h"
#include "tests/unit/pvops/region_tree_fixture.h"

namespace nopte {
namespace {

TEST_F(RegionTreeTest, FindsNothingInAnEmptyTree) {
  EXPECT_FALSE(tree.find(page(0)));
  EXPECT_EQ(tree.at_or_after(page(0)), nullptr);
  EXPECT_TRUE(tree.free(pages(0, 10)));
  EXPECT_FALSE(tree.covered(pages(0, 1)));
}

TEST_F(RegionTreeTest, MergesEqualNeighboursOnBothSides) {
  insert(anonymous(0, 2));
  insert(anonymous(4, 2));
  EXPECT_EQ(tree.regions(), 2u);
  insert(anonymous(2, 2));
  EXPECT_EQ(list(), Specs{anonymous(0, 6)});
}

TEST_F(RegionTreeTest, KeepsNeighboursApartThatDifferInTagPermOrObjectPage) {
  insert(anonymous(0, 1));
  insert(anonymous(1, 1), 1);
  insert(anonymous(2, 1, kPermR), 1);
  RegionSpec shown{.range = pages(3, 1), .perm = kPermR, .object = ObjectId{1}, .object_page = 5};
  insert(shown, 1, &file);
  shown.range = pages(4, 1);
  shown.object_page = 7;
  insert(shown, 1, &file);
  EXPECT_EQ(tree.regions(), 5u);
  shown.range = pages(5, 1);
  shown.object_page = 8;
  insert(shown, 1, &file);
  EXPECT_EQ(tree.regions(), 5u);
}

TEST_F(RegionTreeTest, RefusesOverlapAndMalformedRanges) {
  insert(anonymous(4, 4));
  const auto refused = [&](const RegionSpec& spec) {
    const auto plan = tree.prepare_insert(spec, 0, nullptr);
    return plan ? Status::kOk : plan.error();
  };
  EXPECT_EQ(refused(anonymous(3, 2)), Status::kOverlap);
  EXPECT_EQ(refused(anonymous(7, 1)), Status::kOverlap);
  EXPECT_EQ(refused(anonymous(0, 0)), Status::kInvalid);
  EXPECT_EQ(refused({.range = {page(0) + 1, page(1)}, .perm = kPermR}), Status::kInvalid);
  EXPECT_EQ(refused({.range = {page(0), kBounds.end + kPageBytes}, .perm = kPermR}), Status::kInvalid);
  EXPECT_EQ(refused({.range = {Gva{0}, page(1)}, .perm = kPermR}), Status::kInvalid);
  EXPECT_EQ(refused({.range = pages(0, 1), .perm = kPermR, .object_page = 1}), Status::kInvalid);
  EXPECT_EQ(refused({.range = pages(0, 1), .perm = kPermR, .sharing = Sharing::kShared}), Status::kInvalid);
  const RegionSpec wraps{
      .range = pages(0, 2), .perm = kPermR, .object = ObjectId{1}, .object_page = ~u64{0} >> kPageShift};
  const auto plan = tree.prepare_insert(wraps, 0, &file);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error(), Status::kInvalid);
}

TEST_F(RegionTreeTest, UnmapSplitsTrimsAndRemoves) {
  insert({.range = pages(0, 10), .perm = kPermR, .object = ObjectId{1}, .object_page = 100}, 0, &file);
  unmap(pages(4, 2));
  EXPECT_EQ(list(),
            (Specs{{.range = pages(0, 4), .perm = kPermR, .object = ObjectId{1}, .object_page = 100},
                   {.range = pages(6, 4), .perm = kPermR, .object = ObjectId{1}, .object_page = 106}}));
  unmap(pages(3, 4));
  EXPECT_EQ(list(),
            (Specs{{.range = pages(0, 3), .perm = kPermR, .object = ObjectId{1}, .object_page = 100},
                   {.range = pages(7, 3), .perm = kPermR, .object = ObjectId{1}, .object_page = 107}}));
  EXPECT_EQ(file.emptied_calls, 0);
  unmap(pages(0, 256));
  EXPECT_TRUE(list().empty());
  EXPECT_EQ(file.emptied_calls, 1);
  EXPECT_EQ(tree.pages(), 0u);
}

TEST_F(RegionTreeTest, UnmapOfNothingChangesNothing) {
  insert(anonymous(4, 4));
  const auto plan = tree.prepare_unmap(pages(0, 4));
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->changes());
}

TEST_F(RegionTreeTest, ProtectSplitsAndMergesBack) {
  insert(anonymous(0, 10));
  protect(pages(3, 2), kPermR);
  EXPECT_EQ(list(), (Specs{anonymous(0, 3), anonymous(3, 2, kPermR), anonymous(5, 5)}));
  protect(pages(3, 2), kPermRW);
  EXPECT_EQ(list(), Specs{anonymous(0, 10)});
  const auto plan = tree.prepare_protect(pages(2, 2), kPermRW);
  ASSERT_TRUE(plan);
  EXPECT_FALSE(plan->changes());
  const auto hole = tree.prepare_protect(pages(8, 3), kPermR);
  ASSERT_FALSE(hole);
  EXPECT_EQ(hole.error(), Status::kNoRegion);
}

constexpr RegionSpec used(RegionSpec spec, Usage usage) {
  spec.usage = usage;
  return spec;
}
constexpr UsageChange kRandom = usage_change(Advice::kRandom);
constexpr UsageChange kNormal = usage_change(Advice::kNormal);
constexpr UsageChange kNever = usage_change(Advice::kLargeNever);
constexpr Usage kUsedRandom(AccessPattern::kRandom);

TEST_F(RegionTreeTest, UseSplitsOverHolesAndMergesBack) {
  insert(anonymous(0, 10));
  insert(anonymous(12, 4));
  use(pages(3, 10), kRandom);
  EXPECT_EQ(list(), (Specs{anonymous(0, 3), used(anonymous(3, 7), kUsedRandom),
                           used(anonymous(12, 1), kUsedRandom), anonymous(13, 3)}));
  // The two sides of a usage are apart.
  const Usage both(AccessPattern::kRandom, LargeLeaves::kNever);
  use(pages(4, 1), kNever);
  EXPECT_EQ(tree.find(page(4))->usage, both);
  use(pages(4, 1), kNormal);
  EXPECT_EQ(tree.find(page(4))->usage, Usage(AccessPattern::kNormal, LargeLeaves::kNever));
  use(pages(4, 1), kRandom);
  use(pages(4, 1), usage_change(Advice::kLargeWanted));
  EXPECT_EQ(tree.find(page(4))->usage.large(), LargeLeaves::kWanted);
  unmap(pages(4, 1));
  insert(used(anonymous(4, 1), kUsedRandom));
  use(kBounds, kNormal);
  EXPECT_EQ(list(), (Specs{anonymous(0, 10), anonymous(12, 4)}));
  const auto nothing = tree.prepare_use(kBounds, kNormal);
  ASSERT_TRUE(nothing);
  EXPECT_FALSE(nothing->changes());
}

TEST_F(RegionTreeTest, UseOfAnObjectsRegionKeepsWhatItShows) {
  RegionSpec shows = anonymous(0, 8);
  shows.object = ObjectId{1};
  shows.object_page = 100;
  insert(shows, 0, &file);
  use(pages(2, 3), kRandom);
  ASSERT_EQ(tree.regions(), 3u);
  EXPECT_EQ(tree.find(page(3))->object_page, 102u);
  EXPECT_EQ(tree.find(page(5))->object_page, 105u);
  use(pages(0, 8), kNormal);
  EXPECT_EQ(list(), Specs{shows});
}

TEST_F(RegionTreeTest, WhatIsBarredAsksForLargeLeavesInVain) {
  insert(used(anonymous(0, 4), Usage(AccessPattern::kNormal, LargeLeaves::kWanted)));
  use(pages(0, 4), usage_change(Advice::kLargeBarred));
  EXPECT_EQ(tree.find(page(0))->usage.large(), LargeLeaves::kNever);
  EXPECT_EQ(tree.find(page(0))->usage.large_asked(), LargeLeaves::kWanted);
  use(pages(0, 4), usage_change(Advice::kLargeAllowed));
  EXPECT_EQ(tree.find(page(0))->usage.large(), LargeLeaves::kWanted);
}

TEST_F(RegionTreeTest, UseGoesAsFarAsItIsAllowedRegions) {
  for (u64 at = 0; at < 8; at += 2) insert(anonymous(at, 1));
  auto plan = tree.prepare_use(kBounds, kRandom, 2);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->range(), pages(0, 3));
  tree.commit(*plan);
  check();
  EXPECT_EQ(tree.find(page(2))->usage, kUsedRandom);
  EXPECT_EQ(tree.find(page(4))->usage, Usage());
}

TEST_F(RegionTreeTest, MoveTakesAPartOutOfTheMiddle) {
  insert(anonymous(0, 10));
  insert(anonymous(20, 2));
  auto plan = tree.prepare_move(pages(4, 2), page(22));
  ASSERT_TRUE(plan);
  tree.commit(*plan);
  check();
  EXPECT_EQ(list(), (Specs{anonymous(0, 4), anonymous(6, 4), anonymous(20, 4)}));
  const auto failed = [&](VaRange from, Gva to) {
    const auto refused = tree.prepare_move(from, to);
    return refused ? Status::kOk : refused.error();
  };
  EXPECT_EQ(failed(pages(3, 2), page(30)), Status::kNoRegion);
  EXPECT_EQ(failed(pages(0, 2), page(7)), Status::kOverlap);
  EXPECT_EQ(failed(pages(0, 2), page(1)), Status::kOverlap);
  EXPECT_EQ(failed(pages(0, 2), page(255)), Status::kInvalid);
  EXPECT_EQ(failed(pages(0, 2), Gva{~u64{0} << kPageShift}), Status::kInvalid);
}

TEST_F(RegionTreeTest, MoveKeepsTheObjectAlive) {
  insert({.range = pages(0, 2), .perm = kPermR, .object = ObjectId{1}}, 0, &file);
  auto plan = tree.prepare_move(pages(0, 2), page(8));
  ASSERT_TRUE(plan);
  tree.commit(*plan);
  EXPECT_EQ(file.emptied_calls, 0);
  EXPECT_FALSE(file.empty());
}

TEST_F(RegionTreeTest, ReplaceOfTheOnlyRegionOfAnObjectBySameObjectDoesNotEmptyIt) {
  insert({.range = pages(0, 2), .perm = kPermR, .object = ObjectId{1}}, 0, &file);
  auto plan = tree.prepare_replace(
      {.range = pages(0, 3), .perm = kPermR, .object = ObjectId{1}, .object_page = 9}, 0, &file);
  ASSERT_TRUE(plan);
  tree.commit(*plan);
  check();
  EXPECT_EQ(file.emptied_calls, 0);
}

TEST_F(RegionTreeTest, ObjectListReportsTheShownPartsOfEverySpace) {
  RegionTree other{kBounds, nodes, nullptr};
  tree.set_space(SpaceId{3});
  other.set_space(SpaceId{4});
  insert({.range = pages(0, 10), .perm = kPermR, .object = ObjectId{1}, .object_page = 10}, 0, &file);
  auto plan = other.prepare_insert(
      {.range = pages(50, 2), .perm = kPermR, .object = ObjectId{1}, .object_page = 14}, 0, &file);
  ASSERT_TRUE(plan);
  other.commit(*plan);
  std::vector<std::pair<SpaceId, VaRange>> seen;
  const auto collect = [&](SpaceId space, VaRange range) { seen.emplace_back(space, range); };
  file.for_each(15, 100, collect);
  EXPECT_EQ(seen, (std::vector<std::pair<SpaceId, VaRange>>{{SpaceId{3}, pages(5, 5)},
                                                            {SpaceId{4}, pages(51, 1)}}));
  seen.clear();
  file.for_each(20, ~u64{0}, collect);
  EXPECT_TRUE(seen.empty());
}

TEST_F(RegionTreeTest, GapSearchIsFirstFitFromTheTop) {
  insert(anonymous(250, 6));
  insert(anonymous(200, 10));
  insert(anonymous(100, 90));
  // Gaps: [0,100) [190,200) [210,250).
  EXPECT_EQ(*tree.find_gap(kBounds, 40), page(210));
  EXPECT_EQ(*tree.find_gap(kBounds, 1), page(249));
  EXPECT_EQ(*tree.find_gap(kBounds, 41), page(59));
  EXPECT_EQ(*tree.find_gap({kBounds.begin, page(230)}, 20), page(210));
  EXPECT_EQ(*tree.find_gap({kBounds.begin, page(230)}, 21), page(79));
  EXPECT_EQ(*tree.find_gap({kBounds.begin, page(210)}, 10), page(190));
  EXPECT_EQ(*tree.find_gap(kBounds, 8, 16 * kPageBytes), page(240));
  EXPECT_FALSE(tree.find_gap(kBounds, 101));
  EXPECT_FALSE(tree.find_gap({page(220), page(240)}, 21));
  EXPECT_FALSE(tree.find_gap(kBounds, 0));
  RegionTree plain{kBounds, nodes, nullptr};
  EXPECT_EQ(plain.find_gap(kBounds, 1).error(), Status::kUnsupported);
}

TEST_F(RegionTreeTest, FailedAllocationsAndDroppedPlansLeaveTheTreeAsItWas) {
  insert(anonymous(0, 30));
  const Specs before = list();
  for (u64 allowed = 0; allowed < 2; ++allowed) {
    nodes.allow(allowed);
    EXPECT_EQ(tree.prepare_protect(pages(10, 2), kPermR).error(), Status::kNoMemory);
    nodes.allow(allowed);
    EXPECT_EQ(tree.prepare_use(pages(10, 2), kRandom).error(), Status::kNoMemory);
    nodes.allow(allowed);
    EXPECT_EQ(tree.prepare_move(pages(10, 2), page(60)).error(), Status::kNoMemory);
    nodes.allow(allowed);
    EXPECT_EQ(tree.prepare_replace(anonymous(10, 2, kPermR), 0, nullptr).error(), Status::kNoMemory);
  }
  nodes.allow(0);
  EXPECT_EQ(tree.prepare_unmap(pages(10, 2)).error(), Status::kNoMemory);
  EXPECT_EQ(tree.prepare_insert(anonymous(40, 1), 0, nullptr).error(), Status::kNoMemory);
  nodes.allow_all();
  {
    auto dropped = tree.prepare_move(pages(10, 2), page(60));
  }
  {
    auto dropped = tree.prepare_unmap(pages(10, 2));
  }
  EXPECT_EQ(list(), before);
  check();
}

TEST_F(RegionTreeTest, WhatWasChangedLastIsForgottenWhenItGoes) {
  insert(anonymous(0, 2));
  EXPECT_TRUE(tree.find(page(1)));
  unmap(pages(0, 2));
  EXPECT_FALSE(tree.find(page(1)));
}

TEST_F(RegionTreeTest, EachWhoAsksRemembersForHimself) {
  insert(anonymous(0, 2));
  insert(anonymous(10, 2, kPermR));
  insert(anonymous(20, 2));
  const RegionTree& asked = tree;
  RegionHint one;
  RegionHint other;
  ASSERT_TRUE(asked.find(page(1), one));
  ASSERT_TRUE(asked.find(page(11), other));
  EXPECT_EQ(one.region, asked.find_node(page(1)));
  EXPECT_EQ(other.region, asked.find_node(page(11)));
  // Outside of what is remembered it is looked for, and nothing found changes nothing.
  EXPECT_EQ(asked.find(page(10), one)->perm, kPermR);
  EXPECT_FALSE(asked.find(page(5), other));
  EXPECT_EQ(other.region, asked.find_node(page(11)));
}

TEST_F(RegionTreeTest, WhatIsRememberedOfATreeBeforeItChangedIsNotLookedAt) {
  insert(anonymous(0, 2));
  insert(anonymous(10, 2, kPermR));
  RegionHint gone;
  RegionHint shrunk;
  ASSERT_TRUE(tree.find(page(1), gone));
  ASSERT_TRUE(tree.find(page(11), shrunk));
  unmap(pages(0, 2));
  unmap(pages(11, 1));
  EXPECT_FALSE(tree.find(page(1), gone));  // its node's memory is given back: a sanitizer sees a look at it
  EXPECT_FALSE(tree.find(page(11), shrunk));
  insert(anonymous(1, 1, kPermR));  // and perhaps in use again
  EXPECT_EQ(tree.find(page(1), gone)->perm, kPermR);
  tree.clear();
  EXPECT_FALSE(tree.find(page(1), gone));
}

}  // namespace
}  // namespace nopte
