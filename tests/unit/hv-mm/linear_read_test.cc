// Walks of tables that a guest may have made: loops, addresses outside, large pages.
#include "hv-mm/linear_read.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace nopte::hv {
namespace {

class Walk : public ::testing::Test {
 protected:
  std::vector<u8> memory = std::vector<u8>(64 * 4096);
  PhysicalMemory seen{memory.data(), memory.size()};
  void put(u64 table, u64 index, u64 entry) { std::memcpy(memory.data() + table + index * 8, &entry, 8); }
};

TEST_F(Walk, FollowsFourLevelsAndCrossesPages) {
  put(0x1000, 0, 0x2000 | 1), put(0x2000, 0, 0x3000 | 1), put(0x3000, 0, 0x4000 | 1);
  put(0x4000, 1, 0x8000 | 1), put(0x4000, 2, 0x6000 | 1);
  memory[0x8fff] = 'a', memory[0x6000] = 'b';
  u8 bytes[2];
  ASSERT_TRUE(read_linear(seen, 0x1000, Gva(0x1fff), bytes));
  EXPECT_EQ(bytes[0], 'a');
  EXPECT_EQ(bytes[1], 'b');
  EXPECT_FALSE(read_linear(seen, 0x1000, Gva(0x2fff), bytes));
  EXPECT_EQ(translate(seen, 0x1000, Gva(0x1234)), 0x8234u);
}

TEST_F(Walk, KnowsLargePages) {
  put(0x1000, 0, 0x2000 | 1), put(0x2000, 0, 0x3000 | 1), put(0x3000, 3, 0x20'0000 | 0x81),
      put(0x2000, 1, 0x4000'0000 | 0x81);
  EXPECT_EQ(translate(seen, 0x1000, Gva(0x60'1234)), 0x20'1234u);
  EXPECT_EQ(translate(seen, 0x1000, Gva(0x4012'3456)), 0x4012'3456u);
  u8 byte;
  EXPECT_FALSE(read_linear(seen, 0x1000, Gva(0x60'1234), {&byte, 1}));  // outside the memory
}

TEST_F(Walk, RefusesWhatLeavesTheMemory) {
  put(0x1000, 0, 0x000f'ffff'ffff'f001), put(0x1000, 1, 0x1000 | 1);
  EXPECT_FALSE(translate(seen, 0x1000, Gva(0)));
  EXPECT_FALSE(translate(seen, ~u64{0}, Gva(0)));
  EXPECT_FALSE(translate(seen, 0x1000, Gva(0x8000'0000'0000)));
  // A table that is its own lower table ends after four levels.
  EXPECT_TRUE(translate(seen, 0x1000, Gva(0x80'4020'1000)));
}

}  // namespace
}  // namespace nopte::hv
