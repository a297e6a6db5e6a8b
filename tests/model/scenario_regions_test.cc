// Promises of a space, over every kind: what is mapped, taken out, protected, moved, advised and copied.
#include "tests/model/scenario.h"

namespace nopte::model {
namespace {

TEST_P(Scenario, AnonymousMemoryReadsZeroAndKeepsWhatIsWritten) {
  auto& w = world;
  w.map(first, anonymous(kBase, 3));
  EXPECT_EQ(w.read(kBase), 0u);
  // The promise refuses at the first fault; after it, the entry does if it can.
  EXPECT_EQ(w.touch(page(kBase, 2), Access::kExec), std::unexpected(ViolationReason::kPermission));
  EXPECT_EQ(w.touch(kBase, Access::kExec).has_value(), layout.all_executable());
  EXPECT_EQ(w.write(page(kBase, 1), 11), ViolationReason::kNone);
  EXPECT_EQ(w.read(page(kBase, 1)), 11u);
  EXPECT_EQ(w.read(page(kBase, 3)), std::unexpected(ViolationReason::kNoRegion));
  w.check();
}

TEST_P(Scenario, ForkAndForkOfForkAreIndependent) {
  auto& w = world;
  w.map(first, anonymous(kBase, 700));
  for (u64 i = 0; i < 700; ++i) ASSERT_EQ(w.write(page(kBase, i), 1000 + i), ViolationReason::kNone);
  const SpaceId child = *w.clone(first);
  w.check();
  EXPECT_EQ(w.write(kBase, 1), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(kBase), 1000u);
  EXPECT_EQ(w.write(page(kBase, 1), 2), ViolationReason::kNone);
  const SpaceId grandchild = *w.clone(child);
  w.check();
  EXPECT_EQ(w.write(page(kBase, 2), 3), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(grandchild));
  EXPECT_EQ(w.read(page(kBase, 0)), 1000u);
  EXPECT_EQ(w.read(page(kBase, 1)), 2u);
  EXPECT_EQ(w.read(page(kBase, 2)), 1002u);
  EXPECT_EQ(w.write(page(kBase, 2), 4), ViolationReason::kNone);
  ASSERT_TRUE(w.activate(first));
  EXPECT_EQ(w.read(page(kBase, 0)), 1u);
  EXPECT_EQ(w.read(page(kBase, 1)), 1001u);
  EXPECT_EQ(w.read(page(kBase, 2)), 1002u);
  ASSERT_TRUE(w.destroy(child));
  w.check();
  const u64 copied = w.engine().counters().frames_copied;
  ASSERT_TRUE(w.destroy(grandchild));
  EXPECT_EQ(w.write(page(kBase, 300), 5),
            ViolationReason::kNone);  // held once again: upgraded in place
  EXPECT_EQ(w.engine().counters().frames_copied, copied);
}

// What held only zeros when it went, or little else, is not zeroed again.
TEST_P(Scenario, TablesAreNotZeroedTwice) {
  auto& w = world;
  const auto live_once = [&] {
    const u64 before = w.engine().counters().tables_zeroed;
    const SpaceId space = *w.create();
    EXPECT_TRUE(w.activate(space));
    w.map(space, anonymous(kBase, 4));
    EXPECT_EQ(w.write(kBase, 1), ViolationReason::kNone);
    EXPECT_TRUE(w.unmap(space, {kBase, page(kBase, 4)}));
    w.map(space, anonymous(kBase, 4));
    EXPECT_EQ(w.write(page(kBase, 2), 2), ViolationReason::kNone);
    EXPECT_TRUE(w.activate(first));
    EXPECT_TRUE(w.destroy(space));
    w.check();
    return w.engine().counters().tables_zeroed - before;
  };
  EXPECT_GE(live_once(), layout.levels - 1);
  EXPECT_EQ(live_once(), 0u);
}

TEST_P(Scenario, UnmapTakesExactlyTheRangeAndItsTables) {
  auto& w = world;
  const u64 before = w.frames().free_frames();
  w.map(first, anonymous(kBase, 2000));
  for (u64 i = 0; i < 2000; ++i) ASSERT_EQ(w.write(page(kBase, i), i), ViolationReason::kNone);
  ASSERT_TRUE(w.unmap(first, {page(kBase, 100), page(kBase, 1900)}));
  w.check();
  EXPECT_EQ(w.read(page(kBase, 99)), 99u);
  EXPECT_EQ(w.read(page(kBase, 1900)), 1900u);
  EXPECT_EQ(w.read(page(kBase, 100)), std::unexpected(ViolationReason::kNoRegion));
  EXPECT_EQ(w.read(page(kBase, 1899)), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(w.unmap(first, {kBase, page(kBase, 2000)}));
  EXPECT_EQ(w.frames().free_frames(), before);
}

// What may only be written can be read, as on x86, by who has it with others too.
TEST_P(Scenario, RightsToWriteAloneAllowReading) {
  constexpr Perm kWriteOnly(Perm::kWrite);
  world.map(first, anonymous(kBase, 8));
  for (u64 i = 0; i < 8; ++i) ASSERT_EQ(world.write(page(kBase, i), i + 1), ViolationReason::kNone);
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.activate(child));
  ASSERT_TRUE(world.protect(child, {kBase, page(kBase, 8)}, kPermNone));
  ASSERT_TRUE(world.protect(child, {kBase, page(kBase, 8)}, kWriteOnly));
  for (u64 i = 0; i < 8; ++i) EXPECT_EQ(world.read(page(kBase, i)), i + 1);
  ASSERT_EQ(world.write(kBase, 100), ViolationReason::kNone);
  world.check();
}

TEST_P(Scenario, ProtectTakesRightsAtOnceAndKeepsContents) {
  auto& w = world;
  w.map(first, anonymous(kBase, 40));
  for (u64 i = 0; i < 40; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), ViolationReason::kNone);
  const VaRange middle{page(kBase, 10), page(kBase, 20)};
  ASSERT_TRUE(w.protect(first, middle, kPermR));
  w.check();
  EXPECT_EQ(w.write(page(kBase, 10), 0), ViolationReason::kPermission);
  EXPECT_EQ(w.read(page(kBase, 10)), 11u);
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 40)}, kPermNone));
  w.check();
  EXPECT_EQ(w.read(page(kBase, 10)), std::unexpected(ViolationReason::kPermission));
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 40)}, kPermRW));
  w.check();  // what was gained is in the tables now
  const u64 faults = w.engine().counters().faults;
  for (u64 i = 0; i < 40; ++i) EXPECT_EQ(w.write(page(kBase, i), i + 2), ViolationReason::kNone);
  // Stale translations may fault once; an upgrade done eagerly never asks the promises.
  EXPECT_EQ(w.engine().counters().faults, faults);
  ASSERT_TRUE(w.protect(first, {kBase, page(kBase, 1)}, kPermRX));
  EXPECT_TRUE(w.touch(kBase, Access::kExec));
}

