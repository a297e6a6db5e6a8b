// space_switch: one space is active and the other gone, or nothing has changed.
#include "tests/unit/hv-mm/vma_fixture.h"

namespace nopte::hv {
namespace {

class VmaSwitchTest : public VmaAgainTest {
 protected:
  // A space that runs, and has a page and a leaf table in each of `places` 2 MiB.
  u64 touched_space(u64 places) {
    const u64 space = active_space();
    for (u64 i = 0; i < places; ++i) {
      const Gva va = kA + i * (u64{2} << 20);
      EXPECT_EQ(map(space, va, 1), Status::kOk);
      EXPECT_TRUE(touch(va));
    }
    return space;
  }
  [[nodiscard]] u64 active() const { return static_cast<u64>(memory_.active()); }
  bool is_space(u64 space) { return memory_.declared(SpaceId(static_cast<u32>(space))).has_value(); }
};

TEST_F(VmaSwitchTest, TheOneIsActiveAndTheOtherGone) {
  const u64 a = touched_space(3);
  const u64 before = frames_.free_frames();
  const u64 b = touched_space(300);
  ASSERT_EQ(call(Call::space_switch, {a, b}).status, Status::kOk);
  EXPECT_EQ(active(), a);
  EXPECT_FALSE(is_space(b));
  EXPECT_EQ(installed(a), 3u);
  EXPECT_EQ(frames_.free_frames(), before);
  // Neither has to be active, and what is need not be left.
  const u64 c = make_space();
  const u64 d = make_space();
  EXPECT_EQ(call(Call::space_switch, {c, d}).status, Status::kOk);
  EXPECT_EQ(active(), c);
  EXPECT_FALSE(is_space(d));
  EXPECT_EQ(call(Call::space_switch, {c, a}).status, Status::kOk);
  EXPECT_EQ(active(), c);
  EXPECT_EQ(call(Call::space_switch, {0, c}).status, Status::kOk);
  EXPECT_EQ(active(), 0u);
  EXPECT_FALSE(is_space(c));
}

TEST_F(VmaSwitchTest, WhatIsRefusedHasChangedNothing) {
  const u64 other = touched_space(2);
  const u64 gone = make_space();
  ASSERT_EQ(call(Call::space_destroy, {gone}).status, Status::kOk);
  const u64 running = touched_space(2);
  const u64 before = frames_.free_frames();
  struct Row {
    u64 space, gone;
    Status status;
  };
  const Row rows[] = {
      {running, running, Status::kBusy},
      {other, other, Status::kBusy},
      {running, 0, Status::kInvalid},
      {other, 0, Status::kInvalid},
      {0, 0, Status::kInvalid},
      {other, 77, Status::kInvalid},
      {77, running, Status::kInvalid},
      {77, other, Status::kInvalid},
      {77, 77, Status::kInvalid},
      {other, u64{1} << 32 | running, Status::kInvalid},
      {u64{1} << 32 | other, running, Status::kInvalid},
      {~u64{0}, running, Status::kInvalid},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(call(Call::space_switch, {row.space, row.gone}).status, row.status)
        << row.space << ' ' << row.gone;
    EXPECT_EQ(active(), running) << row.space << ' ' << row.gone;
    EXPECT_EQ(installed(running), 2u) << row.space << ' ' << row.gone;
    EXPECT_EQ(installed(other), 2u) << row.space << ' ' << row.gone;
    EXPECT_EQ(frames_.free_frames(), before) << row.space << ' ' << row.gone;
    EXPECT_TRUE(touch(kA));
  }
}

// Both ways of going on after a stop: the same call, and the ordinary destruction of what is gone in part.
TEST_F(VmaSwitchTest, AStoppedSwitchHasSwitchedAndGoesOn) {
  for (const Call next : {Call::space_switch, Call::space_destroy}) {
    const u64 a = touched_space(1);
    const u64 before = frames_.free_frames();
    const u64 b = touched_space(300);
    stop_.requested = true;
    const CallResult stopped = call(Call::space_switch, {a, b});
    ASSERT_EQ(stopped.status, Status::kAgain);
    EXPECT_EQ(stopped.value, 0u) << "it is no range";
    EXPECT_EQ(active(), a);
    EXPECT_LT(frames_.free_frames(), before) << "nothing is left to do";
    // It is no space to run in any more, and what runs cannot be destroyed instead.
    EXPECT_EQ(call(Call::space_activate, {b}).status, Status::kInvalid);
    EXPECT_EQ(call(Call::space_switch, {b, a}).status, Status::kInvalid);
    EXPECT_EQ(call(Call::space_destroy, {a}).status, Status::kBusy);
    EXPECT_EQ(active(), a);
    EXPECT_EQ(installed(a), 1u);
    const Registers rest = next == Call::space_switch ? Registers{a, b} : Registers{b};
    EXPECT_EQ(until_done(Stub::kIssuesAgain, next, rest).status, Status::kOk);
    EXPECT_GT(issues_, 1u);
    stop_.requested = false;
    EXPECT_EQ(active(), a);
    EXPECT_FALSE(is_space(b));
    EXPECT_EQ(frames_.free_frames(), before);
    EXPECT_EQ(call(Call::space_switch, {0, a}).status, Status::kOk);
  }
}

// Issued again after another switch, it makes its own space active again.
TEST_F(VmaSwitchTest, AnotherSwitchMayComeBetween) {
  const u64 a = touched_space(1);
  const u64 c = touched_space(1);
  const u64 b = touched_space(300);
  stop_.requested = true;
  ASSERT_EQ(call(Call::space_switch, {a, b}).status, Status::kAgain);
  ASSERT_EQ(call(Call::space_activate, {c}).status, Status::kOk);
  stop_.requested = false;
  EXPECT_EQ(call(Call::space_switch, {a, b}).status, Status::kOk);
  EXPECT_EQ(active(), a);
  EXPECT_FALSE(is_space(b));
  EXPECT_EQ(installed(c), 1u);
}

TEST_F(VmaSwitchTest, HiddenItIsNoCall) {
  const u64 a = touched_space(1);
  const u64 b = touched_space(1);
  memory_.hide(abi::kFeatureSpaceSwitch);
  EXPECT_EQ(call(Call::space_switch, {a, b}).status, Status::kUnsupported);
  EXPECT_EQ(active(), b);
  EXPECT_EQ(installed(a), 1u);
  EXPECT_EQ(installed(b), 1u);
}

}  // namespace
}  // namespace nopte::hv
