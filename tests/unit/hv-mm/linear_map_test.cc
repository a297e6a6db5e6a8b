// Tables with 4 KiB and 2 MiB leaves: what is mapped, what is not, and running out of memory at every page.
#include "hv-mm/boot/linear_map.h"

#include <gtest/gtest.h>

#include <memory>

#include "hv-mm/linear_read.h"

namespace nopte::hv {
namespace {

constexpr u64 kLarge = LinearMap::leaf_bytes(LinearMap::Leaf::kLarge);

class LinearMapTest : public ::testing::Test {
 protected:
  static constexpr u64 kPages = 16;
  std::unique_ptr<u8[]> memory = std::make_unique<u8[]>(kPages * kPageBytes);
  PhysicalMemory seen{memory.get(), kPages* kPageBytes};
  pt::Entry leaf = pt::Entry::kernel_leaf(pt::Frame(), kPermRW);

  BootMemory pages(u64 count) {
    return BootMemory({0, count * kPageBytes}, reinterpret_cast<u64>(memory.get()));
  }
};

TEST_F(LinearMapTest, MapsRangesAndNothingElse) {
  BootMemory own = pages(kPages);
  auto map = LinearMap::create(own, pt::Privilege::kKernel);
  ASSERT_TRUE(map);
  const u64 base = 0xffff'8000'0000'0000;
  ASSERT_TRUE(map->map(base, 0, 3 * kLarge, leaf));
  ASSERT_TRUE(map->map(base + (u64{4} << 30) - kLarge, 7 * kLarge, 2 * kLarge, leaf));
  EXPECT_EQ(translate(seen, map->root(), Gva(base + 0x1234)), 0x1234u);
  EXPECT_EQ(translate(seen, map->root(), Gva(base + 3 * kLarge - 1)), 3 * kLarge - 1);
  EXPECT_FALSE(translate(seen, map->root(), Gva(base + 3 * kLarge)));
  EXPECT_EQ(translate(seen, map->root(), Gva(base + (u64{4} << 30) - kLarge)), 7 * kLarge);
  EXPECT_EQ(translate(seen, map->root(), Gva(base + (u64{4} << 30))), 8 * kLarge);
  EXPECT_FALSE(translate(seen, map->root(), Gva(base + (u64{4} << 30) + kLarge)));
  EXPECT_FALSE(translate(seen, map->root(), Gva(0)));
}

TEST_F(LinearMapTest, MapsPages) {
  BootMemory own = pages(kPages);
  auto map = LinearMap::create(own, pt::Privilege::kKernel);
  const u64 base = 0xffff'ffff'8010'0000;
  ASSERT_TRUE(map->map(base, 0x10'0000, 3 * kPageBytes, leaf, LinearMap::Leaf::kPage));
  EXPECT_EQ(translate(seen, map->root(), Gva(base + 0x2fff)), 0x10'2fffu);
  EXPECT_FALSE(translate(seen, map->root(), Gva(base + 0x3000)));
  EXPECT_FALSE(translate(seen, map->root(), Gva(base - 1)));
}

TEST_F(LinearMapTest, RunsOutOfMemoryCleanly) {
  for (u64 count = 0; count < 5; ++count) {
    BootMemory own = pages(count);
    auto map = LinearMap::create(own, pt::Privilege::kKernel);
    const Result<void> mapped = map ? map->map(0, 0, u64{1} << 31, leaf) : Fail(map.error());
    EXPECT_EQ(mapped.has_value(), count == 4) << count;  // a root, a table of tables and two of leaves
  }
}

}  // namespace
}  // namespace nopte::hv
