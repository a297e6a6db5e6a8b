// Blocks of frames: where they come from, and who refers to what of them.
#include "native-fallback/frames/block.h"

#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <vector>

namespace nopte::pt {
namespace {

// Memory of frames [1000, 1000 + 3000): its blocks begin at 1024, 1536, 2048, 2560, 3072; the last ends at
// 3584.
class BlockTest : public testing::Test {
 protected:
  static constexpr u64 kBase = 1000;
  static constexpr u64 kFrames = 3000;
  static constexpr u64 kBlocks = 5;

  void SetUp() override {
    const FrameRange all = FrameRange::of(Frame(kBase), kFrames);
    const u64 direct_base = reinterpret_cast<u64>(memory_.data()) - (kBase << kPageShift);
    ASSERT_TRUE(table_.init(direct_base, all, {&all, 1}));
    total_ = table_.total_frames();
  }
  std::vector<Frame> all_blocks() {
    std::vector<Frame> blocks;
    for (auto block = table_.alloc_block(); block; block = table_.alloc_block()) blocks.push_back(*block);
    return blocks;
  }
  // Every frame that there is, single.
  std::vector<Frame> all_frames() {
    std::vector<Frame> frames;
    for (auto frame = table_.alloc(FrameKind::kAnon); frame; frame = table_.alloc(FrameKind::kAnon)) {
      frames.push_back(*frame);
    }
    return frames;
  }