TEST_P(Scenario, MoveKeepsContentsAndRights) {
  auto& w = world;
  w.map(first, anonymous(kBase, 600));
  for (u64 i = 0; i < 600; i += 3) ASSERT_EQ(w.write(page(kBase, i), i + 1), ViolationReason::kNone);
  const Gva there{0x1234'5000};
  ASSERT_TRUE(w.move(first, {kBase, page(kBase, 600)}, there));
  w.check();
  EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kNoRegion));
  for (u64 i = 0; i < 600; ++i) EXPECT_EQ(w.read(page(there, i)), i % 3 == 0 ? i + 1 : 0);
  // Within one leaf table, too.
  ASSERT_TRUE(w.move(first, {page(there, 0), page(there, 5)}, page(there, 1000)));
  EXPECT_EQ(w.read(page(there, 1003)), 4u);
}

TEST_P(Scenario, MoveTakesWholeLeafTablesAlong) {
  auto& w = world;
  constexpr u64 kPages = 1100;  // two leaf tables and a part of a third
  w.map(first, anonymous(kBase, kPages));
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    ASSERT_TRUE(w.activate(first));
    for (u64 i = 0; i < kPages; i += 7) ASSERT_EQ(w.write(page(kBase, i), i + 1), ViolationReason::kNone);
  }
  const Gva there{0x4000'0000};
  const u64 written = w.engine().counters().entries_written;
  ASSERT_TRUE(w.move(first, {kBase, page(kBase, kPages)}, there));
  w.check();
  if (w.kind().can_share_tables()) {
    EXPECT_LT(w.engine().counters().entries_written - written, 40u);
  }
  for (unsigned cpu = 0; cpu < w.machine().cpus(); ++cpu) {
    w.machine().set_current(cpu);
    EXPECT_EQ(w.read(kBase), std::unexpected(ViolationReason::kNoRegion));
    for (u64 i = 0; i < kPages; ++i) EXPECT_EQ(w.read(page(there, i)), i % 7 == 0 ? i + 1 : 0);
  }
  // Out of memory on the way leaves everything where it was.
  for (u64 nth = 1;; ++nth) {
    w.frames().fail_allocation(nth);
    const auto moved = w.move(first, {there, page(there, kPages)}, kBase);
    w.frames().fail_allocation(0);
    w.check();
    if (moved) break;
    ASSERT_LT(nth, 20u);
    EXPECT_EQ(w.read(page(there, 7)), 8u);
  }
  EXPECT_EQ(w.read(page(kBase, 1099)), 1100u);
}

TEST_P(Scenario, MoveIntoATableThatItEmpties) {
  auto& w = world;
  // Source [900, 1200), target [388, 688): the first table of the source loses all its pages to the table
  // before it, then the rest arrives in it.
  w.map(first, anonymous(page(kBase, 900), 300));
  for (u64 i = 0; i < 300; ++i) ASSERT_EQ(w.write(page(kBase, 900 + i), i + 1), ViolationReason::kNone);
  ASSERT_TRUE(w.move(first, {page(kBase, 900), page(kBase, 1200)}, page(kBase, 388)));
  w.check();
  for (u64 i = 0; i < 300; ++i) EXPECT_EQ(w.read(page(kBase, 388 + i)), i + 1);
}

