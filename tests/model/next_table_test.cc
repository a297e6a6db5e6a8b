// Runs of touches that go on in a leaf table that is not there yet: where tables are checked whole it is made
// with what would come in several steps (Engine::fill_next_table). Elsewhere nothing comes with its first
// page.
#include "native-fallback/engine/ahead.h"
#include "tests/model/shared_tables.h"

namespace nopte::model {
namespace {

class NextTable : public SharedTables {
 protected:
  [[nodiscard]] bool fills() { return GetParam() == &kXen; }
  [[nodiscard]] u64 ahead() { return counted(&pt::EngineCounters::pages_ahead); }
  [[nodiscard]] u64 installed(u64 begin, u64 end) {
    u64 found = 0;
    for (u64 i = begin; i < end; ++i) found += w.engine().peek(parent, page(kBase, i)) ? 1 : 0;
    return found;
  }
  [[nodiscard]] u64 in_the_next() { return installed(kTable, 2 * kTable); }
  void map_two(ObjectId object = ObjectId::kNone, Sharing sharing = Sharing::kShared, Usage usage = {}) {
    w.map(parent, {.range = pages(0, 2 * kTable),
                   .perm = kPermRW,
                   .sharing = object == ObjectId::kNone ? Sharing::kPrivate : sharing,
                   .usage = usage,
                   .object = object});
  }
  // An object of two tables' pages, which it has.
  ObjectId full_object() {
    const ObjectId object = *w.object_create(2 * kTable);
    for (u64 i = 0; i < 2 * kTable; ++i) *w.engine().object_pointer(object, i).value() = 1;
    return object;
  }
  // All that the first table maps, and the first page behind.
  void run_into_the_next(Access access) {
    for (u64 i = 0; i <= kTable; ++i) ASSERT_TRUE(w.touch(page(kBase, i), access)) << i;
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, NextTable, testing::ValuesIn(kAllKinds), kKindName);

TEST_P(NextTable, HasWhatAnObjectHasUntouched) {
  map_two(full_object());
  const u64 faults = counted(&pt::EngineCounters::faults);
  run_into_the_next(Access::kRead);
  EXPECT_EQ(installed(0, 2 * kTable), counted(&pt::EngineCounters::faults) - faults + ahead());
  EXPECT_EQ(in_the_next(), fills() ? kTable : 1);
  for (u64 i = kTable + 1; fills() && i < 2 * kTable; ++i) {
    ASSERT_FALSE(w.engine().peek(parent, page(kBase, i))->touched) << i;
  }
}

TEST_P(NextTable, HasNothingElseWhereUseIsAtRandom) {
  map_two(full_object(), Sharing::kShared, Usage(AccessPattern::kRandom));
  run_into_the_next(Access::kRead);
  EXPECT_EQ(installed(0, 2 * kTable), kTable + 1);
}

TEST_P(NextTable, OfAPrivateMappingWritesToCopies) {
  const ObjectId object = full_object();
  map_two(object, Sharing::kPrivate);
  run_into_the_next(Access::kRead);
  for (u64 i = kTable; i < kTable + 8; ++i) ASSERT_EQ(w.write(page(kBase, i), 9), kFine);
  for (u64 i = kTable; i < kTable + 8; ++i) EXPECT_EQ(*w.engine().object_pointer(object, i).value(), 1) << i;
}

// Its size is the new one, and the pages behind that are still in its index.
TEST_P(NextTable, EndsWhereAnObjectThatIsBeingCutDoes) {
  const ObjectId object = full_object();
  const auto stop = [] { return true; };
  pt::Checkpoint checkpoint(stop);
  const u64 size = kTable + 200;
  ASSERT_EQ(w.engine().object_resize(object, size, &checkpoint), Fail(Status::kAgain));
  map_two(object);
  run_into_the_next(Access::kRead);
  EXPECT_EQ(in_the_next(), fills() ? 200 : 1);
  ASSERT_TRUE(w.engine().object_resize(object, size));
  EXPECT_EQ(w.read(page(kBase, size)), std::unexpected(ViolationReason::kPastEnd));
}

// Where runs break off there, each costs what it left, and soon nothing comes.
TEST_P(NextTable, IsPaidFor) {
  const auto break_off = [&] {
    map_two();
    run_into_the_next(Access::kWrite);
    const u64 came = in_the_next();
    EXPECT_TRUE(w.unmap(parent, pages(0, 2 * kTable)));
    return came;
  };
  // An account that is new has not earned so much.
  EXPECT_EQ(break_off(), 1u);
  for (u64 uses = 0; uses < 200 * pt::AheadAccount::kUsesPerPage; uses += 2 * kTable) {
    map_two();
    for (u64 i = 0; i < 2 * kTable; ++i) ASSERT_EQ(w.write(page(kBase, i), i), kFine);
    ASSERT_TRUE(w.unmap(parent, pages(0, 2 * kTable)));
  }
  u64 filled = 0;
  for (u64 round = 0; round < 10; ++round) filled += break_off() > 1 ? 1 : 0;
  EXPECT_LE(filled, 4u);
  EXPECT_EQ(filled != 0, fills());
}

}  // namespace
}  // namespace nopte::model
