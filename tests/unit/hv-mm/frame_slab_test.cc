#include "hv-mm/vma/frame_slab.h"

#include <absl/container/flat_hash_set.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace nopte::hv {
namespace {

struct Thing {
  u64 words[25];
};
constexpr u64 kInFrame = kPageBytes / sizeof(Thing);

class FrameSlabTest : public testing::Test {
 protected:
  void SetUp() override {
    const pt::FrameRange all{pt::Frame(0), pt::Frame(kFrames)};
    ASSERT_TRUE(frames.init(reinterpret_cast<u64>(memory.data()), all, std::span(&all, 1)));
    before = frames.free_frames();
  }
  // All of it written, each piece once.
  void use(BlockChain chain) {
    std::vector<void*> pieces;
    absl::flat_hash_set<void*> seen;
    while (!chain.empty()) {
      pieces.push_back(chain.pop());
      EXPECT_TRUE(seen.insert(pieces.back()).second);
      std::memset(pieces.back(), static_cast<int>(pieces.size()), sizeof(Thing));
    }
    for (u64 i = 0; i < pieces.size(); ++i) {
      for (const u64 word : static_cast<Thing*>(pieces[i])->words) ASSERT_EQ(word & 0xff, (i + 1) & 0xff);
    }
    for (void* const piece : pieces) back.push(piece);
  }
  u64 used() const { return before - frames.free_frames(); }

  static constexpr u64 kFrames = 32;
  alignas(kPageBytes) std::array<u8, kFrames * kPageBytes> memory{};
  pt::FrameTable frames;
  FrameSlab<Thing> slab{frames};
  BlockChain back;
  u64 before = 0;
};

TEST_F(FrameSlabTest, ManyAtOnceGoBackWhole) {
  for (const u64 count : {u64{1}, kInFrame - 1, kInFrame, 3 * kInFrame + 7}) {
    const BlockChain taken = slab.take(count);
    ASSERT_EQ(taken.count(), count);
    EXPECT_EQ(used(), (count + kInFrame - 1) / kInFrame);
    use(taken);
    slab.give(std::exchange(back, {}));
    EXPECT_EQ(used(), 0u);
  }
}

// Those that came one by one and those that came together share frames.
TEST_F(FrameSlabTest, OnesAndManyMix) {
  std::vector<void*> ones;
  for (u64 i = 0; i < kInFrame + 2; ++i) ones.push_back(slab.allocate());
  const BlockChain taken = slab.take(4 * kInFrame);
  ASSERT_EQ(taken.count(), 4 * kInFrame);
  use(taken);
  for (u64 i = 0; i < ones.size(); i += 2) slab.release(ones[i]);
  slab.give(std::exchange(back, {}));
  EXPECT_EQ(used(), 2u);
  use(slab.take(kInFrame / 2));
  EXPECT_EQ(used(), 2u);
  slab.give(std::exchange(back, {}));
  for (u64 i = 1; i < ones.size(); i += 2) slab.release(ones[i]);
  EXPECT_EQ(used(), 0u);
}

// A frame that all but one go back of stays.
TEST_F(FrameSlabTest, WhatIsInUseStays) {
  auto* const one = static_cast<Thing*>(slab.allocate());
  one->words[24] = 7;
  const BlockChain taken = slab.take(2 * kInFrame - 1);
  ASSERT_EQ(taken.count(), 2 * kInFrame - 1);
  use(taken);
  slab.give(std::exchange(back, {}));
  EXPECT_EQ(used(), 1u);
  EXPECT_EQ(one->words[24], 7u);
  slab.release(one);
  EXPECT_EQ(used(), 0u);
}

TEST_F(FrameSlabTest, WithoutMemoryThereAreFewer) {
  const u64 all = before * kInFrame;
  const BlockChain taken = slab.take(all + 5);
  EXPECT_EQ(taken.count(), all);
  EXPECT_TRUE(slab.take(1).empty());
  use(taken);
  slab.give(std::exchange(back, {}));
  EXPECT_EQ(used(), 0u);
}

}  // namespace
}  // namespace nopte::hv
