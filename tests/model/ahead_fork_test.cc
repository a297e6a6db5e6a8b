// What comes ahead around forks: pages that are copied before anybody writes to them, rights to write that
// come back, and that nobody sees a difference but by counting.
#include "tests/model/ahead_worlds.h"

namespace nopte::model {
namespace {

using AheadOfForks = Ahead;

INSTANTIATE_TEST_SUITE_P(Kinds, AheadOfForks, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(AheadOfForks, RightsToWriteComeBack) {
  world.map(first, anonymous(kBase, 256));
  for (u64 i = 0; i < 256; ++i) ASSERT_EQ(world.write(page(kBase, i), i), kFine);
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.destroy(child));
  const u64 copied = counted(&pt::EngineCounters::frames_copied);
  EXPECT_LE(faults_of(0, 256, 1, Access::kWrite), 256u / 16);
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), copied);
}

// A run is of pages that can be written again, not of all that were touched: what comes is what lies around.
TEST_P(AheadOfForks, RightsToWriteComeBackFromWhereTheyAreUsed) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 64; ++i) ASSERT_EQ(world.write(page(kBase, i), i), kFine);
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.destroy(child));
  if (!marks()) {
    EXPECT_EQ(faults_of(32, 34, 1, Access::kWrite), 2u);
    return;
  }
  EXPECT_EQ(faults_of(32, 48, 1, Access::kWrite), 1u);
  EXPECT_EQ(faults_of(31, 32, 1, Access::kWrite), 1u);
  EXPECT_EQ(faults_of(16, 31, 1, Access::kWrite), 0u);
}

// Its first run has steps that the original's have earned.
TEST_P(AheadOfForks, ACloneHasWhatItsOriginalHasEarned) {
  world.map(first, anonymous(kBase, 1024));
  faults_of(0, 1024, 1, Access::kWrite);
  ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 1024)}));
  world.map(first, anonymous(kBase, 64));
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.activate(child));
  EXPECT_LE(faults_of(0, 32, 1, Access::kWrite), 6u);
}

TEST_P(AheadOfForks, RightsToWriteStayAwayFromWhatACloneHas) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 64; ++i) ASSERT_EQ(world.write(page(kBase, i), i), kFine);
  const SpaceId child = *world.clone(first);
  // The child's copies of 0 to 2 leave the parent alone with those.
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.write(page(kBase, i), 100), kFine);
  ASSERT_TRUE(world.activate(first));
  for (u64 i = 0; i < 8; ++i) ASSERT_EQ(world.write(page(kBase, i), 200), kFine);
  world.check();
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 0; i < 64; ++i) ASSERT_EQ(world.read(page(kBase, i)), i < 3 ? 100 : i);
}

// Nothing is inherited that nobody has touched, and both find it zero.
TEST_P(AheadOfForks, AForkOfUntouchedPages) {
  world.map(first, anonymous(kBase, 64));
  faults_of(0, 5, 1, Access::kWrite);
  ASSERT_EQ(installed(0, 64), 8u);
  const SpaceId child = *world.clone(first);
  world.check();
  if (marks()) {
    for (u64 i = 5; i < 8; ++i) EXPECT_FALSE(world.engine().peek(child, page(kBase, i))) << i;
  }
  ASSERT_TRUE(world.activate(child));
  ASSERT_EQ(world.write(page(kBase, 5), 5), kFine);
  ASSERT_TRUE(world.activate(first));
  EXPECT_EQ(world.read(page(kBase, 5)), 0u);
  ASSERT_EQ(world.write(page(kBase, 6), 6), kFine);
  ASSERT_TRUE(world.activate(child));
  EXPECT_EQ(world.read(page(kBase, 6)), 0u);
  EXPECT_EQ(world.read(page(kBase, 5)), 5u);
}

TEST_P(AheadOfForks, AForkCopiesAFewPagesThatWereWritten) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), i), kFine);
  const SpaceId child = *world.clone(first);
  world.check();
  EXPECT_EQ(ahead(), marks() ? 3u : 0u);
  // Each side's are its own.
  EXPECT_EQ(faults_of(0, 24, 8, Access::kWrite), marks() ? 0u : 3u);
  ASSERT_EQ(world.write(kBase, 100), kFine);
  ASSERT_TRUE(world.activate(child));
  EXPECT_EQ(world.read(kBase), 0u);
  ASSERT_EQ(world.write(page(kBase, 8), 200), kFine);
  ASSERT_TRUE(world.activate(first));
  ASSERT_TRUE(world.destroy(child));
  EXPECT_EQ(wasted(), marks() ? 2u : 0u);
}

