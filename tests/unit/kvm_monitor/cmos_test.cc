#include "experiments/peers/kvm_monitor/cmos.h"

#include <gtest/gtest.h>

namespace kvm_monitor {
namespace {

TEST(Cmos, TellsTheTimeInDecimals) {
  constexpr time_t kTime = 1'735'689'599;  // 2024-12-31 23:59:59, a Tuesday
  const struct {
    uint8_t index, value;
  } registers[] = {{0x00, 0x59}, {0x02, 0x59}, {0x04, 0x23}, {0x06, 0x03}, {0x07, 0x31},
                   {0x08, 0x12}, {0x09, 0x24}, {0x32, 0x20}, {0x0b, 0x02}};
  for (const auto& [index, value] : registers) EXPECT_EQ(read_cmos(index, kTime), value) << int{index};
}

TEST(Cmos, IsNeverInTheMiddleOfAnUpdate) { EXPECT_EQ(read_cmos(0x0a, 0) & 0x80, 0); }

TEST(Cmos, OtherRegistersAreZero) { EXPECT_EQ(read_cmos(0x10, 0), 0); }

}  // namespace
}  // namespace kvm_monitor
