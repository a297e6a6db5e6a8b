// How an address space's regions are used: what madvise and prctl(PR_SET_THP_DISABLE) say of them.
#include "tests/unit/guest-mm/address_space_fixture.h"

namespace nopte::guest {
namespace {

constexpr Usage kRandom(AccessPattern::kRandom);
constexpr Usage kWanted(AccessPattern::kNormal, LargeLeaves::kWanted);
constexpr Usage kBarred(Usage::kBarred);
constexpr RegionSpec of(u64 first, u64 count, Usage usage) {
  return {.range = pages(first, count), .perm = kPermRW, .usage = usage};
}

class AddressSpaceUsageTest : public AddressSpaceTest {
 protected:
  Usage at(u64 page) const { return space->find(pages(page, 1).begin)->usage; }
};

TEST_F(AddressSpaceUsageTest, UseSplitsAndMergesAndTellsTheBackend) {
  ASSERT_TRUE(map(0, 8));
  ASSERT_TRUE(space->use(pages(2, 2), Advice::kRandom));
  EXPECT_EQ(list(*space), (Specs{of(0, 2, {}), of(2, 2, kRandom), of(4, 4, {})}));
  check();
  const u64 calls = fake.calls();
  ASSERT_TRUE(space->use(pages(3, 1), Advice::kRandom));
  EXPECT_EQ(fake.calls(), calls);
  ASSERT_TRUE(space->use(pages(0, 8), Advice::kNormal));
  EXPECT_EQ(list(*space), Specs{of(0, 8, {})});
}

TEST_F(AddressSpaceUsageTest, HolesAreReportedWhenTheRestIsDone) {
  ASSERT_TRUE(map(0, 2));
  ASSERT_TRUE(map(4, 2));
  EXPECT_EQ(status(space->use(pages(0, 6), Advice::kLargeWanted)), Status::kNoRegion);
  EXPECT_EQ(list(*space), (Specs{of(0, 2, kWanted), of(4, 2, kWanted)}));
  const u64 calls = fake.calls();
  EXPECT_EQ(status(space->use(pages(10, 6), Advice::kLargeWanted)), Status::kNoRegion);
  EXPECT_EQ(status(space->use({Gva{0}, Gva{kPageBytes}}, Advice::kRandom)), Status::kNoRegion);
  EXPECT_EQ(fake.calls(), calls);
  EXPECT_EQ(status(space->use(pages(0, 0), Advice::kRandom)), Status::kInvalid);
  EXPECT_EQ(status(space->use({kPlace + 1, kPlace + kPageBytes}, Advice::kRandom)), Status::kInvalid);
}

TEST_F(AddressSpaceUsageTest, ABackendThatKnowsNoUsageIsDoneWithout) {
  fake.know_no_usage();
  ASSERT_TRUE(map(0, 8));
  EXPECT_TRUE(space->use(pages(2, 1), Advice::kRandom));
  EXPECT_EQ(at(2), kRandom);
  ASSERT_TRUE(space->unmap(pages(0, 8)));
}

TEST_F(AddressSpaceUsageTest, TooManyRegionsAreRefusedAndNothingChanges) {
  for (u64 i = 0; i < kMostRegionsByDefault - 1; ++i) ASSERT_TRUE(map(4 * i, i == 0 ? 3 : 1)) << i;
  EXPECT_EQ(status(space->use(pages(1, 1), Advice::kRandom)), Status::kNoMemory);
  EXPECT_EQ(at(1), Usage());
  EXPECT_TRUE(space->use(pages(2, 1), Advice::kRandom));
  ASSERT_TRUE(space->unmap({kUserRange.begin, kUserRange.end}));
}

TEST_F(AddressSpaceUsageTest, WhatGrowsAndMovesKeepsItsUsage) {
  ASSERT_TRUE(map(0, 4));
  ASSERT_TRUE(space->use(pages(0, 4), Advice::kRandom));
  EXPECT_TRUE(space->remap({.old = pages(0, 4), .new_pages = 6}));
  EXPECT_EQ(list(*space), Specs{of(0, 6, kRandom)});
  const Gva moved = space
                        ->remap({.old = pages(2, 2),
                                 .new_pages = 3,
                                 .may_move = true,
                                 .fixed = true,
                                 .new_address = pages(20, 1).begin})
                        .value();
  EXPECT_EQ(moved, pages(20, 1).begin);
  EXPECT_EQ(list(*space), (Specs{of(0, 2, kRandom), of(4, 2, kRandom), of(20, 3, kRandom)}));
  const Ref<AddressSpace> child = space->clone().value();
  EXPECT_EQ(list(*child), list(*space));
  // What is mapped over it is new.
  ASSERT_TRUE(map(4, 2));
  EXPECT_EQ(at(4), Usage());
}

TEST_F(AddressSpaceUsageTest, AStackThatGrowsIsOneRegion) {
  ASSERT_TRUE(space->map_stack());
  const VaRange stack = space->at_or_after(kStackTop - 1)->range;
  ASSERT_TRUE(space->use(stack, Advice::kSequential));
  ASSERT_TRUE(space->grow_stack(stack.begin - 1));
  EXPECT_EQ(space->regions(), 1u);
}

TEST_F(AddressSpaceUsageTest, BarredRegionsAreNeverLargeWhateverIsAsked) {
  space->set_brk_start(kPlace + (1 << 20));
  ASSERT_TRUE(map(0, 4));
  ASSERT_TRUE(space->use(pages(0, 2), Advice::kLargeWanted));
  space->bar_large_leaves(true);
  EXPECT_TRUE(space->large_leaves_barred());
  EXPECT_EQ(at(0).large(), LargeLeaves::kNever);
  EXPECT_EQ(at(2), kBarred);
  ASSERT_TRUE(map(8, 1));
  EXPECT_EQ(at(8), kBarred);
  ASSERT_TRUE(space->use(pages(8, 1), Advice::kLargeWanted));
  EXPECT_EQ(at(8).large(), LargeLeaves::kNever);
  ASSERT_TRUE(space->map_stack());
  EXPECT_EQ(space->find(kStackTop - 1)->usage, kBarred);
  const Gva end = kPlace + (1 << 20) + kPageBytes;
  ASSERT_EQ(space->set_brk(end), end);
  EXPECT_EQ(space->find(end - 1)->usage, kBarred);
  const Ref<AddressSpace> child = space->clone().value();
  EXPECT_TRUE(child->large_leaves_barred());
  child->bar_large_leaves(false);
  EXPECT_EQ(child->find(pages(0, 1).begin)->usage, kWanted);
  EXPECT_EQ(child->find(pages(2, 1).begin)->usage, Usage());
  EXPECT_EQ(fake.regions(child->id()), backend_view(list(*child)));
  check();
  EXPECT_EQ(at(0).large(), LargeLeaves::kNever);
}

}  // namespace
}  // namespace nopte::guest
