#include "experiments/walks/tlb.h"

#include <gtest/gtest.h>

namespace walks {
namespace {

constexpr uint64_t kPage = 4096;

Key page(uint64_t number, uint8_t asid = 1) { return {asid, Kind::kLeaf4K, number * kPage}; }

// Looks `key` up as a processor does: what is not there is brought in.
bool use(Tlb& tlb, Key key) {
  const bool found = tlb.find(key);
  if (!found) tlb.insert(key);
  return found;
}

TEST(Key, HoldsWhatItWasMadeOf) {
  const Key key(7, Kind::kLevel2, 0xffff'8000'0060'1234);
  EXPECT_EQ(key.asid(), 7);
  EXPECT_EQ(key.kind(), Kind::kLevel2);
  EXPECT_EQ(key.number(), uint64_t{0x8000'0060'1234} >> 21);
  EXPECT_TRUE(key.upper_half());
  EXPECT_FALSE(Key(7, Kind::kLeaf4K, 0x7fff'ffff'f000).upper_half());
}

TEST(Key, TellsSpacesKindsAndPagesApart) {
  EXPECT_EQ(page(5), Key(1, Kind::kLeaf4K, 5 * kPage + 17));
  EXPECT_NE(page(5), page(6));
  EXPECT_NE(page(5), page(5, 2));
  EXPECT_NE(page(0), Key(1, Kind::kLeaf2M, 0));
  EXPECT_NE(Key(1, Kind::kLevel3, 0), Key(1, Kind::kNestedLevel3, 0));
}

TEST(Tlb, HoldsAsManyAsItHasEntries) {
  Tlb tlb({64, 64});
  for (uint64_t number = 0; number < 64; ++number) EXPECT_FALSE(use(tlb, page(number)));
  for (uint64_t number = 0; number < 64; ++number) EXPECT_TRUE(use(tlb, page(number)));
  // One more, round and round: the least recently used one is always the next.
  for (int round = 0; round < 2; ++round) {
    for (uint64_t number = 64; number < 64 + 65; ++number) EXPECT_FALSE(use(tlb, page(number))) << number;
  }
}

TEST(Tlb, ForgetsTheLeastRecentlyUsed) {
  Tlb tlb({4, 4});
  for (uint64_t number = 0; number < 4; ++number) use(tlb, page(number));
  EXPECT_TRUE(use(tlb, page(0)));
  EXPECT_FALSE(use(tlb, page(4)));
  EXPECT_TRUE(use(tlb, page(0)));
  EXPECT_FALSE(use(tlb, page(1)));
}

TEST(Tlb, ASetIsFullBeforeTheTlbIs) {
  Tlb tlb({8, 2});  // 4 sets
  for (const uint64_t number : {0, 4, 1}) EXPECT_FALSE(use(tlb, page(number)));
  EXPECT_FALSE(use(tlb, page(8)));  // in place of 0, though sets 2 and 3 are empty
  EXPECT_TRUE(use(tlb, page(4)));
  EXPECT_TRUE(use(tlb, page(1)));
  EXPECT_FALSE(use(tlb, page(0)));
}

TEST(Tlb, ASpaceDoesNotFindAnothersEntries) {
  Tlb tlb({64, 64});
  use(tlb, page(3, 1));
  EXPECT_FALSE(tlb.find(page(3, 2)));
  EXPECT_TRUE(tlb.find(page(3, 1)));
}

TEST(Tlb, WhatIsRemovedIsGoneAndItsPlaceIsTakenFirst) {
  Tlb tlb({4, 4});
  for (uint64_t number = 0; number < 4; ++number) use(tlb, page(number));
  tlb.remove_if([](Key key) { return key == page(3); });
  EXPECT_FALSE(tlb.find(page(3)));
  tlb.insert(page(9));
  for (const uint64_t number : {0, 1, 2, 9}) EXPECT_TRUE(tlb.find(page(number))) << number;
}

}  // namespace
}  // namespace walks
