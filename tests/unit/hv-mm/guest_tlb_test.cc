// What the control block says at the next entry: the ASID of each root, and what is forgotten.
#include "hv-mm/container/guest_tlb.h"

#include <gtest/gtest.h>

namespace nopte::hv {
namespace {

class GuestTlbTest : public testing::Test {
 protected:
  static constexpr u32 kAsids = 16;
  static constexpr pt::PhysAddr kA{0x5000}, kB{0x6000};

  // An exit, after which the guest runs on `root`. Its ASID.
  u32 load(GuestTlb& of, pt::PhysAddr root) {
    vcpu.collect_events();
    of.load_root(root);
    EXPECT_EQ(vmcb.cr3, root.value());
    return vmcb.asid;
  }

  Vmcb vmcb{};
  Vcpu vcpu{vmcb, 0};
  GuestTlb tlb{vcpu, kAsids};
  GuestTlb by_asid{vcpu, kAsids, GuestTlb::FlushByAsid::kYes};
};

TEST_F(GuestTlbTest, ASwitchKeepsWhatIsKnown) {
  const u32 a = load(tlb, kA), b = load(tlb, kB);
  EXPECT_NE(a, b);
  EXPECT_EQ(load(tlb, kA), a);
  EXPECT_EQ(load(tlb, kB), b);
  EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
}

TEST_F(GuestTlbTest, WhatRunsIsFlushedByAnotherAsid) {
  const u32 b = load(tlb, kB), a = load(tlb, kA);
  tlb.flush();
  EXPECT_NE(vmcb.asid, a);
  EXPECT_NE(vmcb.asid, b);
  EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
  EXPECT_EQ(load(tlb, kB), b);
}

TEST_F(GuestTlbTest, OrByItsOwnWhereTheProcessorCan) {
  const u32 b = load(by_asid, kB), a = load(by_asid, kA);
  by_asid.flush();
  EXPECT_EQ(vmcb.asid, a);
  EXPECT_EQ(vmcb.tlb_control, kTlbFlushAsid);
  EXPECT_EQ(load(by_asid, kB), b);
  EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
  EXPECT_EQ(load(by_asid, kA), a);  // it was flushed
}

// The flush that is due would be of the other's ASID.
TEST_F(GuestTlbTest, AFlushBeforeASwitchInOneExitIsOfWhatRanBefore) {
  const u32 b = load(by_asid, kB), a = load(by_asid, kA);
  by_asid.flush();
  by_asid.load_root(kB);
  EXPECT_EQ(vmcb.asid, b);
  EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
  EXPECT_NE(load(by_asid, kA), a);
}

TEST_F(GuestTlbTest, WhatDoesNotRunGetsAnotherWhenItDoes) {
  for (GuestTlb* const each : {&tlb, &by_asid}) {
    const u32 a = load(*each, kA), b = load(*each, kB);
    each->forget(kA);
    EXPECT_EQ(load(*each, kB), b);
    const u32 other = load(*each, kA);
    EXPECT_NE(other, a);
    EXPECT_NE(other, b);
    load(*each, kB);
    each->flush_others();
    EXPECT_EQ(load(*each, kB), b);
    EXPECT_NE(load(*each, kA), other);
  }
}

TEST_F(GuestTlbTest, EverythingIsWhatRunsAndWhatDoesNot) {
  for (GuestTlb* const each : {&tlb, &by_asid}) {
    const u32 a = load(*each, kA), b = load(*each, kB);
    each->flush_everything();
    EXPECT_TRUE(vmcb.asid != b || vmcb.tlb_control == kTlbFlushAsid);
    EXPECT_NE(load(*each, kA), a);
  }
}

// No other flush in the same exit takes that back.
TEST_F(GuestTlbTest, UsedUpAllIsForgotten) {
  load(by_asid, kA);
  for (u32 n = 2; n < kAsids; ++n) {
    load(by_asid, kB);
    by_asid.forget(kB);
    EXPECT_EQ(vmcb.tlb_control, kTlbKeep);
  }
  load(by_asid, kB);
  EXPECT_EQ(vmcb.tlb_control, kTlbFlushAll);
  by_asid.flush();
  EXPECT_EQ(vmcb.tlb_control, kTlbFlushAll);
  by_asid.load_root(kA);
  EXPECT_EQ(vmcb.tlb_control, kTlbFlushAll);
}

}  // namespace
}  // namespace nopte::hv
