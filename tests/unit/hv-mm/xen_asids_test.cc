// Two roots of a guest of mode xen, under an ASID each: what the processor knows of one goes where the guest,
// or its safety, needs that, and stays where nothing was lost.
#include <gtest/gtest.h>

#include "tests/support/xen_machine.h"

namespace nopte::hv::testing {
namespace {

using namespace abi::xen;

//   first root  [0] -> u3 -> u2 -> u1 -> page, at address 0
//   both        [direct map]
class XenAsids : public ::testing::Test {
 protected:
  XenMachine machine{64};
  static constexpr u64 kFirst = XenMachine::kRoot, kUser = 0;
  const u64 second = frame(0), u3 = frame(1), u2 = frame(2), u1 = frame(3), page = frame(4);

  void SetUp() override {
    for (u64 n = 0; n < 5; ++n) ASSERT_EQ(machine.show(frame(n), 0), XenErrno::kNone);
    machine.raw(u1, 0) = XenMachine::entry(page);
    machine.raw(u2, 0) = XenMachine::entry(u1);
    machine.raw(u3, 0) = XenMachine::entry(u2);
    ASSERT_EQ(machine.update(kFirst, 0, XenMachine::entry(u3)), XenErrno::kNone);
    const u64 slot = XenMachine::kDirect >> 39 & 511;
    machine.raw(second, slot) = XenMachine::entry(XenMachine::kLevel3);
    ASSERT_EQ(machine.pin(second, 4), XenErrno::kNone);
    ASSERT_TRUE(machine.store(kUser, 1));
  }
  void TearDown() override {
    machine.learn_pins();
    machine.check();
  }
  u64 frame(u64 n) { return machine.first_free() + n; }
  void load(u64 root) { ASSERT_EQ(machine.set_base(root), XenErrno::kNone); }
  void lose() { ASSERT_EQ(machine.update(u1, 0, 0), XenErrno::kNone); }
};

TEST_F(XenAsids, ASwitchForgetsNothing) {
  load(second);
  load(kFirst);
  for (int i = 0; i < 3; ++i) {
    load(second);
    EXPECT_FALSE(machine.flushed.any());
    load(kFirst);
    EXPECT_FALSE(machine.flushed.any());
  }
}

TEST_F(XenAsids, WhatTheBaseLosesItForgetsWhenItIsAskedTo) {
  lose();
  EXPECT_TRUE(machine.load(kUser));  // as on a processor
  load(kFirst);                      // loaded again
  EXPECT_FALSE(machine.load(kUser));
}

TEST_F(XenAsids, OrWhenAnotherHasRun) {
  lose();
  load(second);
  load(kFirst);
  EXPECT_FALSE(machine.load(kUser));
}

TEST_F(XenAsids, WhatIsLostBelowAnotherIsForgottenThere) {
  load(second);
  lose();
  load(kFirst);
  EXPECT_FALSE(machine.load(kUser));
}

TEST_F(XenAsids, AlsoInTheCallThatLoadsIt) {
  load(second);
  const u64 lists = machine.first_list() + 1;
  const auto at = [&](u64 n) { return XenMachine::address(lists + n); };
  *reinterpret_cast<MmuUpdate*>(&machine.raw(lists + 1, 0)) = {XenMachine::machine_address(u1, 0), 0};
  *reinterpret_cast<MmuextOp*>(&machine.raw(lists + 2, 0)) =
      XenMachine::operation(Mmuext::kNewBaseptr, XenMachine::machine(kFirst));
  auto* const calls = reinterpret_cast<MulticallEntry*>(&machine.raw(lists, 0));
  calls[0] = {kMmuUpdate, 0, {at(1), 1, 0, kDomainSelf}};
  calls[1] = {kMmuextOp, 0, {at(2), 1, 0, kDomainSelf}};
  ASSERT_EQ(machine.call(kMulticall, {at(0), 2}).status, Status::kOk);
  machine.learn_pins();
  EXPECT_FALSE(machine.load(kUser));
}

// A flush of one page says nothing of the way there.
TEST_F(XenAsids, APageIsFlushedAloneWhereItsWayIsAsItWas) {
  const auto flush = XenMachine::operation(Mmuext::kInvlpgLocal, kUser);
  ASSERT_EQ(machine.operate({&flush, 1}), XenErrno::kNone);
  EXPECT_FALSE(machine.flushed.base);
  ASSERT_EQ(machine.update(u2, 0, 0), XenErrno::kNone);
  ASSERT_EQ(machine.operate({&flush, 1}), XenErrno::kNone);
  EXPECT_TRUE(machine.flushed.base);
}

// The first root still knows it writable, and nobody said that it lost that: its tables went whole.
TEST_F(XenAsids, AFrameThatBecomesATableIsForgottenUnderEveryAsid) {
  load(second);
  ASSERT_EQ(machine.unpin(kFirst), XenErrno::kNone);
  machine.raw(page, 0) = 0;
  ASSERT_EQ(machine.pin(page, 1), XenErrno::kNone);
  EXPECT_TRUE(machine.flushed.everything);
  machine.check();
}

}  // namespace
}  // namespace nopte::hv::testing
