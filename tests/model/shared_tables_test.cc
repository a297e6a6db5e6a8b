// What clones share, page tables and all, and how it comes apart: over every kind of sink, with all
// invariants checked between. Where a sink cannot share tables the pages are shared, and all else is the
// same.
#include <functional>
#include <vector>

#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr Gva page(Gva base, u64 index) { return base + pages_to_bytes(index); }
constexpr auto kFine = ViolationReason::kNone;

class SharedTables : public testing::TestWithParam<const KindRow*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(w.start());
    parent = *w.create();
    ASSERT_TRUE(w.activate(parent));
  }
  void TearDown() override {
    w.check();
    w.finish();
  }
  [[nodiscard]] bool shares() { return w.kind().can_share_tables(); }
  [[nodiscard]] u64 counted(u64 pt::EngineCounters::* counter) { return w.engine().counters().*counter; }

  // An anonymous region of `pages` at the base, each page with its number.
  void map_filled(u64 pages, Perm perm = kPermRW) {
    w.map(parent, {.range = VaRange::of_pages(kBase, pages), .perm = perm});
    for (u64 i = 0; i < pages; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  }
  // Every page of the running space in [first, last) holds its number.
  void expect_filled(u64 first, u64 last) {
    for (u64 i = first; i < last; ++i) ASSERT_EQ(w.read(page(kBase, i)), i + 1) << i;
  }
  VaRange pages(u64 first, u64 last) const { return {page(kBase, first), page(kBase, last)}; }
  void clone() {
    child = *w.clone(parent);
    w.check();
  }
  void in(SpaceId space) { ASSERT_TRUE(w.activate(space)); }
  // The same on the other processor, where there is one.
  void on(unsigned cpu, SpaceId space) {
    w.machine().set_current(w.machine().cpus() == 1 ? 0 : cpu);
    in(space);
  }

  World w{*GetParam(), 8192, 2};
  const Layout& layout = w.layout();
  const Gva kBase = layout.base;
  const u64 kTable = layout.leaf_table_bytes >> kPageShift;  // pages of a leaf table
  SpaceId parent{};
  SpaceId child{};
};

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

TEST_P(SharedTables, MovedTablesStayShared) {
  map_filled(2 * kTable);
  clone();
  const Gva whole = page(kBase, 8 * kTable);
  ASSERT_TRUE(w.move(parent, pages(0, 2 * kTable), whole));
  w.check();
  EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kNoRegion));
  for (u64 i = 0; i < 2 * kTable; ++i) ASSERT_EQ(w.read(page(whole, i)), i + 1);
  EXPECT_EQ(w.write(page(whole, 5), 55), kFine);
  w.check();
  in(child);
  expect_filled(0, 2 * kTable);
  EXPECT_EQ(w.write(page(kBase, kTable), 66), kFine);
  w.check();
  // And to other offsets, page by page, after rights were taken above the tables.
  const SpaceId second = *w.clone(child);
  ASSERT_TRUE(w.protect(child, pages(0, 2 * kTable), kPermR));
  const Gva askew = page(kBase, 5 * kTable + 3);
  ASSERT_TRUE(w.move(child, pages(0, 2 * kTable), askew));
  w.check();
  EXPECT_EQ(w.read(page(askew, kTable)), 66u);
  EXPECT_EQ(w.read(page(askew, 5)), 6u);
  EXPECT_EQ(w.write(page(askew, 5), 1), ViolationReason::kPermission);
  in(second);
  EXPECT_EQ(w.write(page(kBase, 5), 6), kFine);
  EXPECT_EQ(w.read(page(kBase, kTable)), 66u);
}

