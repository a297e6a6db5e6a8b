// How much may be queued: what is paid for, and no more than there are slots.
#include "tests/queue/queue_guest.h"

namespace nopte::test {
namespace {

using enum ViolationReason;

// Whatever has been put, refused or taken back, a queue that was heard may be filled again, and no further.
TEST_F(QueueTest, CreditsComeBackAsTheyWereSpent) {
  const SpaceId a = guest_.make_active();
  const abi::RegionQueue& queue = guest_.queue(a);
  ASSERT_EQ(queue.limit - queue.cost, abi::kQueueSlots);
  for (u64 round = 0; round < 2 * abi::kQueueSlots; ++round) {
    EXPECT_EQ(exits_of([&] {
                EXPECT_TRUE(map(a, 0, 1, kPermNone));
                EXPECT_TRUE(map(a, 4));
                EXPECT_TRUE(map(a, 8));
                EXPECT_TRUE(unmap(a, 4));
                EXPECT_TRUE(guest_.ops().region_protect(a, at(0, 1), kPermR, RightsChange::kFromNone));
              }),
              0u);
    heard(a);
    ASSERT_EQ(queue.limit - queue.cost, abi::kQueueSlots) << round;
    EXPECT_TRUE(unmap(a, 0, 9));
  }
}

TEST_F(QueueTest, ADestroyedSpaceGivesBackWhatItPaid) {
  guest_.ops().space_destroy(guest_.make_space());
  const u64 before = guest_.ops().memory_info().free_pages;
  for (u64 round = 0; round < 20; ++round) {
    const SpaceId a = guest_.make_space();
    EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 0)); }), 0u);
    guest_.ops().space_destroy(a);
    ASSERT_EQ(guest_.ops().memory_info().free_pages, before) << round;
  }
}

// The queue is full of calls of which some cost nothing any more.
TEST_F(QueueTest, ASlotThatWasTakenBackIsNotFreeBeforeItIsHeard) {
  const SpaceId a = guest_.make_active();
  for (u64 n = 0; n < abi::kQueueSlots; ++n) EXPECT_TRUE(map(a, 2 * n));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 2)); }), 0u);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 100)); }), 1u);
  for (u64 n = 0; n < abi::kQueueSlots; ++n) EXPECT_EQ(guest_.store(2 * n, 1), n == 1 ? kNoRegion : kNone);
  EXPECT_EQ(guest_.store(100, 1), kNone);
}

TEST_F(QueueTest, WhatCostsMoreThanIsLeftIsACall) {
  const SpaceId a = guest_.make_active();
  EXPECT_TRUE(map(a, 0, 4, kPermNone));
  heard(a);
  static_assert(abi::kQueuedProtectCost == 2);
  for (u64 n = 1; n < abi::kQueueSlots; ++n) EXPECT_TRUE(map(a, 100 + 2 * n));
  EXPECT_EQ(exits_of([&] {
              EXPECT_TRUE(guest_.ops().region_protect(a, at(1, 1), kPermRW, RightsChange::kFromNone));
            }),
            1u);
  EXPECT_EQ(guest_.store(1, 1), kNone);
}

// The last that was put for one space is not replaced by the first of the next of its name.
TEST_F(QueueTest, WhatWasTakenBackBeforeASpaceEndedIsNobodysPlace) {
  const SpaceId a = guest_.make_space();
  EXPECT_TRUE(map(a, 0));
  EXPECT_TRUE(unmap(a, 0));
  guest_.ops().space_destroy(a);
  ASSERT_EQ(guest_.make_active(), a);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 1)); }), 0u);
  EXPECT_EQ(guest_.store(1, 1), kNone);
}

TEST_F(QueueTest, SpacesOfEveryBlockHaveOne) {
  SpaceId last = guest_.make_space();
  while (static_cast<u32>(last) < abi::kQueuesPerBlock) last = guest_.make_space();
  EXPECT_TRUE(map(last, 0));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(last, 2)); }), 0u);
}

TEST_F(QueueTest, AGuestThatKnowsNoneAsksForNoneAndCalls) {
  pv::use_memory_features(guest_.guest().mode().features() & ~abi::kFeatureRegionQueue);
  SpaceId a{};
  EXPECT_EQ(exits_of([&] { a = guest_.make_space(); }), 1u);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 0)); }), 1u);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 0)); }), 1u);
}

}  // namespace
}  // namespace nopte::test
