// Switches that destroy what is left, by the guest's stub: one exit, and what is queued for either space has
// its way.
#include "tests/queue/queue_guest.h"

namespace nopte::test {
namespace {

constexpr auto kNone = ViolationReason::kNone;
constexpr auto kNoRegion = ViolationReason::kNoRegion;

class SwitchTest : public QueueTest {
 protected:
  explicit SwitchTest(u64 hidden_features = 0) : QueueTest(3000, hidden_features) {}

  // From a space that has run to the one before it: how many exits that takes.
  void expect_a_switch_in(u64 exits) {
    const SpaceId a = guest_.make_active();
    EXPECT_TRUE(map(a, 0));
    EXPECT_EQ(guest_.store(0, 1), kNone);
    const SpaceId b = guest_.make_active();
    EXPECT_TRUE(map(b, 0));
    EXPECT_EQ(guest_.store(0, 2), kNone);
    EXPECT_EQ(exits_of([&] { guest_.ops().space_switch(a, b); }), exits);
    u64 value = 0;
    EXPECT_EQ(guest_.load(0, value), kNone);
    EXPECT_EQ(value, 1u);
    EXPECT_EQ(guest_.make_space(), b) << "it is gone";
  }
};

TEST_F(SwitchTest, TakesOneExit) { expect_a_switch_in(1); }

TEST_F(SwitchTest, WhatIsQueuedForTheOneHappensAndForTheOtherNot) {
  const SpaceId a = guest_.make_active();
  const SpaceId b = guest_.make_active();
  EXPECT_TRUE(map(a, 3));
  EXPECT_TRUE(map(b, 4));
  EXPECT_EQ(exits_of([&] { guest_.ops().space_switch(a, b); }), 1u);
  EXPECT_EQ(guest_.store(3, 1), kNone);
  EXPECT_EQ(guest_.store(4, 1), kNoRegion);
  ASSERT_EQ(guest_.make_active(), b);
  EXPECT_EQ(guest_.store(4, 1), kNoRegion);
  EXPECT_EQ(guest_.store(3, 1), kNoRegion);
}

TEST_F(SwitchTest, WhatRunsCannotBeDestroyedAndKeepsItsQueue) {
  const SpaceId a = guest_.make_active();
  EXPECT_TRUE(map(a, 3));
  const auto refused = guest_.guest().call(static_cast<u64>(abi::Call::space_destroy), {static_cast<u32>(a)});
  EXPECT_EQ(refused.status, Status::kBusy);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 5)); }), 0u);
  EXPECT_EQ(guest_.store(3, 1), kNone);
  EXPECT_EQ(guest_.store(5, 1), kNone);
}

class HiddenSwitchTest : public SwitchTest {
 protected:
  HiddenSwitchTest() : SwitchTest(abi::kFeatureSpaceSwitch) {}
};

TEST_F(HiddenSwitchTest, AHypervisorWithoutIsAskedByTwoCalls) {
  const SpaceId a = guest_.make_active();
  EXPECT_EQ(guest_.guest().call(static_cast<u64>(abi::Call::space_switch), {0, static_cast<u32>(a)}).status,
            Status::kUnsupported);
  expect_a_switch_in(2);
}

TEST_F(SwitchTest, AGuestThatDoesNotKnowItMakesTwoCalls) {
  pv::use_memory_features(guest_.guest().mode().features() & ~abi::kFeatureSpaceSwitch);
  expect_a_switch_in(2);
}

}  // namespace
}  // namespace nopte::test
