// Xen's MMU calls: lists, prefixes, results and flushes; and what does not transpose.
#include <gtest/gtest.h>

#include "tests/support/xen_machine.h"

namespace nopte::hv::testing {
namespace {

using namespace abi::xen;

class XenCall : public ::testing::Test {
 protected:
  void TearDown() override {
    machine.learn_pins();
    machine.check();
  }
  u64 frame(u64 n) { return machine.first_free() + n; }
  // A page for lists, and where the guest sees it.
  u64 page(u64 n) { return machine.first_list() + 1 + n; }
  u64 at(u64 n, u64 offset = 0) { return XenMachine::address(page(n), offset); }
  template <class T>
  T& in(u64 n, u64 index = 0) {
    return reinterpret_cast<T*>(&machine.raw(page(n), 0))[index];
  }
  CallResult mmu_update(u64 list, u64 count, u64 done_out) {
    return machine.call(kMmuUpdate, {list, count, done_out, kDomainSelf});
  }
  static void expect(XenErrno error, const CallResult& result) {
    EXPECT_NE(result.status, Status::kOk);
    EXPECT_EQ(result.value, as_value(error));
  }
  // An entry of the direct map: bits of frame n.
  XenMachine::Update show(u64 n, u64 bits) {
    return {XenMachine::machine_address(XenMachine::kFirstLeaf, frame(n)), XenMachine::entry(frame(n), bits)};
  }

