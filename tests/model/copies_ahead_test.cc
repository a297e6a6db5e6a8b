// What a write to a page that a clone shares copies around it, over every kind of sink.
#include "tests/model/ahead_worlds.h"

namespace nopte::model {
namespace {

using Account = pt::CopyAccount;
constexpr u64 kAround = pt::AheadPolicy::kWriteAround;
// In a table of its own that is shared, not copied, by a clone (it has more pages than that).
constexpr u64 kPages = 128;

class CopiesAhead : public Ahead {
 protected:
  void SetUp() override {
    Ahead::SetUp();
    if (!marks()) GTEST_SKIP() << "nobody knows there what was written";
    world.map(first, anonymous(kBase, kPages));
    ASSERT_NE(faults_of(0, kPages, 1, Access::kWrite), 0u);
  }
  u64 copied() { return counted(&pt::EngineCounters::frames_copied); }
  // What `side` writes to the pages [begin, end) while a clone is there: its faults.
  enum class Side { kOriginal, kClone };
  u64 faults_beside_clone(Side side, u64 begin, u64 end) {
    const SpaceId child = *world.clone(first);
    EXPECT_TRUE(world.activate(side == Side::kClone ? child : first));
    const u64 faults = faults_of(begin, end, 1, Access::kWrite);
    world.check();
    EXPECT_TRUE(world.activate(first));
    EXPECT_TRUE(world.destroy(child));
    return faults;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, CopiesAhead, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(CopiesAhead, WhatIsWrittenBetweenClonesComesAtOnce) {
  EXPECT_GT(faults_beside_clone(Side::kOriginal, 0, kAround), kAround - 2 * Account::kLeast);
  for (int i = 0; i < 6; ++i) faults_beside_clone(Side::kOriginal, 0, kAround);
  EXPECT_EQ(faults_beside_clone(Side::kOriginal, 0, kAround), 1u);
}

// Each page that is copied ahead in vain is so once.
TEST_P(CopiesAhead, WhatIsNotWrittenAgainIsNotCopiedAgain) {
  for (int i = 0; i < 6; ++i) faults_beside_clone(Side::kOriginal, 0, kAround);
  faults_beside_clone(Side::kOriginal, 0, 1);
  const u64 before = copied();
  EXPECT_EQ(faults_beside_clone(Side::kOriginal, 0, 1), 1u);
  EXPECT_EQ(copied() - before, 1u);
}

// A write here and there copies what the account begins with, and that is all.
TEST_P(CopiesAhead, AProgramThatWritesNothingTwiceCopiesFew) {
  const u64 before = copied();
  u64 clones = 0;
  for (u64 begin = 0; begin < kPages; begin += kAround, ++clones) {
    EXPECT_EQ(faults_beside_clone(Side::kOriginal, begin, begin + 1), 1u);
  }
  EXPECT_LE(copied() - before, clones * (1 + Account::kLeast));
}

TEST_P(CopiesAhead, WhatOtherClonesWroteComesAtOnce) {
  EXPECT_EQ(faults_beside_clone(Side::kClone, 0, 4), 4u);
  EXPECT_EQ(faults_beside_clone(Side::kClone, 0, 4), 4u);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(faults_beside_clone(Side::kClone, 0, 4), 1u);
  // What the next does not write to is copied once more.
  const u64 before = copied();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(faults_beside_clone(Side::kClone, 3, 4), 1u);
  EXPECT_EQ(copied() - before, 8u + 3);
}

TEST_P(CopiesAhead, EachSideSeesItsOwn) {
  for (int i = 0; i < 4; ++i) faults_beside_clone(Side::kOriginal, 0, 8);
  for (u64 i = 0; i < 16; ++i) ASSERT_EQ(world.write(page(kBase, i), 100 + i), kFine);
  const SpaceId child = *world.clone(first);
  ASSERT_EQ(world.write(page(kBase, 2), 7), kFine);
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 0; i < 16; ++i) EXPECT_EQ(world.read(page(kBase, i)), 100 + i);
  ASSERT_EQ(world.write(page(kBase, 3), 8), kFine);
  ASSERT_TRUE(world.activate(first));
  for (u64 i = 0; i < 16; ++i) EXPECT_EQ(world.read(page(kBase, i)), i == 2 ? 7 : 100 + i);
}

// What was copied ahead and written is no waste, also when a clone has copied it since.
TEST_P(CopiesAhead, WhatACloneCopiesWasUsed) {
  const SpaceId a = *world.create();
  ASSERT_TRUE(world.activate(a));
  world.map(a, anonymous(kBase, 3));
  world.map(a, anonymous(page(kBase, 8), 4));
  for (const u64 at : {0, 1, 2, 8, 9, 10, 11}) ASSERT_EQ(world.write(page(kBase, at), at), kFine);
  const SpaceId child = *world.clone(a);  // more than a clone copies
  EXPECT_EQ(faults_of(0, 3, 1, Access::kWrite), 1u);
  const u64 before = ahead();
  const SpaceId next = *world.clone(a);
  EXPECT_EQ(ahead() - before, 3u);
  world.check();
  ASSERT_TRUE(world.activate(first));
  ASSERT_TRUE(world.destroy(a));
  EXPECT_EQ(wasted(), 0u);
  ASSERT_TRUE(world.destroy(next));
  EXPECT_EQ(wasted(), 3u);
  ASSERT_TRUE(world.destroy(child));
}

// A private mapping shows what its object has until it is written, whoever wrote to other mappings of it.
TEST_P(CopiesAhead, AnObjectsPageIsNeverCopiedBeforeItIsWritten) {
  const ObjectId shown = *world.object_create(8);
  for (u64 i = 0; i < 8; ++i) *world.engine().object_pointer(shown, i).value() = 1;
  const Gva where = page(kBase, 2 * kPages);
  for (int i = 0; i < 8; ++i) {
    const SpaceId other = *world.create();
    world.map(other, of_object(where, 8, shown, Sharing::kPrivate));
    ASSERT_TRUE(world.activate(other));
    for (u64 at = 0; at < 8; ++at) ASSERT_EQ(world.read(page(where, at)), 1u);
    for (u64 at = 0; at < 8; ++at) ASSERT_EQ(world.write(page(where, at), 3), kFine);
    ASSERT_TRUE(world.activate(first));
    ASSERT_TRUE(world.destroy(other));
  }
  world.map(first, of_object(where, 8, shown, Sharing::kPrivate));
  ASSERT_EQ(world.read(page(where, 4)), 1u);
  ASSERT_EQ(world.write(page(where, 4), 5), kFine);
  *world.engine().object_pointer(shown, 5).value() = 9;
  EXPECT_EQ(world.read(page(where, 5)), 9u);
}

TEST_P(CopiesAhead, RandomUseGetsWhatItAsksFor) {
  world.map(first, used(anonymous(page(kBase, 2 * kPages), kPages), AccessPattern::kRandom));
  for (u64 i = 0; i < kPages; ++i) ASSERT_EQ(world.write(page(kBase, 2 * kPages + i), i), kFine);
  const u64 begin = 2 * kPages;
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(faults_beside_clone(Side::kOriginal, begin, begin + 8), 8u);
    EXPECT_EQ(faults_beside_clone(Side::kClone, begin, begin + 8), 8u);
  }
}

}  // namespace
}  // namespace nopte::model
