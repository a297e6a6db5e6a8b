#include "guest-mm/core/heap.h"

#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "guest-mm/core/ref.h"
#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
namespace {

class HeapTest : public testing::Test {
 protected:
  test::FakeMmOps fake;
};

TEST_F(HeapTest, BlocksAreAlignedAndDoNotOverlap) {
  std::mt19937_64 random(7);
  struct Block {
    u8* data;
    u64 bytes;
    u8 pattern;
  };
  std::vector<Block> blocks;
  const u64 used_before = heap_info().used_bytes;
  for (int i = 0; i < 20'000; ++i) {
    if (blocks.size() > 200 || (!blocks.empty() && random() % 3 == 0)) {
      const u64 index = random() % blocks.size();
      const Block block = blocks[index];
      for (u64 at = 0; at < block.bytes; ++at) ASSERT_EQ(block.data[at], block.pattern);
      heap_free(block.data, block.bytes);
      blocks[index] = blocks.back();
      blocks.pop_back();
      continue;
    }
    const u64 bytes = 1 + random() % (random() % 8 == 0 ? 80'000 : 3000);
    auto* data = static_cast<u8*>(heap_alloc(bytes));
    ASSERT_NE(data, nullptr);
    EXPECT_EQ(reinterpret_cast<u64>(data) % 16, 0u);
    if (bytes >= 128 && bytes % 64 == 0) {
      EXPECT_EQ(reinterpret_cast<u64>(data) % 64, 0u);
    }
    if (bytes > 2048) {
      EXPECT_EQ(reinterpret_cast<u64>(data) % kPageBytes, 0u);
    }
    const u8 pattern = static_cast<u8>(random());
    std::memset(data, pattern, bytes);
    blocks.push_back({data, bytes, pattern});
  }
  for (const Block& block : blocks) heap_free(block.data, block.bytes);
  EXPECT_EQ(heap_info().used_bytes, used_before);
}

TEST_F(HeapTest, ManyBlocksAtOnceAreAsManyOneByOne) {
  constexpr u64 kBytes = 180;
  const u64 used = heap_info().used_bytes;
  void* const one = heap_alloc(kBytes);
  const u64 each = heap_info().used_bytes - used;
  heap_free(one, kBytes);
  BlockChain taken = heap_take(kBytes, 100);
  ASSERT_EQ(taken.count(), 100u);
  EXPECT_EQ(heap_info().used_bytes - used, 100 * each);
  absl::btree_set<u64> addresses;
  BlockChain back;
  while (!taken.empty()) {
    void* const block = taken.pop();
    std::memset(block, 0xa5, kBytes);
    for (u64 at = 0; at < kBytes; ++at) ASSERT_EQ(static_cast<u8*>(block)[at], 0xa5) << at;
    addresses.insert(reinterpret_cast<u64>(block));
    back.push(block);
  }
  EXPECT_EQ(addresses.size(), 100u);
  u64 before = 0;
  for (const u64 address : addresses) {
    EXPECT_GE(address - before, kBytes);
    before = address;
  }
  heap_give(back, kBytes);
  EXPECT_EQ(heap_info().used_bytes, used);
  const u64 calls = fake.calls();
  const BlockChain again = heap_take(kBytes, 100);
  EXPECT_EQ(again.count(), 100u);
  EXPECT_EQ(fake.calls(), calls);
  heap_give(again, kBytes);
}

TEST_F(HeapTest, AFreedBlockIsUsedAgainWithoutACall) {
  void* first = heap_alloc(100);
  heap_free(first, 100);
  const u64 calls = fake.calls();
  EXPECT_EQ(heap_alloc(128), first);
  heap_free(first, 128);
  EXPECT_EQ(fake.calls(), calls);
}

TEST_F(HeapTest, RunsOutWithoutHarm) {
  fake.forbid_kmem(true);
  for (u64 bytes : {u64{64}, u64{2048}, u64{4096}, u64{20'000}, u64{1} << 20, u64{1} << 60}) {
    std::vector<void*> blocks;
    while (void* block = heap_alloc(bytes)) {
      blocks.push_back(block);
      ASSERT_LT(blocks.size(), 1'000'000u);
    }
    EXPECT_EQ(heap_alloc(bytes), nullptr);
    for (void* block : blocks) heap_free(block, bytes);
  }
  fake.forbid_kmem(false);
  void* block = heap_alloc(u64{1} << 20);
  EXPECT_NE(block, nullptr);
  heap_free(block, u64{1} << 20);
}

struct Base : HeapAllocated {
  virtual ~Base() = default;
};
struct Derived final : Base {
  explicit Derived(int& alive) : alive_(alive) { ++alive_; }
  ~Derived() override { --alive_; }
  char more[500];
  int& alive_;
};

TEST_F(HeapTest, APolymorphicObjectIsFreedByItsOwnSize) {
  const u64 used = heap_info().used_bytes;
  int alive = 0;
  {
    UniquePtr<Base> object = make_unique<Derived>(alive);
    ASSERT_TRUE(object);
    EXPECT_EQ(alive, 1);
    EXPECT_EQ(heap_info().used_bytes, used + 768);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(heap_info().used_bytes, used);
}

TEST_F(HeapTest, BuffersGiveTheirBytesBack) {
  const u64 used = heap_info().used_bytes;
  {
    HeapBuffer buffer(5000);
    ASSERT_TRUE(buffer);
    HeapBuffer other(std::move(buffer));
    EXPECT_FALSE(buffer);  // NOLINT(bugprone-use-after-move): that it is empty is the point
    EXPECT_EQ(other.bytes(), 5000u);
  }
  EXPECT_FALSE(HeapBuffer(0));
  EXPECT_EQ(heap_info().used_bytes, used);
}

struct Counted {
  int references = 1;
  int released = 0;
  void retain() { ++references; }
  void release() {
    if (--references == 0) ++released;
  }
};

TEST(RefTest, TheLastReferenceReleases) {
  Counted object;
  {
    auto first = Ref<Counted>::adopt(&object);
    Ref<Counted> second = first;
    EXPECT_EQ(object.references, 2);
    second = nullptr;
    EXPECT_EQ(object.references, 1);
    Ref<Counted> third(&object);
    EXPECT_EQ(third, first);
  }
  EXPECT_EQ(object.released, 1);
}

}  // namespace
}  // namespace nopte::guest
