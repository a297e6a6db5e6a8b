// KVM's paravirtual MMU over a told shadow: what is refused changes nothing, and what is told is shown at
// once.
#include "hv-mm/told/kvm_pv_calls.h"
#include "told_test.h"

namespace nopte::hv::testing {
namespace {

using namespace abi::kvmpv;

constexpr u64 kGuestFrames = 2048, kBuffer = 5 * 4096;

class KvmPv : public ToldTest {
 protected:
  KvmPv() : ToldTest(kGuestFrames) { EXPECT_TRUE(calls.set_buffer(kBuffer | kBufferEnable)); }
  void put(u64 index, u64 gpa) { machine.guest().write(kBuffer + index * 8, gpa); }
  CallResult set_ptes(u64 first, u64 count, u64 flags = 0) {
    return calls.call(kSetPtes, {first, count, flags, 0, 0, 0});
  }

  KvmPvCalls calls{machine.mmu};
};

TEST_F(KvmPv, ATableIsNotProtected) {
  EXPECT_EQ(machine.access(0x3000, 4).exits, 1u);
  for (u64 gfn = 1; gfn <= 4; ++gfn) EXPECT_FALSE(machine.mmu.tables().is_protected(gfn));
  machine.mmu.tables().check_invariants();
}

TEST_F(KvmPv, ALossIsShownWhenItIsTold) {
  machine.access(0x3000, 6);
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  EXPECT_TRUE(machine.shadow_walk(0x3000, 4).ok);
  (void)machine.mmu.take_flush();
  put(7, 4 * 4096 + 3 * 8);
  EXPECT_EQ(set_ptes(7, 1).status, Status::kOk);
  EXPECT_FALSE(machine.shadow_walk(0x3000, 4).ok);
  EXPECT_TRUE(machine.mmu.take_flush());
}

TEST_F(KvmPv, AGainAfterAFaultNeedsNoSecondFault) {
  machine.access(0x3000, 4);
  EXPECT_EQ(machine.access(0x4000, 6).end, ToldMachine::Access::End::kReflected);
  link(4 * 4096, 4, 101 * 4096);
  put(0, 4 * 4096 + 4 * 8);
  EXPECT_EQ(set_ptes(0, 1).status, Status::kOk);
  EXPECT_TRUE(machine.shadow_walk(0x4000, 6).ok);
  // With a table that is new.
  EXPECT_EQ(machine.access(0x200000, 6).end, ToldMachine::Access::End::kReflected);
  link(6 * 4096, 0, 102 * 4096);
  link(3 * 4096, 1, 6 * 4096);
  put(0, 3 * 4096 + 1 * 8);
  EXPECT_EQ(set_ptes(0, 1).status, Status::kOk);
  EXPECT_TRUE(machine.shadow_walk(0x200000, 6).ok);
}

TEST_F(KvmPv, AnUnlinkedTableIsForgotten) {
  machine.access(0x3000, 4);
  machine.guest().write(3 * 4096, 0);
  put(0, 3 * 4096);
  EXPECT_EQ(set_ptes(0, 1, kTlbFlushCurrent).status, Status::kOk);
  EXPECT_EQ(machine.mmu.tables().first_mirror(4), 0u);
  // It comes back with other contents, untold.
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  link(4 * 4096, 5, 103 * 4096);
  link(3 * 4096, 0, 4 * 4096);
  EXPECT_EQ(machine.access(0x3000, 4).end, ToldMachine::Access::End::kReflected);
  EXPECT_EQ(machine.access(0x5000, 4).gpa, 103u * 4096);
}

// Found by kvm_pv_fuzz: the table's mirror was left behind, and shown when the table was used again.
TEST_F(KvmPv, ATableThatALargeLeafReplacesIsForgotten) {
  machine.access(0x3000, 4);
  machine.guest().write(3 * 4096, kFlags | kPs);
  EXPECT_EQ(machine.access(0x5000, 4).gpa, 0x5000u);
  EXPECT_EQ(machine.mmu.tables().first_mirror(4), 0u);
  machine.mmu.tables().check_invariants();
  put(0, 3 * 4096);
  EXPECT_EQ(set_ptes(0, 1).status, Status::kOk);
  machine.guest().write(4 * 4096 + 3 * 8, 0);
  link(3 * 4096, 0, 4 * 4096);
  put(0, 3 * 4096);
  EXPECT_EQ(set_ptes(0, 1).status, Status::kOk);
  EXPECT_EQ(machine.access(0x3000, 4).end, ToldMachine::Access::End::kReflected);
}

TEST_F(KvmPv, ANewRootSharesNothingThatOnlyTheShadowRemembers) {
  constexpr u64 kKernel = 0xffff'8000'0000'0000;
  link(4096, 256, 2 * 4096);
  EXPECT_EQ(machine.access(kKernel | 0x3000, 2).gpa, 100u * 4096);
  // Both roots say another table now, and then a third says none; nothing is told.
  link(6 * 4096, 0, 7 * 4096);
  link(7 * 4096, 0, 8 * 4096);
  link(8 * 4096, 3, 101 * 4096);
  link(4096, 256, 6 * 4096);
  link(10 * 4096, 256, 6 * 4096);
  machine.load_root(10 * 4096);
  EXPECT_EQ(machine.access(kKernel | 0x3000, 2).gpa, 101u * 4096);
  machine.load_root(4096);
  machine.guest().write(4096 + 256 * 8, 0);
  machine.load_root(11 * 4096);
  EXPECT_EQ(machine.access(kKernel | 0x3000, 0).end, ToldMachine::Access::End::kReflected);
}

// More tables than one call may empty: the call is short, and what waits is neither shown nor kept.
TEST(KvmPvRelease, OfManyTablesIsShort) {
  constexpr u64 kLeaves = 1000, kFirst = 16, kData = 1500;
  ToldMachine machine{kGuestFrames, 1200};
  KvmPvCalls calls{machine.mmu};
  const auto link = [&](u64 table, u64 slot, u64 to) {
    machine.guest().write(table * 4096 + slot * 8, to * 4096 | kFlags);
  };
  for (const u64 root : {1, 5}) link(root, 0, root + 1);
  for (const u64 upper : {2, 6}) {
    for (u64 i = 0; i < 2; ++i) link(upper, i, upper + 1 + i);
  }
  machine.load_root(4096);
  for (u64 leaf = 0; leaf < kLeaves; ++leaf) {
    link(3 + leaf / 512, leaf % 512, kFirst + leaf);
    link(kFirst + leaf, 0, kData + leaf % 64);
    machine.access(leaf << 21, 6);
  }
  const ShadowCounters& counters = machine.mmu.counters();
  ASSERT_GE(counters.pages_allocated, kLeaves + 4);
  machine.load_root(5 * 4096);
  const u64 zapped = counters.pages_zapped;
  ASSERT_EQ(calls.call(kReleasePt, {4096}).status, Status::kOk);
  EXPECT_TRUE(machine.mmu.take_flush());
  EXPECT_LE(counters.pages_zapped - zapped, 512u);
  machine.mmu.tables().check_invariants();
  EXPECT_EQ(machine.mmu.tables().first_mirror(1), 0u);

  // Frames of the dead are used again, for other tables, while some are still waiting.
  for (u64 leaf = 0; leaf < kLeaves; ++leaf) {
    const u64 table = kFirst + (leaf * 7 + 3) % kLeaves;
    machine.guest().write(table * 4096, 0);
    link(table, 1, kData + 100);
    link(7 + leaf / 512, leaf % 512, table);
    EXPECT_EQ(machine.access(leaf << 21, 4).end, ToldMachine::Access::End::kReflected);
    EXPECT_EQ(machine.access((leaf << 21) + 4096, 4).gpa, (kData + 100) * 4096);
  }
  ASSERT_EQ(calls.call(kReleasePt, {5 * 4096}).status, Status::kOk);
  for (int exits = 0; exits < 20; ++exits) (void)machine.mmu.take_flush();
  machine.mmu.tables().check_invariants();
  EXPECT_EQ(machine.mmu.tables().free_tables(), 1200u - 1);
}

TEST_F(KvmPv, AReleasedRootGoesWithAllBelow) {
  machine.access(0x3000, 4);
  link(10 * 4096, 511, 11 * 4096);
  machine.load_root(10 * 4096);
  EXPECT_EQ(calls.call(kReleasePt, {4096}).status, Status::kOk);
  (void)machine.mmu.take_flush();  // the exit ends
  for (u64 gfn = 1; gfn <= 4; ++gfn) EXPECT_EQ(machine.mmu.tables().first_mirror(gfn), 0u);
  // The root in use stays, empty.
  EXPECT_EQ(calls.call(kReleasePt, {10 * 4096}).status, Status::kOk);
  EXPECT_NE(machine.mmu.tables().first_mirror(10), 0u);
  machine.mmu.tables().check_invariants();
}

TEST_F(KvmPv, BadInputIsRefusedAndChangesNothing) {
  machine.access(0x3000, 4);
  machine.guest().write(4 * 4096 + 3 * 8, 0);  // would be seen if anything were done
  put(0, 4 * 4096 + 3 * 8);
  for (const u64 bad : {kGuestFrames * 4096, ~u64{7}, u64{1} << 63, u64{1} << 52}) {
    put(1, bad);
    refused(set_ptes(0, 2), kErrorFault);
    refused(calls.call(kReleasePt, {bad & ~u64{4095}}), kErrorFault);
  }
  put(1, 4 * 4096 + 1);
  refused(set_ptes(0, 2), kErrorFault);
  for (unsigned bit = 3; bit < 12; ++bit) refused(set_ptes(0, 1, u64{1} << bit), kErrorInvalid);
  refused(set_ptes(0, 1, kTlbFlush | 0x1000), kErrorInvalid);  // an address without INVLPG
  refused(set_ptes(0, kSlots + 1), kErrorInvalid);
  refused(set_ptes(kSlots, 1), kErrorInvalid);
  refused(set_ptes(~u64{0}, 2), kErrorInvalid);
  refused(set_ptes(1, ~u64{0}), kErrorInvalid);
  refused(calls.call(kReleasePt, {1}), kErrorInvalid);
  for (const u64 number : {0ull, 1ull, 2ull, 8ull, 11ull, 0xffff'ffffull}) {
    refused(calls.call(number, {0, 1, 0}), kErrorNoSuchCall);
  }
  for (const u64 buffer : {kBufferEnable | 8, u64{0x2000}, kGuestFrames * 4096 | 1, ~u64{0}}) {
    EXPECT_FALSE(calls.set_buffer(buffer));
  }
  ASSERT_TRUE(calls.set_buffer(0));
  refused(set_ptes(0, 1), kErrorInvalid);
  EXPECT_EQ(calls.counters().entries_told, 0u);
}

// Random tables, each edit told: the shadow never shows what the guest's tables do not say now.
TEST_F(KvmPv, WhatIsToldIsNeverShownLonger) {
  RandomTables tables;
  auto& random = tables.random;
  machine.load_root(RandomTables::kFirst * 4096);
  u64 shown_pages = 0;
  for (unsigned step = 0; step < 200'000; ++step) {
    const unsigned dice = random() % 100;
    if (dice < 50) {
      machine.access(tables.address(), random() % 2 * 2 | random() % 2 * 4);
    } else if (dice < 90) {
      const u64 entry = tables.frame() * 4096 + tables.slot() * 8;
      machine.guest().write(entry, tables.entry(kGuestFrames));
      const u64 index = random() % kSlots;
      put(index, entry);
      const u64 flush = random() % 2 ? kInvlpg | tables.address() : random() % 4;
      ASSERT_EQ(set_ptes(index, 1, flush).status, Status::kOk);
    } else if (dice < 94) {
      machine.load_root(tables.frame() * 4096);
    } else if (dice < 97) {
      (void)calls.call(kReleasePt, {tables.frame() * 4096});
    } else {
      (void)calls.call(random() % 16, {random() >> random() % 64, random() >> random() % 64, random() >> 52});
    }
    (void)machine.mmu.take_flush();
    for (unsigned probe = 0; probe < 4; ++probe) shown_pages += shown_as_said(tables.address());
    ASSERT_FALSE(HasFailure()) << "at step " << step;
    if (step % 1000 == 0) machine.mmu.tables().check_invariants();
  }
  EXPECT_GT(shown_pages, 5'000u);
}

}  // namespace
}  // namespace nopte::hv::testing