// A table without entries, which a clone has too and whose link refuses all, lies where another arrives.
TEST_P(SharedTables, ATableArrivesWhereAnEmptyOneIs) {
  map_filled(kTable);
  const VaRange there = pages(8 * kTable, 9 * kTable);
  const ObjectId object = *w.object_create(kTable);
  w.map(parent, {.range = there, .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  EXPECT_EQ(w.write(there.begin, 1), kFine);
  clone();
  in(child);
  ASSERT_TRUE(w.protect(child, there, kPermNone));
  ASSERT_TRUE(w.engine().object_resize(object, 0));
  w.regions(child).unmap(there);
  w.check();
  ASSERT_TRUE(w.move(child, pages(0, kTable), there.begin));
  w.check();
  for (u64 i = 0; i < kTable; ++i) ASSERT_EQ(w.read(page(there.begin, i)), i + 1);
  EXPECT_EQ(w.write(there.begin, 5), kFine);
  in(parent);
  expect_filled(0, kTable);
  EXPECT_EQ(w.read(there.begin), std::unexpected(ViolationReason::kPastEnd));
}

// An object's pages and private ones in one table.
TEST_P(SharedTables, WhatIsSharedStaysShared) {
  const ObjectId object = *w.object_create(32);
  w.map(parent, {.range = VaRange::of_pages(kBase, 8), .perm = kPermRW});
  w.map(parent, {.range = VaRange::of_pages(page(kBase, 8), 16),
                 .perm = kPermRW,
                 .sharing = Sharing::kShared,
                 .object = object});
  w.map(parent, {.range = VaRange::of_pages(page(kBase, 24), 8),
                 .perm = kPermRW,
                 .sharing = Sharing::kPrivate,
                 .object = object,
                 .object_page = 16});
  for (u64 i = 0; i < 32; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  clone();
  EXPECT_EQ(w.write(page(kBase, 9), 90), kFine);
  EXPECT_EQ(w.write(page(kBase, 25), 91), kFine);
  w.check();
  in(child);
  EXPECT_EQ(w.read(page(kBase, 9)), 90u);
  EXPECT_EQ(w.read(page(kBase, 25)), 26u);
  EXPECT_EQ(w.write(page(kBase, 10), 92), kFine);
  EXPECT_EQ(w.write(page(kBase, 1), 93), kFine);
  w.check();
  in(parent);
  EXPECT_EQ(w.read(page(kBase, 10)), 92u);
  EXPECT_EQ(w.read(page(kBase, 1)), 2u);
}

// An object is cut for all who show it, in the tables that they share, though no frame is to be had. Each of
// two processors runs one of them.
TEST_P(SharedTables, AnObjectIsCutForAll) {
  const ObjectId object = *w.object_create(64);
  for (const u64 base : {u64{0}, u64{100}}) {
    w.map(parent, {.range = VaRange::of_pages(page(kBase, base), 64),
                   .perm = kPermRW,
                   .sharing = base == 0 ? Sharing::kShared : Sharing::kPrivate,
                   .object = object});
    for (u64 i = 0; i < 64; ++i) ASSERT_EQ(w.write(page(kBase, base + i), i + 1), kFine);
  }
  clone();
  on(1, child);
  for (u64 i = 0; i < 64; ++i) ASSERT_EQ(w.read(page(kBase, i)), i + 1);
  on(0, parent);
  for (u64 i = 0; i < 64; ++i) ASSERT_EQ(w.read(page(kBase, i)), i + 1);
  w.frames().fail_allocation(1, pt::FrameTable::Failing::kFrom);
  ASSERT_TRUE(w.engine().object_resize(object, 10));
  w.check();
  w.frames().fail_allocation(0);
  for (const unsigned cpu : {0u, 1u}) {
    on(cpu, cpu == 0 ? parent : child);
    for (const u64 base : {u64{0}, u64{100}}) {
      EXPECT_EQ(w.read(page(kBase, base + 9)), 10u);
      EXPECT_EQ(w.read(page(kBase, base + 10)), std::unexpected(ViolationReason::kPastEnd));
      EXPECT_EQ(w.write(page(kBase, base + 9), 10), kFine);
    }
    w.check();
  }
  on(1, SpaceId::kKernel);
  w.machine().set_current(0);
}

// So many leaf tables that those above are shared as they are, and copied at the first write.
TEST_P(SharedTables, TablesOfTablesComeApart) {
  constexpr u64 kTables = 70;
  w.map(parent, {.range = VaRange::of_pages(kBase, kTables * kTable), .perm = kPermRW});
  for (u64 i = 0; i < kTables; ++i) ASSERT_EQ(w.write(page(kBase, i * kTable), i + 1), kFine);
  clone();
  in(child);
  for (const u64 i : {3u, 5u}) EXPECT_EQ(w.write(page(kBase, i * kTable), 1000 + i), kFine);
  w.check();
  in(parent);
  for (u64 i = 0; i < kTables; ++i) ASSERT_EQ(w.read(page(kBase, i * kTable)), i + 1);
  for (const u64 i : {5u, 7u}) EXPECT_EQ(w.write(page(kBase, i * kTable), 2000 + i), kFine);
  w.check();
  in(child);
  EXPECT_EQ(w.read(page(kBase, 5 * kTable)), 1005u);
  EXPECT_EQ(w.read(page(kBase, 7 * kTable)), 8u);
}

// The first that is gone through does not run, so that nobody knows of its entries; of the table others do.
TEST_P(SharedTables, AnObjectIsCutForWhoeverRuns) {
  const ObjectId object = *w.object_create(100);
  w.map(parent, {.range = VaRange::of_pages(kBase, 100),
                 .perm = kPermRW,
                 .sharing = Sharing::kShared,
                 .object = object});
  for (u64 i = 0; i < 100; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  clone();
  in(child);
  for (u64 i = 0; i < 100; ++i) ASSERT_EQ(w.read(page(kBase, i)), i + 1);
  ASSERT_TRUE(w.engine().object_resize(object, 90));
  w.check();
  EXPECT_EQ(w.read(page(kBase, 95)), std::unexpected(ViolationReason::kPastEnd));
  expect_filled(0, 90);
}

// Both sides run at once, and write.
TEST_P(SharedTables, NoProcessorKeepsTheWayToATableThatIsAnothers) {
  map_filled(2 * kTable);
  clone();
  on(1, child);
  for (u64 round = 0; round < 40; ++round) {
    for (const unsigned cpu : {0u, 1u}) {
      on(cpu, cpu == 0 ? parent : child);
      const u64 at = (round * 37 + cpu * 11) % (2 * kTable);
      EXPECT_TRUE(w.read(page(kBase, (at + 1) % (2 * kTable))));
      EXPECT_EQ(w.write(page(kBase, at), 1000 * (cpu + 1) + at), kFine);
      w.check();
    }
  }
  on(1, SpaceId::kKernel);
  ASSERT_TRUE(w.destroy(child));
  on(0, parent);
  for (u64 i = 0; i < 2 * kTable; ++i) {
    const u64 found = *w.read(page(kBase, i));
    EXPECT_TRUE(found == i + 1 || found == 1000 + i) << found;
  }
}

// What a space that does not run takes from a table is taken from one that does, before that has its right
// back.
TEST_P(SharedTables, WhatOneThatDoesNotRunTakesIsKnownToOneThatDoes) {
  const u64 half = kTable / 2;
  map_filled(half);
  w.map(parent, {.range = VaRange::of_pages(page(kBase, half), 8), .perm = kPermRW});
  clone();
  ASSERT_TRUE(w.engine().fault(child, page(kBase, 3), Access::kWrite, pt::Privilege::kUser));
  // Back without a fault, so that nothing else tells of it; and used, so that a shadow shows the way.
  ASSERT_TRUE(w.advise(parent, pages(half, half + 2), Advice::kPopulate));
  EXPECT_EQ(w.write(page(kBase, half), 1), kFine);
  EXPECT_EQ(w.write(page(kBase, 5), 55), kFine);
  w.check();
  in(child);
  expect_filled(0, half);
}

// Every allocation of every operation fails once: nothing has changed, and then it works.
TEST_P(SharedTables, OutOfMemoryChangesNothing) {
  const auto apart = [&](const char* what, const std::function<Result<void>()>& step) {
    SCOPED_TRACE(what);
    for (u64 nth = 1;; ++nth) {
      ASSERT_LT(nth, 40u);
      w.frames().fail_allocation(nth);
      const auto done = step();
      w.frames().fail_allocation(0);
      w.check();
      if (done) return;
      EXPECT_EQ(done.error(), Status::kNoMemory);
      if (what[0] != 'w') expect_filled(kTable / 2, kTable / 2 + 20);
    }
  };
  const auto written = [&](Gva va, u64 value) -> Result<void> {
    if (w.write(va, value) == kFine) return {};
    return Fail(Status::kNoMemory);
  };
  map_filled(2 * kTable);
  clone();
  apart("write", [&] { return written(page(kBase, kTable - 1), kTable); });
  SpaceId more = *w.clone(parent);
  apart("unmap", [&] { return w.unmap(parent, pages(kTable / 2 + 20, kTable + 7)); });
  apart("protect", [&] { return w.protect(parent, pages(kTable + 7, kTable + 9), kPermR); });
  ASSERT_TRUE(w.destroy(more));
  more = *w.clone(parent);
  apart("drop", [&] { return w.advise(parent, pages(kTable + 9, 2 * kTable - 1), Advice::kDontNeed); });
  ASSERT_TRUE(w.destroy(more));
  more = *w.clone(parent);
  apart("move", [&] { return w.move(parent, pages(0, kTable / 2 - 1), page(kBase, 3 * kTable + 5)); });
  EXPECT_EQ(w.read(page(kBase, 3 * kTable + 5 + 7)), 8u);
  in(more);
  EXPECT_EQ(w.read(page(kBase, 7)), 8u);
  in(child);
  expect_filled(0, 2 * kTable);
}

// Clones of clones until nothing is left, and back.
TEST_P(SharedTables, AForkBombLeavesNothing) {
  map_filled(kTable + 100);
  const u64 before = w.frames().free_frames();
  std::vector<SpaceId> bomb{parent};
  for (bool room = true; room;) {
    const std::size_t generation = bomb.size();
    for (std::size_t i = 0; i < generation && room; ++i) {
      in(bomb[i]);
      const auto made = w.clone(bomb[i]);
      room = made.has_value();
      if (!room) break;
      bomb.push_back(*made);
      in(*made);
      for (u64 k = 0; k < 90 && room; ++k) {
        room = w.write(page(kBase, (bomb.size() * 31 + k * 7) % (kTable + 100)), 5) == kFine;
      }
    }
  }
  EXPECT_GT(bomb.size(), 10u);
  w.check();
  in(parent);
  // Every other one first.
  for (const std::size_t parity : {1u, 0u}) {
    for (std::size_t i = 1; i < bomb.size(); ++i) {
      if (i % 2 == parity) {
        ASSERT_TRUE(w.destroy(bomb[i]));
      }
    }
  }
  w.check();
  ASSERT_TRUE(w.unmap(parent, pages(0, kTable + 100)));
  EXPECT_GE(w.frames().free_frames(), before + kTable + 100);
}

}  // namespace
}  // namespace nopte::model