TEST_P(Scenario, AdviceDropsAndInstallsAhead) {
  auto& w = world;
  const ObjectId object = *w.object_create(4);
  w.map(first, anonymous(kBase, 600));
  w.map(first, of_object(page(kBase, 600), 8, object, Sharing::kPrivate));
  const VaRange all{kBase, page(kBase, 700)};
  ASSERT_TRUE(w.advise(first, all, Advice::kPopulate));
  const u64 faults = w.engine().counters().faults;
  for (u64 i = 0; i < 604; ++i) EXPECT_EQ(w.write(page(kBase, i), i + 1), ViolationReason::kNone);
  EXPECT_EQ(w.engine().counters().faults, faults);
  EXPECT_EQ(w.read(page(kBase, 604)), std::unexpected(ViolationReason::kPastEnd));
  ASSERT_TRUE(w.advise(first, {kBase, page(kBase, 602)}, Advice::kDontNeed));
  w.check();
  EXPECT_EQ(w.read(page(kBase, 5)), 0u);
  EXPECT_EQ(w.read(page(kBase, 601)), 0u);
  EXPECT_EQ(w.read(page(kBase, 603)), 604u);
  ASSERT_TRUE(w.advise(first, all, Advice::kWillNeed));
}

TEST_P(Scenario, ACopyMayLieWhereATableLay) {
  auto& w = world;
  w.map(first, anonymous(kBase, 16));
  // More than a clone copies at once.
  for (u64 i = 0; i < 16; i += 2) ASSERT_EQ(w.write(page(kBase, i), 5), ViolationReason::kNone);
  const SpaceId child = *w.clone(first);
  ASSERT_EQ(w.write(page(kBase, 1), 5), ViolationReason::kNone);  // the tables are its own again
  // A page that stays when its tables go.
  const ObjectId object = *w.object_create(1);
  const Gva alone{0x4000'0000};
  w.map(first, of_object(alone, 1, object, Sharing::kShared));
  ASSERT_EQ(w.read(alone), 0u);
  const Gva rest{0x40'0000};
  w.map(first, anonymous(rest, 8192));
  u64 next = 0;
  while (w.write(page(rest, next), 1) == ViolationReason::kNone) ++next;
  ASSERT_EQ(w.write(kBase, 6), ViolationReason::kNoMemory);
  const u64 before = w.frames().free_frames();
  ASSERT_TRUE(w.unmap(first, {alone, page(alone, 1)}));
  ASSERT_GT(w.frames().free_frames(), before);
  EXPECT_EQ(w.write(kBase, 6), ViolationReason::kNone);
  w.check();
  ASSERT_TRUE(w.activate(child));
  EXPECT_EQ(w.read(kBase), 5u);
}

TEST_P(Scenario, LongOperationsStopAndGoOn) {
  auto& w = world;
  const u64 kPages = 3 * layout.entries_per_table - 36;
  w.map(first, anonymous(kBase, kPages));
  for (u64 i = 0; i < kPages; ++i) ASSERT_EQ(w.write(page(kBase, i), i + 1), ViolationReason::kNone);
  unsigned stops = 0;
  const auto stop = [&] { return ++stops != 0; };
  pt::Checkpoint checkpoint(stop);
  VaRange range{kBase, page(kBase, kPages)};
  Result<void> done;
  while (!(done = w.engine().region_protected(first, range, kPermR, &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_GT(checkpoint.next(), range.begin);
    range.begin = checkpoint.next();
  }
  EXPECT_GE(stops, 2u);
  w.regions(first).protect({kBase, page(kBase, kPages)}, kPermR);
  w.check();

  const SpaceId child = *w.clone(first);
  ASSERT_TRUE(w.protect(child, {kBase, page(kBase, kPages)}, kPermRW));
  ASSERT_TRUE(w.activate(child));
  for (u64 i = 0; i < kPages; i += layout.entries_per_table) {
    ASSERT_EQ(w.write(page(kBase, i), i), ViolationReason::kNone);  // in tables of its own
  }
  ASSERT_TRUE(w.activate(first));
  stops = 0;
  unsigned calls = 1;
  while (!(done = w.destroy(child, &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_LT(++calls, 10u);
  }
  EXPECT_GE(stops, 2u);
  EXPECT_EQ(w.engine().space_destroy(child), Fail(Status::kInvalid));

  range = {kBase, page(kBase, kPages)};
  calls = 1;
  while (!(done = w.engine().region_unmapped(first, {kBase, page(kBase, kPages)}, &checkpoint))) {
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_LT(++calls, 10u);
  }
  w.regions(first).unmap(range);
  w.check();
}

}  // namespace
}  // namespace nopte::model
