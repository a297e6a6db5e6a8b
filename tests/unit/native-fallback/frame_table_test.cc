#include "native-fallback/frames/frame_table.h"

#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <vector>

namespace nopte::pt {
namespace {

// Keeps one table.
struct Owner final : FrameTable::TableKeeper {
  explicit Owner(FrameTable& of) : table(of) {}
  void make_writable() override {
    ++asked;
    free_then = table.free_frames();
  }
  bool keep(Frame frame) override {
    if (!keeps) return false;
    kept = frame;
    return true;
  }
  Frame take(unsigned level) override { return level == 1 ? std::exchange(kept, {}) : Frame(); }
  bool give_up() override {
    if (kept == Frame()) return false;
    table.free_kept(std::exchange(kept, {}));
    return true;
  }
  FrameTable& table;
  u64 asked = 0;
  u64 free_then = 0;
  bool keeps = false;
  Frame kept;
};

// Memory of frames [base, base + frames), with holes as the ranges say.
class FrameTableTest : public testing::Test {
 protected:
  static constexpr u64 kBase = 100;
  static constexpr u64 kFrames = 64;

  Result<void> init(std::vector<FrameRange> usable) {
    return table_.init(direct_base(), FrameRange::of(Frame(kBase), kFrames), usable);
  }
  u64 direct_base() { return reinterpret_cast<u64>(memory_.data()) - (kBase << kPageShift); }

