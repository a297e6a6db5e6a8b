// ASIDs as the processor has them, from few to many; what becomes of them when they are used up.
#include "hv-mm/container/asid_table.h"

#include <gtest/gtest.h>

namespace nopte::hv {
namespace {

constexpr pt::PhysAddr root(u64 frame) { return pt::Frame(frame).address(); }
constexpr pt::PhysAddr kA = root(5), kB = root(6), kC = root(7);

u32 asid_of(const AsidTable& table, pt::PhysAddr root) {
  const u32* const found = table.find(root);
  return found != nullptr ? *found : 0;
}

TEST(AsidTable, ARootKeepsItsAsidAndSharesItWithNobody) {
  AsidTable table(8);
  EXPECT_FALSE(table.find(kA));
  const u32 a = table.give(kA).asid;
  const u32 b = table.give(kB).asid;
  EXPECT_EQ(asid_of(table, kA), a);
  EXPECT_EQ(asid_of(table, kB), b);
  EXPECT_NE(a, 0u);
  EXPECT_NE(b, 0u);
  EXPECT_NE(a, b);
}

TEST(AsidTable, AnAsidThatWasTakenIsNotGivenAgain) {
  AsidTable table(8);
  const u32 first = table.give(kA).asid;
  table.take(kA);
  EXPECT_FALSE(table.find(kA));
  EXPECT_NE(table.give(kB).asid, first);
  EXPECT_NE(table.give(kA).asid, first);
}

TEST(AsidTable, TakingFromOneRootLeavesTheOthersTheirs) {
  AsidTable table(8);
  const u32 a = table.give(kA).asid;
  table.take(kB);
  table.take(root(5 + AsidTable::kEntries));  // falls to the same entry
  EXPECT_EQ(asid_of(table, kA), a);
}

TEST(AsidTable, EveryRootLosesItsOwnAtOnce) {
  AsidTable table(8);
  const u32 a = table.give(kA).asid;
  (void)table.give(kB);
  table.take_all();
  EXPECT_FALSE(table.find(kA));
  EXPECT_FALSE(table.find(kB));
  const AsidTable::Given again = table.give(kA);
  EXPECT_FALSE(again.forget_all);
  EXPECT_NE(again.asid, a);
}

// With as few as the architecture allows, and fewer.
TEST(AsidTable, OneKeepsItsOwnWhileTheOthersLoseTheirs) {
  AsidTable table(8);
  const u32 a = table.give(kA).asid;
  static_cast<void>(table.give(kB));
  table.take_others(kA);
  EXPECT_EQ(asid_of(table, kA), a);
  EXPECT_EQ(table.find(kB), nullptr);
  table.take_others(kB);  // which has none
  EXPECT_EQ(table.find(kA), nullptr);
  EXPECT_EQ(table.find(kB), nullptr);
}

TEST(AsidTable, UsedUpTheyBeginAgainAndAllIsForgotten) {
  for (const u32 asids : {0u, 1u, 2u, 3u, 4u, 16u}) {
    AsidTable table(asids);
    const u32 usable = asids < 2 ? 1 : asids - 1;
    for (u32 i = 0; i < 3 * usable + 1; ++i) {
      const AsidTable::Given given = table.give(root(i + 1));
      EXPECT_EQ(given.asid, 1 + i % usable) << asids;
      EXPECT_EQ(given.forget_all, i != 0 && i % usable == 0) << asids;
      for (u32 before = 0; before < i; ++before) {
        EXPECT_EQ(table.find(root(before + 1)) != nullptr, before / usable == i / usable) << asids;
      }
    }
  }
}

TEST(AsidTable, RootsThatFallToOneEntryTakeItFromEachOther) {
  AsidTable table(8);
  const pt::PhysAddr other = root(5 + AsidTable::kEntries);
  const u32 a = table.give(kA).asid;
  EXPECT_FALSE(table.find(other));
  const u32 b = table.give(other).asid;
  EXPECT_NE(a, b);
  EXPECT_FALSE(table.find(kA));
  EXPECT_EQ(asid_of(table, other), b);
}

TEST(AsidTable, AGenerationWithTheSameNumberIsAnotherOne) {
  AsidTable table(8);
  (void)table.give(kA);
  for (u64 i = 0; i < 2 * AsidTable::kGenerations; ++i) {
    table.take_all();
    ASSERT_FALSE(table.find(kA)) << i;
  }
}

}  // namespace
}  // namespace nopte::hv
