// Tables of tables that clones share: so many leaf tables that those above are shared as they are, and copied
// at the first write.
#include "tests/model/shared_tables.h"

namespace nopte::model {
namespace {

class TablesOfTables : public SharedTables {
 protected:
  static constexpr u64 kTables = 70;
  static constexpr u64 kEach = 2;  // pages of each
  u64 value(u64 table, u64 i) const { return table * kEach + i + 1; }
  Gva at(u64 table, u64 i) const { return page(kBase, table * kTable + i); }
  void map_filled_tables(u64 count = kTables) {
    w.map(parent, {.range = pages(0, count * kTable), .perm = kPermRW});
    for (u64 table = 0; table < count; ++table) {
      for (u64 i = 0; i < kEach; ++i) ASSERT_EQ(w.write(at(table, i), value(table, i)), kFine);
    }
  }
  void expect_filled_tables(u64 first, u64 last) {
    for (u64 table = first; table < last; ++table) {
      for (u64 i = 0; i < kEach; ++i) ASSERT_EQ(w.read(at(table, i)), value(table, i)) << table;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, TablesOfTables, testing::ValuesIn(kAllKinds), kKindName);

// A page that one side has not written is both sides' in the table that was copied, too.
TEST_P(TablesOfTables, WhoHasAllBackSharesThePagesOfWhatWasCopied) {
  map_filled_tables();
  clone();
  in(child);
  EXPECT_EQ(w.write(at(3, 0), 1000), kFine);
  in(parent);
  EXPECT_EQ(w.write(at(9, 0), 2000), kFine);  // the tables above are its own again
  EXPECT_EQ(w.write(at(3, 1), 2001), kFine);
  w.check();
  in(child);
  EXPECT_EQ(w.read(at(3, 1)), value(3, 1));
  EXPECT_EQ(w.read(at(9, 0)), value(9, 0));
}

// What all below one lost by the entry above stays lost in copies, and in the table that is one's own again.
TEST_P(TablesOfTables, RightsThatAllBelowLostComeBackOneByOne) {
  if (layout.levels < 4) GTEST_SKIP() << "there is no such table below the root";
  for (const Perm perm : {kPermNone, kPermR}) {
    for (const bool other_goes : {false, true}) {
      SCOPED_TRACE(testing::Message() << "rights " << unsigned{perm.bits()} << ", other goes " << other_goes);
      map_filled_tables();
      clone();
      const VaRange all = pages(0, kTable * layout.entries_per_table);
      ASSERT_TRUE(w.engine().region_protected(parent, all, perm));
      w.regions(parent).protect(all, perm);
      w.check();
      if (other_goes) {
        ASSERT_TRUE(w.destroy(child));
      }
      ASSERT_TRUE(w.protect(parent, pages(0, 1), kPermRW));
      w.check();
      EXPECT_EQ(w.write(at(0, 0), value(0, 0)), kFine);
      EXPECT_EQ(w.write(at(0, 1), 1), ViolationReason::kPermission);
      EXPECT_EQ(w.write(at(1, 0), 1), ViolationReason::kPermission);
      EXPECT_EQ(w.read(at(0, 1)).has_value(), !perm.none());
      EXPECT_EQ(w.read(at(1, 0)).has_value(), !perm.none());
      w.check();
      if (!other_goes) {
        in(child);
        expect_filled_tables(0, kTables);
        in(parent);
        ASSERT_TRUE(w.destroy(child));
      }
      ASSERT_TRUE(w.unmap(parent, pages(0, kTables * kTable)));
    }
  }
}

TEST_P(TablesOfTables, WithoutMemoryForAllCopiesThereIsNone) {
  map_filled_tables();
  clone();
  in(child);
  for (u64 nth = 1;; ++nth) {
    ASSERT_LT(nth, 20u);
    const u64 before = w.frames().free_frames();
    const u64 unshared = counted(&pt::EngineCounters::tables_unshared);
    w.frames().fail_allocation(nth);
    const ViolationReason written = w.write(at(3, 0), 1000);
    w.frames().fail_allocation(0);
    w.check();
    if (written == kFine || counted(&pt::EngineCounters::tables_unshared) != unshared) break;
    EXPECT_EQ(w.frames().free_frames(), before) << nth;
  }
}

// A clone copies some small tables, and shares the others however many they are.
TEST_P(TablesOfTables, FewAreCopiedAtOnce) {
  if (!shares()) GTEST_SKIP() << "there are none";
  constexpr u64 kFewer = 60;  // so few that the one above is not shared
  map_filled_tables(kFewer);
  const u64 before = counted(&pt::EngineCounters::tables_allocated);
  clone();
  EXPECT_LE(counted(&pt::EngineCounters::tables_allocated) - before, kFewer / 2);
  in(child);
  expect_filled_tables(0, kFewer);
}

// One that was shared already is shared on, with what was taken above it.
TEST_P(TablesOfTables, WhatIsRestrictedIsNotCopiedByTheNextClone) {
  constexpr u64 kFewer = 20;
  map_filled_tables(kFewer);
  clone();
  // The last are shared; of those that were copied, none takes the next clone's turn.
  ASSERT_TRUE(w.unmap(parent, pages(0, 16 * kTable)));
  ASSERT_TRUE(w.protect(parent, pages(18 * kTable, 19 * kTable), kPermNone));
  const SpaceId next = *w.clone(parent);
  w.check();
  in(next);
  EXPECT_EQ(w.read(at(18, 0)), std::unexpected(ViolationReason::kPermission));
  expect_filled_tables(19, kFewer);
  ASSERT_TRUE(w.protect(next, pages(18 * kTable, 19 * kTable), kPermRW));
  EXPECT_EQ(w.write(at(18, 0), 1), kFine);
  w.check();
  in(child);
  expect_filled_tables(0, kFewer);
}

// A table that shows nothing may stay where a range ends amidst another that is shared: nothing goes by that.
TEST_P(TablesOfTables, TakingNothingButAnEmptyOneNeedsNothing) {
  const u64 half = kTable / 2;
  map_filled(half);
  const ObjectId object = *w.object_create(2 * kTable);
  w.map(parent,
        {.range = pages(half, 2 * kTable), .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  for (u64 i = kTable; i < kTable + 100; ++i) ASSERT_EQ(w.write(page(kBase, i), 1), kFine);
  clone();
  ASSERT_TRUE(w.engine().object_resize(object, 0));
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  EXPECT_TRUE(w.unmap(parent, pages(half, 2 * kTable)));
  w.frames().fail_allocation(0);
  w.check();
  expect_filled(0, half);
}

}  // namespace
}  // namespace nopte::model