  std::vector<u8> memory_ = std::vector<u8>(kFrames << kPageShift);
  FrameTable table_;
  Owner owner_{table_};
};

constexpr FrameRange range(u64 begin, u64 end) { return {Frame(begin), Frame(end)}; }

TEST_F(FrameTableTest, TablesComeFromTheTopAndDataFromTheBottom) {
  ASSERT_TRUE(init({range(100, 164)}));
  EXPECT_EQ(table_.total_frames(), 63u);  // one frame of metadata
  EXPECT_EQ(*table_.alloc(FrameKind::kAnon), Frame(101));
  EXPECT_EQ(*table_.alloc(FrameKind::kTable), Frame(163));
  EXPECT_EQ(*table_.alloc(FrameKind::kObject), Frame(102));
  EXPECT_EQ(*table_.alloc(FrameKind::kTable), Frame(162));
  table_.free(Frame(163));
  table_.free(Frame(101));
  EXPECT_EQ(*table_.alloc(FrameKind::kTable), Frame(163));
  EXPECT_EQ(*table_.alloc(FrameKind::kAnon), Frame(101));
  EXPECT_EQ(table_.meta(Frame(101)).refs, 1u);
  EXPECT_EQ(table_.meta(Frame(163)).kind, FrameKind::kTable);
}

TEST_F(FrameTableTest, EveryFrameOfEveryRangeIsHandedOutOnce) {
  ASSERT_TRUE(init({range(100, 110), range(112, 113), range(120, 164)}));
  const u64 total = table_.total_frames();
  EXPECT_EQ(total, 10u + 1 + 43);
  absl::btree_set<Frame> seen;
  for (u64 i = 0; i < total; ++i) {
    const auto frame = table_.alloc(i % 3 == 0 ? FrameKind::kTable : FrameKind::kAnon);
    ASSERT_TRUE(frame);
    EXPECT_TRUE(range(100, 110).contains(*frame) || range(112, 113).contains(*frame) ||
                range(121, 164).contains(*frame));
    EXPECT_TRUE(seen.insert(*frame).second);
  }
  EXPECT_EQ(table_.free_frames(), 0u);
  EXPECT_EQ(table_.alloc(FrameKind::kAnon), Fail(Status::kNoMemory));
  EXPECT_EQ(table_.alloc(FrameKind::kTable), Fail(Status::kNoMemory));
  for (const Frame frame : seen) table_.free(frame);
  EXPECT_EQ(table_.free_frames(), total);
  // Either side takes what the other gave back.
  for (u64 i = 0; i < total; ++i) ASSERT_TRUE(table_.alloc(FrameKind::kTable));
  EXPECT_EQ(table_.alloc(FrameKind::kAnon), Fail(Status::kNoMemory));
}

TEST_F(FrameTableTest, TablesOfZerosAreTheNextTables) {
  ASSERT_TRUE(init({range(100, 164)}));
  const Frame first = *table_.alloc(FrameKind::kTable);
  const Frame second = *table_.alloc(FrameKind::kTable);
  const u64 free = table_.free_frames();
  EXPECT_FALSE(table_.next_table_is_zeroed());
  table_.free_zeroed(first);
  table_.free(second);
  EXPECT_EQ(table_.free_frames(), free + 2);
  EXPECT_TRUE(table_.next_table_is_zeroed());
  unsigned seen = 0;
  table_.for_each_zeroed([&](Frame table) {
    EXPECT_EQ(table, first);
    ++seen;
  });
  EXPECT_EQ(seen, 1u);
  EXPECT_EQ(*table_.alloc(FrameKind::kTable), first);
  EXPECT_EQ(table_.meta(first).refs, 1u);
  EXPECT_FALSE(table_.next_table_is_zeroed());
  EXPECT_EQ(*table_.alloc(FrameKind::kTable), second);
  // The last memory there is, for data too.
  table_.free_zeroed(first);
  while (table_.free_frames() != 1) ASSERT_TRUE(table_.alloc(FrameKind::kAnon));
  EXPECT_EQ(*table_.alloc(FrameKind::kAnon), first);
  EXPECT_FALSE(table_.next_table_is_zeroed());
}

TEST_F(FrameTableTest, AChainIsFreedInOnePiece) {
  ASSERT_TRUE(init({range(100, 164)}));
  const u64 before = table_.free_frames();
  FrameChain<FrameKind::kFree> chain;
  table_.free_all(chain);
  for (int i = 0; i < 5; ++i) {
    const Frame frame = *table_.alloc(FrameKind::kAnon);
    chain.push(frame, table_.meta(frame));
  }
  EXPECT_EQ(table_.free_frames(), before - 5);
  table_.free_all(chain);
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(table_.free_frames(), before);
  absl::btree_set<Frame> seen;
  for (u64 i = 0; i < before; ++i) EXPECT_TRUE(seen.insert(*table_.alloc(FrameKind::kAnon)).second);
}

TEST_F(FrameTableTest, AdoptedFramesJoinThePool) {
  ASSERT_TRUE(init({range(100, 150)}));
  const u64 total = table_.total_frames();
  table_.pointer(Frame(155))[7] = 9;
  table_.adopt(Frame(155), FrameKind::kObject);
  EXPECT_EQ(table_.pointer(Frame(155))[7], 9);
  EXPECT_EQ(table_.total_frames(), total + 1);
  EXPECT_EQ(table_.free_frames(), total);
  table_.free(Frame(155));
  EXPECT_EQ(table_.free_frames(), total + 1);
  EXPECT_TRUE(table_.covers(Frame(163)));
  EXPECT_FALSE(table_.covers(Frame(164)));
}

TEST_F(FrameTableTest, AnotherBaseShowsTheSameMemory) {
  ASSERT_TRUE(init({range(100, 164)}));
  const Frame frame = *table_.alloc(FrameKind::kAnon);
  u8* before = table_.pointer(frame);
  EXPECT_EQ(table_.frame_of(before + 100), frame);
  std::vector<u8> moved = memory_;
  table_.rebase(reinterpret_cast<u64>(moved.data()) - (kBase << kPageShift));
  EXPECT_EQ(table_.pointer(frame) - before, moved.data() - memory_.data());
  EXPECT_EQ(table_.meta(frame).kind, FrameKind::kAnon);
}

TEST_F(FrameTableTest, BadRangesAreAnswers) {
  EXPECT_EQ(init({}), Fail(Status::kNoMemory));
  EXPECT_EQ(init({range(90, 120)}), Fail(Status::kInvalid));
  EXPECT_EQ(init({range(120, 130), range(125, 140)}), Fail(Status::kInvalid));
  EXPECT_EQ(init({range(120, 170)}), Fail(Status::kInvalid));
  EXPECT_EQ(init(std::vector<FrameRange>(17, range(120, 120))), Fail(Status::kLimit));
}

TEST_F(FrameTableTest, FailureIsInjectedAtTheNth) {
  ASSERT_TRUE(init({range(100, 164)}));
  table_.fail_allocation(2);
  EXPECT_TRUE(table_.alloc(FrameKind::kAnon));
  EXPECT_FALSE(table_.alloc(FrameKind::kAnon));
  EXPECT_TRUE(table_.alloc(FrameKind::kAnon));
  table_.fail_allocation(1, FrameTable::Failing::kFrom);
  EXPECT_FALSE(table_.alloc(FrameKind::kTable));
  EXPECT_FALSE(table_.alloc(FrameKind::kTable));
}

// What came back cannot be written yet: its owner is asked before the next frame is given, and once.
TEST_F(FrameTableTest, WhoMakesFramesWritableIsAskedFirst) {
  ASSERT_TRUE(init({range(100, 164)}));
  Owner& owner = owner_;
  table_.let_keep(owner);
  for (const FrameKind kind : {FrameKind::kAnon, FrameKind::kTable}) {
    // Whether or not failures are asked for meanwhile.
    for (const bool fails : {false, true}) {
      const Frame gone = *table_.alloc(FrameKind::kTable);
      owner.asked = 0;
      table_.ask_first();
      if (fails) table_.fail_allocation(2);
      table_.free(gone);
      EXPECT_EQ(owner.asked, 0u);
      const u64 free = table_.free_frames();
      EXPECT_TRUE(table_.alloc(kind));
      EXPECT_EQ(owner.asked, 1u);
      EXPECT_EQ(owner.free_then, free);
      EXPECT_EQ(table_.alloc(kind).has_value(), !fails);
      EXPECT_TRUE(table_.alloc(kind));
      EXPECT_EQ(owner.asked, 1u);
    }
  }
}

// A table that is kept is free, serves as the next of its level, and is the last to be given as another.
TEST_F(FrameTableTest, TablesMayBeKept) {
  ASSERT_TRUE(init({range(100, 164)}));
  Owner& owner = owner_;
  table_.let_keep(owner);
  owner.keeps = true;
  const u64 free = table_.free_frames();
  const Frame table = *table_.alloc(FrameKind::kTable);
  table_.meta(table).index = 7;
  table_.free_table(table);
  EXPECT_EQ(table_.free_frames(), free);
  EXPECT_EQ(table_.take_kept(2), Frame());
  EXPECT_EQ(table_.take_kept(1), table);
  EXPECT_EQ(table_.free_frames(), free - 1);
  EXPECT_EQ(table_.meta(table).index, 7u);
  EXPECT_EQ(table_.meta(table).kind, FrameKind::kTable);
  table_.free_table(table);
  for (u64 i = 1; i < free; ++i) EXPECT_NE(*table_.alloc(FrameKind::kAnon), table);
  EXPECT_EQ(*table_.alloc(FrameKind::kAnon), table);
  EXPECT_FALSE(table_.alloc(FrameKind::kAnon));
}

}  // namespace
}  // namespace nopte::pt
