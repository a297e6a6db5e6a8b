// What populating must not do, over every kind of sink: change what a clone has too, do much at once, and
// leave tables behind where memory ends.
#include "tests/model/shared_tables.h"
#include "tests/support/work_meter.h"

namespace nopte::model {
namespace {

using Populating = SharedTables;

INSTANTIATE_TEST_SUITE_P(Kinds, Populating, testing::ValuesIn(kAllKinds), kKindName);

// A table that shows nothing of a range stays shared when one side has unmapped that.
TEST_P(Populating, NothingComesIntoAClonesTable) {
  const RegionSpec spec{.range = pages(0, kTable), .perm = kPermR, .usage = Usage(AccessPattern::kRandom)};
  w.map(parent, spec);
  for (u64 i = 0; i < kTable / 2; ++i) ASSERT_TRUE(w.read(page(kBase, i)));
  clone();
  ASSERT_TRUE(w.unmap(child, pages(kTable / 2, kTable)));
  ASSERT_TRUE(w.advise(parent, spec.range, Advice::kPopulate));
  w.check();
  for (u64 i = 0; i < kTable; ++i) ASSERT_TRUE(w.engine().peek(parent, page(kBase, i))) << i;
  in(child);
  EXPECT_EQ(w.read(page(kBase, kTable - 1)), std::unexpected(ViolationReason::kNoRegion));
}

// The same of the table above.
TEST_P(Populating, NoTableComesIntoAClonesTable) {
  constexpr u64 kTables = 70;  // so many that they are shared as one
  for (u64 i = 0; i < kTables; ++i) {
    w.map(parent, {.range = pages(i * kTable, i * kTable + 1), .perm = kPermRW});
    ASSERT_EQ(w.write(page(kBase, i * kTable), i + 1), kFine);
  }
  const VaRange behind = pages(kTables * kTable, (kTables + 1) * kTable);
  w.map(parent, {.range = behind, .perm = kPermRW});
  clone();
  ASSERT_TRUE(w.unmap(child, behind));
  ASSERT_TRUE(w.advise(parent, behind, Advice::kPopulate));
  w.check();
  EXPECT_TRUE(w.engine().peek(parent, behind.end - kPageBytes));
  in(child);
  EXPECT_EQ(w.read(behind.begin), std::unexpected(ViolationReason::kNoRegion));
}

TEST_P(Populating, SmallPagesAreFewAtOnce) {
  w.map(parent, {.range = pages(0, 4 * kTable),
                 .perm = kPermRW,
                 .usage = Usage(AccessPattern::kNormal, LargeLeaves::kNever)});
  test::WorkMeter meter;
  const auto goes_on = [&] {
    meter.look();
    return false;
  };
  pt::Checkpoint checkpoint(goes_on);
  meter.begin();
  ASSERT_TRUE(w.advise(parent, pages(0, 4 * kTable), Advice::kPopulate, &checkpoint));
  meter.look();
  EXPECT_TRUE(meter.kept()) << meter.most();
}

// Which a write will, if there is one.
TEST_P(Populating, ReadingAheadCopiesNothing) {
  const ObjectId object = *w.object_create(8);
  for (u64 i = 0; i < 8; ++i) *w.engine().object_pointer(object, i).value() = 1;
  w.map(parent, {.range = pages(0, 8), .perm = kPermRW, .sharing = Sharing::kPrivate, .object = object});
  const u64 copied = counted(&pt::EngineCounters::frames_copied);
  ASSERT_TRUE(w.advise(parent, pages(0, 8), Advice::kWillNeed));
  EXPECT_EQ(counted(&pt::EngineCounters::frames_copied), copied);
  for (u64 i = 0; i < 8; ++i) EXPECT_TRUE(w.engine().peek(parent, page(kBase, i))) << i;
  EXPECT_EQ(w.write(kBase, 9), kFine);
  EXPECT_EQ(*w.engine().object_pointer(object, 0).value(), 1);
}

// An object's index is looked through entry by entry where it has something.
TEST_P(Populating, AnObjectsIndexIsReadALittleAtOnce) {
  const ObjectId object = *w.object_create(2048);
  for (const u64 has : {u64{5}, u64{1500}}) *w.engine().object_pointer(object, has).value() = 1;
  const VaRange all = pages(0, 2048);
  w.map(parent, {.range = all, .perm = kPermRW, .sharing = Sharing::kShared, .object = object});
  test::WorkMeter meter;
  const auto goes_on = [&] {
    meter.look();
    return false;
  };
  pt::Checkpoint checkpoint(goes_on);
  meter.begin();
  ASSERT_TRUE(w.advise(parent, all, Advice::kWillNeed, &checkpoint));
  meter.look();
  EXPECT_TRUE(meter.kept()) << meter.most();
  for (const u64 has : {u64{5}, u64{1500}}) EXPECT_TRUE(w.engine().peek(parent, page(kBase, has))) << has;
}

// Where nothing could be installed, no table is left for it.
TEST_P(Populating, NoTableIsLeftWhereMemoryEnds) {
  const VaRange range = pages(0, kTable);
  w.map(parent,
        {.range = range, .perm = kPermRW, .usage = Usage(AccessPattern::kNormal, LargeLeaves::kNever)});
  for (u64 nth = 1;; ++nth) {
    ASSERT_LT(nth, 20u);
    const u64 before = w.frames().free_frames();
    w.frames().fail_allocation(nth, pt::FrameTable::Failing::kFrom);
    const auto done = w.advise(parent, range, Advice::kPopulate);
    w.frames().fail_allocation(0);
    ASSERT_EQ(done, Fail(Status::kNoMemory));
    w.check();
    VaRange all = range;
    u64 installed = 0;
    while (!all.empty()) installed += w.engine().region_installed(parent, all)->pages;
    if (installed != 0) break;
    EXPECT_EQ(w.frames().free_frames(), before) << nth;
  }
}

}  // namespace
}  // namespace nopte::model
