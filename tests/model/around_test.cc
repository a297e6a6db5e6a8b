// What a read of a private mapping of an object brings around its page (AheadPolicy::kAround), over every
// kind of sink.
#include "tests/model/ahead_worlds.h"

namespace nopte::model {
namespace {

constexpr u64 kAround = pt::AheadPolicy::kAround;

class Around : public Ahead {
 protected:
  void SetUp() override {
    Ahead::SetUp();
    if (!marks()) GTEST_SKIP() << "nobody knows there what was touched";
  }
  // An object of 192 pages without page 70, the page's number in each.
  ObjectId object() {
    const ObjectId made = *world.object_create(192);
    for (u64 i = 0; i < 192; ++i) {
      if (i != 70) *world.engine().object_window(made, i).value() = static_cast<u8>(i);
    }
    return made;
  }
};
INSTANTIATE_TEST_SUITE_P(Kinds, Around, testing::ValuesIn(kAllKinds), kKindName);
class NotAround : public Ahead {};
INSTANTIATE_TEST_SUITE_P(Kinds, NotAround, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(Around, AReadBringsTheAlignedPagesThatTheObjectHas) {
  world.map(first, of_object(kBase, 192, object(), Sharing::kPrivate));
  EXPECT_EQ(world.read(page(kBase, 100)), 100u);
  EXPECT_EQ(installed(0, 64), 0u);
  EXPECT_EQ(installed(64, 128), kAround - 1);
  EXPECT_EQ(installed(70, 71), 0u);
  EXPECT_EQ(installed(128, 192), 0u);
  EXPECT_EQ(ahead(), kAround - 2);
  EXPECT_EQ(faults_of(71, 128, 1, Access::kRead), 0u);
  EXPECT_EQ(world.read(page(kBase, 70)), 0u);
  world.check();
}

// A clone would be given all that came.
TEST_P(NotAround, NothingComesWhereNobodyKnowsWhatWasTouched) {
  if (marks()) GTEST_SKIP() << "pages come around there";
  const ObjectId shown = *world.object_create(64);
  for (u64 i = 0; i < 64; ++i) *world.engine().object_window(shown, i).value() = 1;
  world.map(first, of_object(kBase, 64, shown, Sharing::kPrivate));
  EXPECT_EQ(world.read(page(kBase, 21)), 1u);
  EXPECT_EQ(installed(0, 64), 1u);
  // Runs must be longer than those of shared mappings.
  world.map(first, of_object(page(kBase, 100), 64, shown, Sharing::kShared));
  const u64 shared = faults_of(100, 164, 1, Access::kRead);
  world.map(first, of_object(page(kBase, 200), 64, shown, Sharing::kPrivate));
  EXPECT_GT(faults_of(200, 264, 1, Access::kRead), shared * 3 / 2);
}

TEST_P(Around, ItStaysInsideTheRegionAndTheObject) {
  const ObjectId shown = object();
  // Its pages 104 on, from the seventh page of an aligned sixty-four on: the object ends in the next.
  world.map(first, {.range = {page(kBase, 6), page(kBase, 110)},
                    .perm = kPermRW,
                    .sharing = Sharing::kPrivate,
                    .object = shown,
                    .object_page = 104});
  EXPECT_EQ(world.read(page(kBase, 8)), 106u);
  EXPECT_EQ(installed(0, 64), 58u);
  EXPECT_EQ(installed(64, 110), 0u);
  EXPECT_EQ(world.read(page(kBase, 90)), 188u);
  EXPECT_EQ(installed(64, 110), 30u);
  EXPECT_EQ(world.read(page(kBase, 94)), std::unexpected(ViolationReason::kPastEnd));
  world.check();
}

TEST_P(Around, WhatIsThereStays) {
  const ObjectId shown = object();
  world.map(first, of_object(kBase, 64, shown, Sharing::kPrivate));
  ASSERT_EQ(world.write(page(kBase, 5), 99), kFine);
  EXPECT_EQ(installed(0, 64), 1u);  // a page that is copied at once brings none
  EXPECT_EQ(world.read(page(kBase, 9)), 9u);
  EXPECT_EQ(installed(0, 64), kAround);
  EXPECT_EQ(world.read(page(kBase, 5)), 99u);
  EXPECT_EQ(world.read(page(kBase, 4)), 4u);
  world.check();
}

TEST_P(Around, WhatCameIsCopiedWhenItIsWritten) {
  const ObjectId shown = object();
  world.map(first, of_object(kBase, 64, shown, Sharing::kPrivate));
  EXPECT_EQ(world.read(page(kBase, 9)), 9u);
  ASSERT_EQ(world.write(page(kBase, 10), 99), kFine);
  EXPECT_EQ(*world.engine().object_window(shown, 10).value(), 10);
  EXPECT_EQ(world.read(page(kBase, 10)), 99u);
  world.check();
}

// Others' writes are seen page by page, and who said that it goes about at random gets what it asks for.
TEST_P(Around, SharedMappingsAndThoseOfRandomUseGetOnePage) {
  const ObjectId shown = object();
  world.map(first, of_object(kBase, 64, shown, Sharing::kShared));
  EXPECT_EQ(world.read(page(kBase, 9)), 9u);
  EXPECT_EQ(installed(0, 64), 1u);
  world.map(first, used(of_object(page(kBase, 64), 64, shown, Sharing::kPrivate), AccessPattern::kRandom));
  EXPECT_EQ(world.read(page(kBase, 73)), 9u);
  EXPECT_EQ(installed(64, 128), 1u);
}

// A clone is given what was touched.
TEST_P(Around, ACloneFindsWhatItTouches) {
  world.map(first, of_object(kBase, 64, object(), Sharing::kPrivate));
  EXPECT_EQ(world.read(page(kBase, 40)), 40u);
  const SpaceId child = *world.clone(first);
  ASSERT_TRUE(world.activate(child));
  for (u64 i = 32; i < 48; ++i) EXPECT_EQ(world.read(page(kBase, i)), i);
  ASSERT_EQ(world.write(page(kBase, 41), 99), kFine);
  ASSERT_TRUE(world.activate(first));
  EXPECT_EQ(world.read(page(kBase, 41)), 41u);
  world.check();
}

TEST_P(Around, WithoutMemoryForTablesItIsAnAnswer) {
  world.map(first, of_object(kBase, 64, object(), Sharing::kPrivate));
  for (u64 nth = 1; nth < 6; ++nth) {
    world.frames().fail_allocation(nth, pt::FrameTable::Failing::kFrom);
    const auto found = world.read(page(kBase, 9));
    world.frames().fail_allocation(0);
    world.check();
    EXPECT_TRUE(found == 9u || found == std::unexpected(ViolationReason::kNoMemory));
    ASSERT_TRUE(world.advise(first, {kBase, page(kBase, 64)}, Advice::kDontNeed));
  }
}

}  // namespace
}  // namespace nopte::model
