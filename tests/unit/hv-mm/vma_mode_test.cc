// Mode vma from its start to what a guest sees of a refused access, over the machine model.
#include <gtest/gtest.h>

#include "tests/model/vma_kind.h"

namespace nopte::model {
namespace {

using abi::Call;
using hv::testing::GuestElf;
using pt::Privilege;

constexpr u64 kImage = GuestElf::kBase;
constexpr Gva kUserPage{0x4000'0000};

class VmaModeTest : public testing::Test {
 protected:
  Status call(Call number, const abi::Registers& arguments) {
    const hv::CallResult result = guest.call(static_cast<u64>(number), arguments);
    value = result.value;
    return result.status;
  }
  bool reaches(Gva va, Access access, Privilege privilege = Privilege::kUser) {
    return guest.access(va, access, privilege).has_value();
  }
  // A space that runs.
  u64 make_space() {
    EXPECT_EQ(call(Call::space_create, {}), Status::kOk);
    const u64 space = value;
    EXPECT_EQ(call(Call::space_activate, {space}), Status::kOk);
    return space;
  }
  void map(u64 space, Gva va, u64 flags, u64 object = 0) {
    ASSERT_EQ(call(Call::region_map, {space, va.value(), 1, flags, object, 0}), Status::kOk);
  }
  // The access is refused; what the guest gets then.
  void expect_violation(Gva va, Access access, Privilege privilege, u64 error_code, ViolationReason reason,
                        u64 space) {
    EXPECT_FALSE(reaches(va, access, privilege));
    EXPECT_EQ(guest.fault.cr2, va);
    EXPECT_EQ(guest.fault.error_code, error_code);
    const abi::ViolationBlock& block = guest.violation();
    EXPECT_EQ(block.reason, static_cast<u32>(reason));
    EXPECT_EQ(block.space, space);
    EXPECT_EQ(block.address, va.value());
  }

  static constexpr u64 kFrames = 1024, kRead = 1, kWrite = 2;  // rights of a region
  static constexpr u64 kInitramfsBytes = 5000;
  std::vector<u8> initramfs = std::vector<u8>(kInitramfsBytes, 0x5a);
  VmaGuest guest{kFrames, initramfs};
  u64 value = 0;
};

TEST_F(VmaModeTest, StartsTheGuestOnItsOwnTablesAlone) {
  EXPECT_EQ(guest.machine().stale_translations(), 0u);  // of the guest that ran before
  EXPECT_FALSE(reaches(Gva(), Access::kRead));
  EXPECT_EQ(guest.vmcb().rip, kImage + 0x20);
  EXPECT_EQ(guest.vmcb().asid, hv::Vcpu::kAsid);
  EXPECT_EQ(guest.vmcb().efer & abi::kEntryEfer, abi::kEntryEfer);
  EXPECT_EQ(guest.vmcb().nested_control & hv::kNestedPaging, 0u);
  EXPECT_NE(guest.vmcb().intercept_exceptions & 1u << hv::kVectorPageFault, 0u);
}

TEST_F(VmaModeTest, TheImageIsThereWithItsRightsAndWithoutTheTranslationLayer) {
  EXPECT_TRUE(reaches(Gva(kImage), Access::kExec, Privilege::kKernel));
  EXPECT_FALSE(reaches(Gva(kImage), Access::kWrite, Privilege::kKernel));
  EXPECT_FALSE(reaches(Gva(kImage), Access::kRead));
  EXPECT_FALSE(reaches(Gva(kImage + kPageBytes), Access::kRead, Privilege::kKernel));
  EXPECT_EQ(guest.kernel<u8>(kImage + kPageBytes - 1), 0u);  // behind the file's bytes
}

TEST_F(VmaModeTest, TheBootBlockSaysWhatThereIs) {
  const abi::BootBlock& block = guest.boot_block();
  EXPECT_EQ(block.magic, abi::kBootMagic);
  EXPECT_EQ(block.kind, abi::BootKind::kRegions);
  EXPECT_EQ(block.under_hypervisor, 1u);
  EXPECT_EQ(block.memory_bytes, pages_to_bytes(kFrames));
  EXPECT_EQ(block.initramfs_bytes, kInitramfsBytes);
  EXPECT_EQ(guest.violation().reason, static_cast<u32>(ViolationReason::kNone));
  // The guest does not get at it by giving back what it lies in.
  EXPECT_EQ(call(Call::kmem_free, {guest.vcpu().gpr(7), 2}), Status::kInvalid);
  EXPECT_TRUE(reaches(Gva(block.violation_block), Access::kWrite, Privilege::kKernel));
}

TEST_F(VmaModeTest, TheInitramfsIsAnObjectWithZerosBehindIt) {
  const u64 object = guest.boot_block().initramfs_object;
  const u64 space = make_space();
  ASSERT_EQ(call(Call::region_map, {space, kUserPage.value(), 2, kRead | abi::kRegionShared, object, 0}),
            Status::kOk);
  for (u64 at = 0; at < 2 * kPageBytes; ++at) {
    const auto byte = guest.access(kUserPage + at, Access::kRead, Privilege::kUser);
    ASSERT_TRUE(byte);
    ASSERT_EQ(**byte, at < kInitramfsBytes ? 0x5a : 0) << at;
  }
}

TEST_F(VmaModeTest, AViolationSaysWhatWasTried) {
  const u64 space = make_space();
  constexpr Gva kReadable = kUserPage, kNothing = kUserPage + kPageBytes, kData = kUserPage + 2 * kPageBytes;
  map(space, kReadable, kRead);
  map(space, kData, kRead | kWrite);
  ASSERT_TRUE(reaches(kReadable, Access::kRead));
  using enum ViolationReason;
  constexpr u64 kPresent = 1, kStore = 2, kUser = 4, kFetch = 16;  // SDM vol. 3A, 4.7
  expect_violation(kReadable + 8, Access::kWrite, Privilege::kUser, kPresent | kStore | kUser, kPermission,
                   space);
  expect_violation(kReadable, Access::kWrite, Privilege::kKernel, kPresent | kStore, kPermission, space);
  expect_violation(kData, Access::kExec, Privilege::kUser, kPresent | kUser | kFetch, kPermission, space);
  expect_violation(kNothing, Access::kRead, Privilege::kUser, kUser, kNoRegion, space);
  expect_violation(kNothing, Access::kWrite, Privilege::kUser, kStore | kUser, kNoRegion, space);
  expect_violation(kNothing, Access::kExec, Privilege::kUser, kUser | kFetch, kNoRegion, space);
  expect_violation(kNothing, Access::kRead, Privilege::kKernel, 0, kNoRegion, space);
  // Another space's are its own.
  const u64 other = make_space();
  expect_violation(kReadable, Access::kRead, Privilege::kUser, kUser, kNoRegion, other);
}

TEST_F(VmaModeTest, AResolvedFaultTellsTheGuestNothing) {
  const u64 space = make_space();
  map(space, kUserPage, kRead | kWrite);
  expect_violation(kUserPage + kPageBytes, Access::kRead, Privilege::kUser, 4, ViolationReason::kNoRegion,
                   space);
  const u64 exits = guest.exits;
  EXPECT_TRUE(reaches(kUserPage, Access::kWrite));
  EXPECT_EQ(guest.exits, exits + 1);
  EXPECT_EQ(guest.violation().address, (kUserPage + kPageBytes).value());
}

TEST_F(VmaModeTest, PagingIsTheHypervisorsAlone) {
  EXPECT_EQ(guest.mode().read_cr3(guest.vcpu()), Result<u64>(0));
  const u64 cr3 = guest.vmcb().cr3;
  EXPECT_EQ(guest.mode().write_cr3(guest.vcpu(), 0x1000), Fail(Status::kUnsupported));
  EXPECT_EQ(guest.vmcb().cr3, cr3);
  guest.mode().on_nested_fault(guest.vcpu(), 0, 0);
  EXPECT_EQ(static_cast<u8>(std::exchange(guest.vmcb().event_injection, 0)), hv::kVectorGeneralProtection);
}

TEST(VmaModeHides, WhatIsHiddenIsRefused) {
  VmaGuest guest(1024, {}, abi::kFeatureUsage | abi::kFeatureInstalled);
  const auto call = [&](Call number, const abi::Registers& arguments) {
    return guest.call(static_cast<u64>(number), arguments).status;
  };
  const u64 space = guest.call(static_cast<u64>(Call::space_create), {}).value;
  const u64 page = kUserPage.value();
  for (const AccessPattern pattern : {AccessPattern::kRandom, AccessPattern::kSequential}) {
    const u64 usage = u64{Usage::bits_of(pattern)} << abi::kRegionUsageShift;
    EXPECT_EQ(call(Call::region_map, {space, page, 1, 3 | usage}), Status::kInvalid);
  }
  ASSERT_EQ(call(Call::region_map, {space, page, 1, 3}), Status::kOk);
  for (u64 advice = 0; advice <= u64{static_cast<u32>(kLastAdvice)}; ++advice) {
    const bool usage = usage_change(static_cast<Advice>(advice)).mask != 0;
    EXPECT_EQ(call(Call::region_advise, {space, page, 1, advice}), usage ? Status::kInvalid : Status::kOk);
  }
  EXPECT_EQ(call(Call::region_installed, {space, page, 1}), Status::kUnsupported);
}

TEST_F(VmaModeTest, TheHypervisorReadsWhatTheGuestRuns) {
  guest.kernel<u64>(kImage + 0x10) = 0x1122'3344'5566'7788;
  u8 bytes[8];
  ASSERT_TRUE(guest.mode().read_guest(guest.vcpu(), Gva(kImage + 0x10), bytes));
  EXPECT_EQ(bytes[0], 0x88);
  EXPECT_EQ(bytes[7], 0x11);
  EXPECT_FALSE(guest.mode().read_guest(guest.vcpu(), kUserPage, bytes));
}

}  // namespace
}  // namespace nopte::model