TEST_P(AheadOfForks, AForkCopiesNothingThatWasWrittenBeforeTheOneBefore) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), i), kFine);
  const SpaceId child = *world.clone(first);
  ASSERT_EQ(world.write(kBase, 100), kFine);
  const u64 before = ahead();
  const SpaceId next = *world.clone(first);
  world.check();
  EXPECT_EQ(ahead() - before, marks() ? 1u : 0u);
  // Of its child's copies it has written none.
  ASSERT_TRUE(world.activate(child));
  const SpaceId grandchild = *world.clone(child);
  world.check();
  EXPECT_EQ(ahead() - before, marks() ? 1u : 0u);
  ASSERT_TRUE(world.activate(grandchild));
  for (u64 i = 0; i < 3; ++i) EXPECT_EQ(world.read(page(kBase, i * 8)), i);
  ASSERT_TRUE(world.activate(next));
  EXPECT_EQ(world.read(kBase), 100u);
}

TEST_P(AheadOfForks, AForkCopiesNothingThatWasOnlyRead) {
  world.map(first, anonymous(kBase, 64));
  EXPECT_EQ(faults_of(0, 3, 1, Access::kWrite), 3u);
  ASSERT_EQ(installed(0, 64), 4u);
  EXPECT_EQ(faults_of(3, 4, 1, Access::kRead), 0u);
  const u64 before = ahead();
  ASSERT_TRUE(world.clone(first));
  EXPECT_EQ(ahead() - before, marks() ? 3u : 0u);
  world.check();
}

// In all, not in each table.
TEST_P(AheadOfForks, AForkCopiesNoMoreThanAFewPages) {
  const u64 table = world.layout().entries_per_table;
  world.map(first, anonymous(kBase, 4 * table));
  for (u64 i = 0; i < 4; ++i) {
    for (u64 n = 0; n < 4; ++n) ASSERT_EQ(world.write(page(kBase, i * table + 8 * n), n), kFine);
  }
  const u64 before = ahead();
  ASSERT_TRUE(world.clone(first));
  EXPECT_EQ(ahead() - before, marks() ? 8u : 0u);
  world.check();
}

// As memory that was wasted, when nobody has written to it; and what has read it reads it no more.
TEST_P(AheadOfForks, ACopyThatIsTakenAwayIsGoneAndCounted) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), i), kFine);
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.read(page(kBase, i * 8)), i);
  ASSERT_TRUE(world.unmap(child, {kBase, page(kBase, 1)}));
  EXPECT_EQ(world.read(kBase), std::unexpected(ViolationReason::kNoRegion));
  ASSERT_TRUE(world.advise(child, {page(kBase, 8), page(kBase, 9)}, Advice::kDontNeed));
  EXPECT_EQ(world.read(page(kBase, 8)), 0u);
  EXPECT_EQ(wasted(), marks() ? 2u : 0u);
  world.check();
}

// The pages of a copy that is shared on are not copies again.
TEST_P(AheadOfForks, ACopyIsWastedOnce) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 3; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), i), kFine);
  const SpaceId child = *world.clone(first);
  for (u64 round = 0; round < 3; ++round) {
    const SpaceId grandchild = *world.clone(child);
    ASSERT_TRUE(world.destroy(grandchild));
    EXPECT_EQ(wasted(), 0u) << round;
  }
  ASSERT_TRUE(world.destroy(child));
  EXPECT_EQ(wasted(), marks() ? 3u : 0u);
}

TEST_P(AheadOfForks, AForkOfManyWrittenPagesSharesThem) {
  world.map(first, anonymous(kBase, 64));
  for (u64 i = 0; i < 5; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), i), kFine);
  const SpaceId child = *world.clone(first);
  world.check();
  EXPECT_EQ(ahead(), 0u);
  for (u64 i = 0; i < 5; ++i) ASSERT_EQ(world.write(page(kBase, i * 8), 100), kFine);
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 0; i < 5; ++i) EXPECT_EQ(world.read(page(kBase, i * 8)), i);
}

TEST_P(AheadOfForks, AForkWithoutMemoryForCopiesSharesThePages) {
  for (u64 failing = 1;; ++failing) {
    SCOPED_TRACE(failing);
    ASSERT_LT(failing, 32u);
    world.map(first, anonymous(kBase, 64));
    ASSERT_EQ(world.write(kBase, 1), kFine);
    world.frames().fail_allocation(failing, pt::FrameTable::Failing::kFrom);
    const auto child = world.clone(first);
    world.frames().fail_allocation(0);
    world.check();
    ASSERT_EQ(world.write(kBase, 2), kFine);
    if (child) {
      ASSERT_TRUE(world.activate(*child));
      EXPECT_EQ(world.read(kBase), 1u);
      ASSERT_TRUE(world.activate(first));
      ASSERT_TRUE(world.destroy(*child));
    }
    ASSERT_TRUE(world.unmap(first, {kBase, page(kBase, 64)}));
    EXPECT_EQ(ahead(), 0u);
    if (child) break;
  }
}

}  // namespace
}  // namespace nopte::model
