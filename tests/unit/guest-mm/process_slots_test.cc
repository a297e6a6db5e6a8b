#include "guest-mm/kernel/process/process_slots.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
namespace {

class ProcessSlots : public testing::Test {
 protected:
  // One for all, as slots that are free are kept from test to test.
  static void SetUpTestSuite() { shared_mm = std::make_unique<test::FakeMmOps>(); }
  static void TearDownTestSuite() { shared_mm.reset(); }
  static inline std::unique_ptr<test::FakeMmOps> shared_mm;
};

// The lowest word that a stack may use is its own; the next one below tells.
TEST_F(ProcessSlots, AStackThatGrewOutOfItsSlotIsSeen) {
  for (int i = 0; i < 4; ++i) {
    const Result<void*> slot = take_process_slot();
    ASSERT_TRUE(slot);
    auto* const end = static_cast<char*>(*slot) + kSlotBytes - kSlotStackBytes;
    std::memset(end, 0xcc, kSlotStackBytes);
    EXPECT_TRUE(stack_is_whole(*slot));
    u64 before;
    std::memcpy(&before, end - sizeof(before), sizeof(before));
    std::memset(end - 1, 0xcc, 1);
    EXPECT_FALSE(stack_is_whole(*slot));
    std::memcpy(end - sizeof(before), &before, sizeof(before));
    EXPECT_TRUE(stack_is_whole(*slot));
  }
}

// Nobody sets the mark again when a slot is used again.
TEST_F(ProcessSlots, WhatAProcessWritesLeavesTheMark) {
  const Result<void*> slot = take_process_slot();
  ASSERT_TRUE(slot);
  std::memset(*slot, 0xcc, kSlotBytes - kSlotStackBytes - sizeof(u64));
  give_process_slot(*slot);
  const Result<void*> again = take_process_slot();
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, *slot);
  EXPECT_TRUE(stack_is_whole(*again));
}

}  // namespace
}  // namespace nopte::guest