  XenMachine machine{64};
};

TEST_F(XenCall, AListStopsAtTheFirstThatIsRefused) {
  in<MmuUpdate>(0, 0) = show(0, 0);
  in<MmuUpdate>(0, 1) = {XenMachine::machine_address(frame(1), 0) + 4, 0};  // no entry begins there
  in<MmuUpdate>(0, 2) = show(2, 0);
  machine.raw(page(1), 0) = 99;
  expect(XenErrno::kNosys, mmu_update(at(0), 3, at(1)));
  EXPECT_EQ(in<u32>(1), 1u);
  EXPECT_FALSE(machine.store(XenMachine::address(frame(0)), 1));
  EXPECT_TRUE(machine.store(XenMachine::address(frame(2)), 1));
}

TEST_F(XenCall, AListMayCrossAPage) {
  // From the last word of one page on.
  const u64 begin = at(0, 4096 - 8);
  machine.raw(page(0), 511) = show(0, 0).ptr;
  machine.raw(page(1), 0) = show(0, 0).val;
  EXPECT_EQ(mmu_update(begin, 1, 0).status, Status::kOk);
  EXPECT_FALSE(machine.store(XenMachine::address(frame(0)), 1));
}

TEST_F(XenCall, PointersAreTheGuestsOwn) {
  in<MmuUpdate>(0) = show(0, 0);
  for (const u64 bad : {u64{0}, u64{0x8000'0000'0000}, kMachineToPhysical, at(0) + 4, ~u64{7},
                        XenMachine::address(machine.frames())}) {
    expect(XenErrno::kFault, mmu_update(bad, 1, 0));
    expect(XenErrno::kFault, machine.call(kMmuextOp, {bad, 1, 0, kDomainSelf}));
    expect(XenErrno::kFault, machine.call(kMulticall, {bad, 1}));
    if (bad != 0 && bad % 8 != 4) expect(XenErrno::kFault, mmu_update(at(0), 1, bad));
  }
  // A table is there to read, not to be written to.
  expect(XenErrno::kFault, mmu_update(at(0), 1, XenMachine::address(XenMachine::kRoot)));
  expect(XenErrno::kFault, machine.call(kMulticall, {XenMachine::address(XenMachine::kRoot), 1}));
  EXPECT_TRUE(machine.store(XenMachine::address(frame(0)), 1));  // nothing was done
  expect(XenErrno::kInval, mmu_update(at(0), kMaxBatch + 1, 0));
  expect(XenErrno::kPerm, machine.call(kMmuUpdate, {at(0), 1, 0, 0}));
}

TEST_F(XenCall, AListThatTakesItsOwnResultAway) {
  // done_out's page turns read-only by the list itself: the change is done, and the answer says so.
  in<MmuUpdate>(0) = {XenMachine::machine_address(XenMachine::kFirstLeaf, page(1)),
                      XenMachine::entry(page(1), 0)};
  machine.raw(page(1), 0) = 99;
  expect(XenErrno::kFault, mmu_update(at(0), 1, at(1)));
  EXPECT_EQ(machine.raw(page(1), 0), 99u);
}

TEST_F(XenCall, AMulticallAnswersEachCall) {
  in<MmuUpdate>(0) = show(0, 0);
  in<MulticallEntry>(1, 0) = {kMmuUpdate, 9, {at(0), 1, 0, kDomainSelf}};
  in<MulticallEntry>(1, 1) = {kMulticall, 9, {at(1), 1}};
  in<MulticallEntry>(1, 2) = {3, 9, {}};
  in<MulticallEntry>(1, 3) = {kUpdateVaMapping, 9, {XenMachine::address(frame(1)), 0, kFlushNone}};
  EXPECT_EQ(machine.call(kMulticall, {at(1), 4}).status, Status::kOk);
  EXPECT_EQ(in<MulticallEntry>(1, 0).result, 0u);
  EXPECT_EQ(in<MulticallEntry>(1, 1).result, as_value(Errno::kInval));
  EXPECT_EQ(in<MulticallEntry>(1, 2).result, as_value(Errno::kNosys));
  EXPECT_EQ(in<MulticallEntry>(1, 3).result, 0u);
  EXPECT_FALSE(machine.load(XenMachine::address(frame(1))));
}

TEST_F(XenCall, AMulticallIsNoLongerThanTwoLists) {
  for (u64 i = 0; i < 256; ++i) in<MmuUpdate>(0, i) = show(0, 0);
  for (u64 i = 0; i < 8; ++i) in<MulticallEntry>(1, i) = {kMmuUpdate, 9, {at(0), 256, 0, kDomainSelf}};
  expect(XenErrno::kRestart, machine.call(kMulticall, {at(1), 8}));
  EXPECT_EQ(in<MulticallEntry>(1, 3).result, 0u);
  EXPECT_EQ(in<MulticallEntry>(1, 4).result, as_value(Errno::kRestart));
  EXPECT_EQ(in<MulticallEntry>(1, 5).result, 9u);
}

TEST_F(XenCall, FlushesAreDueWhenAskedFor) {
  const u64 va = XenMachine::address(frame(0));
  const auto flushed = [&](u64 flags) {
    EXPECT_EQ(machine.call(kUpdateVaMapping, {va, XenMachine::entry(frame(0)), flags}).status, Status::kOk);
    return machine.flushed.any();
  };
  const auto page_alone = [&] {
    return !machine.flushed.base && machine.flushed.count == 1 && machine.flushed.addresses[0] == Gva(va);
  };
  EXPECT_FALSE(flushed(kFlushNone));
  EXPECT_TRUE(flushed(kFlushTlb | kFlushLocal));
  EXPECT_TRUE(machine.flushed.base);
  EXPECT_TRUE(flushed(kFlushPage | kFlushAllVcpus));
  EXPECT_TRUE(page_alone());
  machine.raw(page(0), 0) = 1;
  EXPECT_TRUE(flushed(kFlushPage | at(0)));
  EXPECT_TRUE(page_alone());
  machine.raw(page(0), 0) = 2;  // another vCPU's, which there is not
  EXPECT_FALSE(flushed(kFlushTlb | at(0)));
  EXPECT_FALSE(flushed(kFlushTypeMask));  // no type: Xen asks no more
  EXPECT_FALSE(flushed(kFlushNone | kFlushAllVcpus));
  EXPECT_FALSE(flushed(kFlushNone | 0x1000));
  expect(XenErrno::kFault, machine.call(kUpdateVaMapping, {va, 0, kFlushTlb | 0x1000}));
  expect(XenErrno::kInval, machine.call(kUpdateVaMapping, {0x1000, 0, kFlushNone}));
  EXPECT_TRUE(machine.load(va));
}

TEST_F(XenCall, FlushOperationsFlush) {
  const auto flushed = [&](Mmuext command, u64 mask_at = 0) {
    const auto operation = XenMachine::operation(command, XenMachine::address(frame(0)), mask_at);
    EXPECT_EQ(machine.operate({&operation, 1}), XenErrno::kNone);
    return machine.flushed.any();
  };
  for (const Mmuext command :
       {Mmuext::kTlbFlushLocal, Mmuext::kInvlpgLocal, Mmuext::kTlbFlushAll, Mmuext::kInvlpgAll}) {
    EXPECT_TRUE(flushed(command)) << static_cast<u32>(command);
  }
  for (const Mmuext command : {Mmuext::kTlbFlushMulti, Mmuext::kInvlpgMulti}) {
    machine.raw(page(0), 0) = 1;
    EXPECT_TRUE(flushed(command, at(0))) << static_cast<u32>(command);
    machine.raw(page(0), 0) = 2;  // another vCPU's, which there is not
    EXPECT_FALSE(flushed(command, at(0))) << static_cast<u32>(command);
    const auto nowhere = XenMachine::operation(command, 0, 0x1000);
    EXPECT_EQ(machine.operate({&nowhere, 1}), XenErrno::kInval);
  }
}

TEST_F(XenCall, PagesAreClearedAndCopied) {
  machine.raw(frame(0), 5) = 55;
  const auto one = [&](Mmuext command, u64 to, u64 from) {
    const auto operation = XenMachine::operation(command, XenMachine::machine(to), from);
    return machine.operate({&operation, 1});
  };
  EXPECT_EQ(one(Mmuext::kCopyPage, frame(1), XenMachine::machine(frame(0))), XenErrno::kNone);
  EXPECT_EQ(machine.raw(frame(1), 5), 55u);
  EXPECT_EQ(one(Mmuext::kClearPage, frame(0), 0), XenErrno::kNone);
  EXPECT_EQ(machine.raw(frame(0), 5), 0u);
  EXPECT_EQ(one(Mmuext::kClearPage, XenMachine::kRoot, 0), XenErrno::kInval);
  EXPECT_EQ(one(Mmuext::kCopyPage, XenMachine::kRoot, XenMachine::machine(frame(0))), XenErrno::kInval);
  EXPECT_EQ(one(Mmuext::kCopyPage, frame(0), 7), XenErrno::kInval);
}

TEST_F(XenCall, WhatDoesNotTransposeSaysSo) {
  for (const u32 command : {12u, 13u, 14u, 15u, 18u, 19u, 20u, 21u, ~0u}) {
    const XenMachine::Operation operation{command, 0, XenMachine::machine(frame(0)), 0};
    EXPECT_EQ(machine.operate({&operation, 1}), XenErrno::kNosys) << command;
  }
  for (const u64 number : {0ull, 2ull, 3ull, 12ull, 22ull, 27ull, 0xffff'ffffull}) {
    expect(XenErrno::kNosys, machine.call(number, {}));
  }
  EXPECT_EQ(machine.update(frame(0), 0, 1, kMachphysUpdate), XenErrno::kNosys);
}

}  // namespace
}  // namespace nopte::hv::testing
