// What clones share while it moves, is cut for all, is seen by other processors, and where memory ends.
#include <functional>
#include <vector>

#include "tests/model/shared_tables.h"

namespace nopte::model {
namespace {

// Not only the page that the table is found by.
TEST_P(SharedTables, NothingOfATableThatIsDroppedIsReadAnyMore) {
  map_filled(kTable);
  clone();
  in(parent);
  expect_filled(0, kTable);
  ASSERT_TRUE(w.unmap(parent, pages(0, kTable)));
  for (u64 i = 0; i < kTable; ++i) {
    ASSERT_EQ(w.read(page(kBase, i)), std::unexpected(ViolationReason::kNoRegion)) << i;
  }
  w.check();
  in(child);
  expect_filled(0, kTable);
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
  // More than a clone looks through by itself.
  for (u64 i = 0; i < 100; ++i) ASSERT_EQ(w.write(page(there.begin, i), 1), kFine);
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

// Of what is taken out of a table, whoever has it too knows before the call stops.
TEST_P(SharedTables, AnObjectThatIsBeingCutIsCutForWhoeverRuns) {
  const ObjectId object = *w.object_create(kTable);
  w.map(parent, {.range = pages(0, kTable), .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  for (u64 i = 0; i < kTable; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), kFine);
  clone();
  in(child);
  expect_filled(0, kTable);
  const auto stop = [] { return true; };
  pt::Checkpoint checkpoint(stop);
  u64 stops = 0;
  for (Result<void> done; !(done = w.engine().object_resize(object, 0, &checkpoint)); ++stops) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    w.check();
  }
  EXPECT_GE(stops, 2u);
  EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kPastEnd));
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
