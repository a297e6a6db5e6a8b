// What clones share, page tables and all, and how it comes apart: over every kind of sink, with all
// invariants checked between. Where a sink cannot share tables the pages are shared, and all else is the
// same.
#include "tests/model/shared_tables.h"

#include <vector>

namespace nopte::model {
namespace {

INSTANTIATE_TEST_SUITE_P(Kinds, SharedTables, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(SharedTables, ACloneMakesFewTablesHoweverManyThereAre) {
  map_filled(2 * kTable + 10);
  const SpaceId empty = *w.create();
  const u64 before = counted(&pt::EngineCounters::tables_allocated);
  const SpaceId other = *w.create();
  const u64 for_a_space = counted(&pt::EngineCounters::tables_allocated) - before;
  clone();
  const u64 for_a_clone = counted(&pt::EngineCounters::tables_allocated) - before - for_a_space;
  if (shares()) {
    // Above those that are shared, and the third of the leaf tables, which has few entries.
    EXPECT_LE(for_a_clone, for_a_space + layout.levels - 1);
  } else {
    EXPECT_GT(for_a_clone, for_a_space);
  }
  ASSERT_TRUE(w.destroy(empty));
  ASSERT_TRUE(w.destroy(other));
  in(child);
  expect_filled(0, 2 * kTable + 10);
}

// Pages of objects are found again, by faults.
TEST_P(SharedTables, ACloneMakesNoTablesForObjectsAlone) {
  const ObjectId object = *w.object_create(8);
  w.map(
      parent,
      {.range = VaRange::of_pages(kBase, 8), .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  for (u64 i = 0; i < 8; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  const u64 before = w.frames().free_frames();
  const SpaceId empty = *w.create();
  const u64 after = w.frames().free_frames();
  ASSERT_TRUE(w.destroy(empty));
  ASSERT_EQ(w.frames().free_frames(), before);
  clone();
  EXPECT_EQ(w.frames().free_frames(), after);
  in(child);
  expect_filled(0, 8);
}

TEST_P(SharedTables, AWriteCopiesTheTablesOnItsWayAndNoOthers) {
  map_filled(2 * kTable);
  clone();
  in(child);
  const u64 before = counted(&pt::EngineCounters::tables_allocated);
  const u64 copied = counted(&pt::EngineCounters::frames_copied);
  EXPECT_EQ(w.write(kBase, 77), kFine);
  w.check();
  if (shares()) {
    EXPECT_LE(counted(&pt::EngineCounters::tables_allocated) - before, layout.levels - 1);
    EXPECT_GE(counted(&pt::EngineCounters::tables_allocated) - before, 1u);
  }
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied) - copied, 1u);
  expect_filled(1, 2 * kTable);
  in(parent);
  expect_filled(0, 2 * kTable);
  EXPECT_EQ(w.write(page(kBase, 1), 78), kFine);
  w.check();
  in(child);
  EXPECT_EQ(w.read(kBase), 77u);
  EXPECT_EQ(w.read(page(kBase, 1)), 2u);
}

TEST_P(SharedTables, WhoIsLeftAloneHasItAllBackWithoutACopy) {
  for (const bool parent_goes : {false, true}) {
    map_filled(kTable + 5);
    clone();
    in(child);
    EXPECT_EQ(w.write(page(kBase, 3), 4), kFine);  // apart at the first table, shared at the second
    in(parent_goes ? child : parent);
    ASSERT_TRUE(w.destroy(parent_goes ? parent : child));
    w.check();
    const u64 tables = counted(&pt::EngineCounters::tables_allocated);
    const u64 frames = counted(&pt::EngineCounters::frames_copied);
    for (u64 i = 0; i < kTable + 5; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
    w.check();
    EXPECT_EQ(counted(&pt::EngineCounters::tables_allocated), tables);
    EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), frames);
    if (parent_goes) parent = child;
    ASSERT_TRUE(w.unmap(parent, pages(0, kTable + 5)));
  }
}

// Right after a fault a processor may look at the way there again, and keep what refuses (machine.cc). Xen is
// asked to flush what was lost alone: an exit more for each such fault would be worse.
TEST_P(SharedTables, OneFaultIsEnoughToWriteWhatIsOnesOwnAgain) {
  map_filled(kTable + 5);
  clone();
  ASSERT_TRUE(w.destroy(child));
  for (const u64 at : {u64{3}, kTable + 1}) {  // all tables on the way, and the lowest
    const u64 faults = counted(&pt::EngineCounters::faults);
    EXPECT_EQ(w.write(page(kBase, at), at + 1), kFine);
    EXPECT_LE(counted(&pt::EngineCounters::faults), faults + (GetParam() == &kXen ? 2 : 1)) << at;
  }
}

TEST_P(SharedTables, AChainOfClonesComesApartInAnyOrder) {
  map_filled(kTable + 20);
  std::vector<SpaceId> chain{parent};
  for (u64 i = 1; i < 6; ++i) {
    in(chain.back());
    chain.push_back(*w.clone(chain.back()));
    EXPECT_EQ(w.write(page(kBase, i), 100 * i), kFine);  // the older of the two, after the clone
    w.check();
  }
  for (u64 i = 0; i < chain.size(); ++i) {
    in(chain[i]);
    // Space i wrote at i + 1, and nobody before it did before it was made.
    for (u64 k = 1; k < 6; ++k) EXPECT_EQ(w.read(page(kBase, k)), k == i + 1 ? 100 * k : k + 1) << i;
    expect_filled(6, kTable + 20);
  }
  for (const u64 gone : {2u, 0u, 5u, 1u}) {
    in(chain[3]);
    ASSERT_TRUE(w.destroy(chain[gone]));
    w.check();
    EXPECT_EQ(w.write(page(kBase, 10 + gone), 11 + gone), kFine);
    w.check();
  }
  in(chain[4]);
  expect_filled(6, kTable + 20);
}

// Rights are taken from one side only, and come back with the contents; whichever side ends first.
TEST_P(SharedTables, RightsAreTakenFromOneSideAlone) {
  for (const Perm perm : {kPermNone, kPermR, kPermRX}) {
    for (const bool other_goes : {false, true}) {
      SCOPED_TRACE(testing::Message() << "rights " << unsigned{perm.bits()} << ", other goes " << other_goes);
      map_filled(3 * kTable, kPermRWX);
      clone();
      // Two tables whole, and some pages of the third.
      ASSERT_TRUE(w.protect(parent, pages(0, 2 * kTable + 7), perm));
      w.check();
      EXPECT_EQ(w.write(kBase, 9), ViolationReason::kPermission);
      EXPECT_EQ(w.read(page(kBase, kTable)).has_value(), !perm.none());
      if (!perm.exec() && !layout.all_executable()) {
        EXPECT_EQ(w.touch(page(kBase, kTable), Access::kExec), std::unexpected(ViolationReason::kPermission));
      }
      EXPECT_EQ(w.write(page(kBase, 2 * kTable + 7), 2 * kTable + 8), kFine);
      in(child);
      EXPECT_TRUE(w.touch(page(kBase, kTable + 1), Access::kExec));
      EXPECT_EQ(w.write(page(kBase, kTable + 1), 5), kFine);
      EXPECT_EQ(w.write(page(kBase, 2), 5), kFine);
      w.check();
      in(parent);
      if (other_goes) {
        ASSERT_TRUE(w.destroy(child));
      }
      w.check();
      ASSERT_TRUE(w.protect(parent, pages(kTable / 2, kTable + 4), kPermRW));
      w.check();
      EXPECT_EQ(w.write(page(kBase, 1), 9), ViolationReason::kPermission);
      expect_filled(kTable / 2, kTable + 4);
      EXPECT_EQ(w.write(page(kBase, kTable), kTable + 1), kFine);
      w.check();
      ASSERT_TRUE(w.protect(parent, pages(0, 3 * kTable), kPermRW));
      expect_filled(0, 3 * kTable);
      for (u64 i = 0; i < 3 * kTable; i += 3) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
      w.check();
      if (!other_goes) {
        ASSERT_TRUE(w.destroy(child));
      }
      ASSERT_TRUE(w.unmap(parent, pages(0, 3 * kTable)));
    }
  }
}

// What was taken above a shared table stays taken in the clones made later, and in copies of it.
TEST_P(SharedTables, TakenRightsAreInherited) {
  map_filled(2 * kTable, kPermRWX);
  clone();
  ASSERT_TRUE(w.protect(parent, pages(0, kTable), kPermNone));
  ASSERT_TRUE(w.protect(parent, pages(kTable, 2 * kTable), kPermR));
  const SpaceId second = *w.clone(parent);
  w.check();
  in(second);
  EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kPermission));
  EXPECT_EQ(w.write(page(kBase, kTable), 1), ViolationReason::kPermission);
  ASSERT_TRUE(w.protect(second, pages(3, 5), kPermRW));
  EXPECT_EQ(w.write(page(kBase, 3), 33), kFine);
  w.check();
  EXPECT_EQ(w.read(page(kBase, 5)), std::unexpected(ViolationReason::kPermission));
  in(parent);
  EXPECT_EQ(w.read(page(kBase, 3)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.protect(parent, pages(0, 2 * kTable), kPermR));
  expect_filled(0, 2 * kTable);
  w.check();
}

TEST_P(SharedTables, UnmapAndDontNeedTakeFromOneSideAlone) {
  for (const bool keeps_region : {false, true}) {
    map_filled(3 * kTable);
    clone();
    // From amidst the first table to amidst the third.
    const VaRange taken = pages(kTable / 2, 2 * kTable + 7);
    if (keeps_region) {
      ASSERT_TRUE(w.advise(parent, taken, Advice::kDontNeed));
      w.check();
      EXPECT_EQ(w.read(page(kBase, kTable)), 0u);
    } else {
      ASSERT_TRUE(w.unmap(parent, taken));
      w.check();
      EXPECT_EQ(w.read(page(kBase, kTable)), std::unexpected(ViolationReason::kNoRegion));
    }
    expect_filled(0, kTable / 2);
    expect_filled(2 * kTable + 7, 3 * kTable);
    in(child);
    expect_filled(0, 3 * kTable);
    EXPECT_EQ(w.write(page(kBase, kTable), 1), kFine);
    w.check();
    in(parent);
    ASSERT_TRUE(w.destroy(child));
    ASSERT_TRUE(w.unmap(parent, pages(0, 3 * kTable)));
    w.check();
  }
}

// Where a range lies amidst a shared leaf table that holds nothing of it, nothing is copied.
TEST_P(SharedTables, TakingNothingNeedsNothing) {
  map_filled(kTable / 2);
  w.map(parent, {.range = VaRange::of_pages(page(kBase, kTable / 2), 8), .perm = kPermRW});
  clone();
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  const VaRange untouched = pages(kTable / 2, kTable / 2 + 8);
  EXPECT_TRUE(w.advise(parent, untouched, Advice::kDontNeed));
  EXPECT_TRUE(w.protect(parent, untouched, kPermR));
  EXPECT_TRUE(w.unmap(parent, untouched));
  w.frames().fail_allocation(0);
  w.check();
}

// Nor where it reaches from amidst one into another: so what a mremap that fails has put there goes again.
TEST_P(SharedTables, TakingNothingFromTwoTablesNeedsNothing) {
  map_filled(kTable / 2);
  const VaRange behind = pages(kTable + kTable / 2, 2 * kTable);
  w.map(parent, {.range = behind, .perm = kPermRW});
  for (Gva va = behind.begin; va < behind.end; va += kPageBytes) ASSERT_EQ(w.write(va, 1), kFine);
  clone();
  const VaRange untouched = pages(kTable / 2, kTable + kTable / 2);
  w.map(parent, {.range = untouched, .perm = kPermRW});
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  EXPECT_TRUE(w.protect(parent, untouched, kPermR));
  EXPECT_TRUE(w.unmap(parent, untouched));
  w.frames().fail_allocation(0);
  w.check();
  expect_filled(0, kTable / 2);
  EXPECT_EQ(w.read(behind.begin), 1u);
}

// What is inside the range whole goes, or loses its rights, without a frame to be had.
TEST_P(SharedTables, TakingWholeTablesNeedsNoMemory) {
  if (!shares()) GTEST_SKIP() << "there are none";
  map_filled(3 * kTable);
  clone();
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  // Amidst a leaf table, that and the tables above it would have to be copied.
  ASSERT_EQ(w.engine().region_unmapped(parent, pages(1, 2)), Fail(Status::kNoMemory));
  ASSERT_EQ(w.engine().region_protected(parent, pages(1, 2), kPermR), Fail(Status::kNoMemory));
  w.frames().fail_allocation(0);
  w.check();
  // The tables above are the parent's own now; those of its leaves are not.
  EXPECT_EQ(w.write(kBase, 1), kFine);
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  ASSERT_TRUE(w.protect(parent, pages(kTable, 2 * kTable), kPermR));
  w.check();
  ASSERT_TRUE(w.unmap(parent, pages(kTable, 3 * kTable)));
  w.check();
  w.frames().fail_allocation(0);
  in(child);
  expect_filled(0, 3 * kTable);
}

// What is taken above a shared table and given again comes back by the fault that needs it.
TEST_P(SharedTables, ARightThatComesBackIsFoundByAFault) {
  map_filled(kTable, kPermRWX);
  clone();
  ASSERT_TRUE(w.protect(parent, pages(0, kTable), kPermR));
  ASSERT_TRUE(w.protect(parent, pages(0, kTable), kPermRX));
  EXPECT_TRUE(w.touch(page(kBase, 3), Access::kExec));
  w.check();
  EXPECT_EQ(w.write(page(kBase, 3), 1), ViolationReason::kPermission);
  in(child);
  expect_filled(0, kTable);
}

}  // namespace
}  // namespace nopte::model
