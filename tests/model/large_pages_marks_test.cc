// Large pages: what is known of their use when they come apart, and what their changes cost in flushes.
#include "tests/model/large_pages.h"

namespace nopte::model {
namespace {

TEST_P(LargePages, WhatComesApartIsAsTouchedAsItWas) {
  map_filled(1);
  ASSERT_TRUE(w.protect(parent, pages(7, 9), kPermR));
  ASSERT_EQ(splits(), 1u);
  for (const u64 first : {u64{0}, u64{64}, kLarge - 64}) {
    EXPECT_EQ(*w.engine().region_resident(parent, pages(first, first + 64)), ~u64{0}) << first;
  }
  // Nothing of it counts as installed ahead and never used.
  ASSERT_TRUE(w.unmap(parent, pages(0, kLarge)));
  EXPECT_EQ(counted(&pt::EngineCounters::ahead_unused), 0u);
}

// All that was there can be used at once, with the rights that it had: no part has a fault.
TEST_P(LargePages, WhatComesApartIsUsedWithoutFaults) {
  map_filled(2);
  ASSERT_TRUE(w.unmap(parent, pages(kLarge - 3, kLarge + 5)));
  ASSERT_EQ(splits(), 2u);
  const u64 faults = counted(&pt::EngineCounters::faults);
  fill(0, kLarge - 3);
  fill(kLarge + 5, 2 * kLarge);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
}

TEST_P(LargePages, OnlyRightsThatGoAreFlushed) {
  map_filled(1);
  const auto flushes = [&] {
    return counted(&pt::EngineCounters::page_flushes) + counted(&pt::EngineCounters::full_flushes);
  };
  const auto change = [&](Perm perm) {
    const u64 before = flushes();
    EXPECT_TRUE(w.protect(parent, pages(0, kLarge), perm));
    w.check();
    return flushes() - before;
  };
  EXPECT_EQ(change(kPermR), 1u);
  EXPECT_EQ(change(kPermRW), 0u);
  EXPECT_EQ(change(kPermRW), 0u);
  EXPECT_EQ(change(kPermNone), 1u);
  EXPECT_EQ(change(kPermR), 0u);
  EXPECT_EQ(splits(), 0u);
  expect_filled(0, kLarge);
}

// Rights of whole ones and of parts in one call: only those that it ends amidst come apart.
TEST_P(LargePages, OneCallChangesWholeOnesAndParts) {
  map_filled(4);
  ASSERT_TRUE(w.protect(parent, pages(9, 3 * kLarge + 2), kPermR));
  w.check();
  EXPECT_EQ(splits(), 2u);
  EXPECT_FALSE(is_large(parent, 0));
  EXPECT_TRUE(is_large(parent, kLarge));
  EXPECT_TRUE(is_large(parent, 2 * kLarge));
  EXPECT_FALSE(is_large(parent, 3 * kLarge));
  for (const u64 page : {u64{9}, kLarge, 3 * kLarge - 1, 3 * kLarge, 3 * kLarge + 1}) {
    EXPECT_EQ(w.write(at(page), 1), ViolationReason::kPermission) << page;
  }
  for (const u64 page : {u64{8}, 3 * kLarge + 2}) EXPECT_EQ(w.write(at(page), page + 1), kFine) << page;
  // The same in pieces that end amidst whole ones, which their whole has no end in (Checkpoint).
  const VaRange whole = pages(kLarge, 3 * kLarge);
  const auto goes_on = [] { return false; };
  pt::Checkpoint checkpoint(goes_on, whole);
  for (u64 i = kLarge; i < 3 * kLarge; i += 300) {
    ASSERT_TRUE(w.protect(parent, pages(i, std::min(i + 300, 3 * kLarge)), kPermNone, &checkpoint));
    w.check();
  }
  EXPECT_EQ(splits(), 2u);
  for (u64 i = kLarge; i < 3 * kLarge; i += 37) {
    EXPECT_EQ(w.read(at(i)), std::unexpected(ViolationReason::kPermission)) << i;
  }
  ASSERT_TRUE(w.protect(parent, pages(0, 4 * kLarge), kPermRW));
  expect_filled(0, 4 * kLarge);
}

}  // namespace
}  // namespace nopte::model