  std::vector<u8> memory_ = std::vector<u8>(kFrames << kPageShift);
  FrameTable table_;
  u64 total_ = 0;
};

TEST_F(BlockTest, AreAlignedAndDoNotOverlap) {
  const std::vector<Frame> blocks = all_blocks();
  ASSERT_EQ(blocks.size(), kBlocks);
  absl::btree_set<Frame> seen;
  for (const Frame first : blocks) {
    EXPECT_EQ(first.number() % kBlockFrames, 0u);
    EXPECT_EQ(table_.meta(first).kind, FrameKind::kBlock);
    EXPECT_EQ(table_.meta(first).refs, 1u);
    for (u64 i = 0; i < kBlockFrames; ++i) EXPECT_TRUE(seen.insert(first + i).second);
  }
  EXPECT_EQ(table_.free_frames(), total_ - kBlocks * kBlockFrames);
  for (const Frame frame : all_frames()) EXPECT_TRUE(seen.insert(frame).second);
  EXPECT_EQ(seen.size(), total_);
  EXPECT_EQ(table_.free_frames(), 0u);
}

TEST(Blocks, MayEndWhereMemoryDoes) {
  constexpr u64 kBase = 3 * kBlockFrames - 100;
  const FrameRange all{Frame(kBase), Frame(5 * kBlockFrames)};
  std::vector<u8> memory(pages_to_bytes(all.frames()));
  FrameTable table;
  ASSERT_TRUE(table.init(reinterpret_cast<u64>(memory.data()) - pages_to_bytes(kBase), all, {&all, 1}));
  EXPECT_EQ(*table.alloc_block(), Frame(3 * kBlockFrames));
  EXPECT_EQ(*table.alloc_block(), Frame(4 * kBlockFrames));
  EXPECT_FALSE(table.alloc_block());
}

TEST_F(BlockTest, SingleFramesFillWhatIsBegunFirst) {
  const Frame first = *table_.alloc(FrameKind::kAnon);
  const Frame block = *table_.alloc_block();
  ASSERT_LT(first, block);
  for (u64 left = block - first - 1; left != 0; --left) EXPECT_LT(*table_.alloc(FrameKind::kAnon), block);
  EXPECT_EQ(*table_.alloc(FrameKind::kAnon), block + kBlockFrames);
  EXPECT_EQ(*table_.alloc_block(), block + 2 * kBlockFrames);
}

TEST_F(BlockTest, ComeBackWhole) {
  const Frame block = *table_.alloc_block();
  const u64 before = table_.free_frames();
  table_.free_block(block);
  EXPECT_EQ(table_.free_frames(), before + kBlockFrames);
  EXPECT_EQ(*table_.alloc_block(), block);
}

TEST_F(BlockTest, BecomeSingleFramesWhenThereAreNoOthers) {
  for (const Frame block : all_blocks()) table_.free_block(block);
  EXPECT_EQ(all_frames().size(), total_);
  EXPECT_EQ(table_.free_frames(), 0u);
}

TEST_F(BlockTest, SingleFramesThatCameBackAreBlocksAgain) {
  std::vector<Frame> frames = all_frames();
  EXPECT_FALSE(table_.alloc_block());
  for (const Frame frame : frames) table_.free(frame);
  std::vector<Frame> blocks;
  // Each question sorts some of them.
  for (u64 asked = 0; asked < kFrames / kBlockFrames + kBlocks + 1; ++asked) {
    if (const auto block = table_.alloc_block()) blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), kBlocks);
  EXPECT_EQ(table_.free_frames(), total_ - kBlocks * kBlockFrames);
  // What was sorted is given again.
  EXPECT_EQ(all_frames().size(), total_ - kBlocks * kBlockFrames);
}

TEST_F(BlockTest, AFrameInUseKeepsItsSpanSingle) {
  std::vector<Frame> frames = all_frames();
  for (const Frame frame : frames) {
    if (frame != Frame(1030)) table_.free(frame);
  }
  std::vector<Frame> blocks;
  for (u64 asked = 0; asked < 20; ++asked) {
    if (const auto block = table_.alloc_block()) blocks.push_back(*block);
  }
  EXPECT_EQ(blocks.size(), kBlocks - 1);
  table_.free(Frame(1030));
  EXPECT_TRUE(table_.alloc_block());
}

TEST_F(BlockTest, FailureIsInjected) {
  table_.fail_allocation(2);
  EXPECT_TRUE(table_.alloc_block());
  EXPECT_FALSE(table_.alloc_block());
  EXPECT_TRUE(table_.alloc_block());
}

TEST_F(BlockTest, TablesTakeTheLastOfThem) {
  for (const Frame block : all_blocks()) table_.free_block(block);
  u64 tables = 0;
  while (table_.alloc(FrameKind::kTable)) ++tables;
  EXPECT_EQ(tables, total_);
}

// Who refers to what (block.h).
TEST_F(BlockTest, IsWholeUntilALargeLeafOfItIsSplit) {
  const Blocks blocks(table_);
  const Frame first = *table_.alloc_block();
  EXPECT_TRUE(blocks.has_one(first));
  blocks.add_large(first);
  blocks.add_large(first);
  EXPECT_FALSE(blocks.has_one(first));
  blocks.split_large(first);
  EXPECT_EQ(table_.meta(first).index, 2u);
  for (u64 i = 0; i < kBlockFrames; ++i) EXPECT_EQ(table_.meta(first + i).refs, 2u);
  blocks.split_large(first);
  for (u64 i = 0; i < kBlockFrames; ++i) EXPECT_EQ(table_.meta(first + i).refs, 3u);
  blocks.split_large(first);
  EXPECT_EQ(table_.meta(first).index, 0u);
  for (u64 i = 0; i < kBlockFrames; ++i) EXPECT_EQ(table_.meta(first + i).refs, 3u);
}

TEST_F(BlockTest, IsWholeAgainWhenOneLargeLeafIsLeft) {
  const Blocks blocks(table_);
  const auto nothing = [](Frame, FrameMeta&) { FAIL(); };
  const Frame first = *table_.alloc_block();
  blocks.add_large(first);
  blocks.split_large(first);
  for (u64 i = 0; i < kBlockFrames; ++i) {
    EXPECT_FALSE(blocks.has_one(first));
    --table_.meta(first + i).refs;  // the small leaf is gone
  }
  EXPECT_TRUE(blocks.has_one(first));
  EXPECT_EQ(table_.meta(first).kind, FrameKind::kBlock);
  EXPECT_EQ(blocks.drop_large(first, nothing), Blocks::Left::kNothing);
}

TEST_F(BlockTest, IsNotWholeWhereASmallLeafShowsItsFirstOrLast) {
  const Blocks blocks(table_);
  for (const u64 shown : {u64{0}, kBlockFrames - 1}) {
    const Frame first = *table_.alloc_block();
    blocks.add_large(first);
    blocks.split_large(first);
    for (u64 i = 0; i < kBlockFrames; ++i) {
      if (i != shown) --table_.meta(first + i).refs;
    }
    EXPECT_FALSE(blocks.has_one(first)) << shown;
  }
}

TEST_F(BlockTest, LeavesWhatSmallLeavesShow) {
  const Blocks blocks(table_);
  const Frame first = *table_.alloc_block();
  blocks.add_large(first);
  blocks.add_large(first);
  blocks.split_large(first);
  for (u64 i = 0; i < kBlockFrames; i += 2) --table_.meta(first + i).refs;
  u64 released = 0;
  const auto release = [&](Frame frame, FrameMeta& meta) {
    EXPECT_EQ(frame.number() % 2, 0u);
    EXPECT_EQ(meta.refs, 0u);
    ++released;
  };
  EXPECT_EQ(blocks.drop_large(first, release), Blocks::Left::kAll);
  EXPECT_EQ(released, 0u);
  EXPECT_EQ(blocks.drop_large(first, release), Blocks::Left::kSome);
  EXPECT_EQ(released, kBlockFrames / 2);
}

}  // namespace
}  // namespace nopte::pt
