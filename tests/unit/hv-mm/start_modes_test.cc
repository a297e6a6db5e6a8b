// Every mode from its start to the first entry: on the root that it made, and with nothing cached of a guest
// that ran before.
#include <gtest/gtest.h>

#include <cstring>

#include "hv-mm/shadow/shadow_mode.h"
#include "hv-mm/xen/xen_mode.h"
#include "tests/model/vma_kind.h"

namespace nopte::model {
namespace {

using hv::testing::GuestElf;

class StartModes : public testing::Test {
 protected:
  using Start = hv::StartResult (*)(const hv::Launch&);

  // Started, before its first entry.
  hv::ModeHandler& started(Start start) {
    const auto mode = start(launched.launch);
    NOPTE_ASSERT(mode);
    EXPECT_EQ(vmcb().tlb_control, hv::kTlbFlushAll);
    EXPECT_EQ(vmcb().asid, hv::Vcpu::kAsid);
    EXPECT_EQ(vmcb().rip, GuestElf::kBase + 0x20);
    EXPECT_NE(launched.vcpu.gpr(7), 0u);  // the boot block
    return **mode;
  }
  hv::Vmcb& vmcb() { return launched.vmcb; }

  static constexpr u64 kGuestAt = u64{1} << 30, kGuestBytes = 4 << 20, kOwnBytes = 8 << 20;
  static constexpr u64 kImageAt = 0x10'0000;
  Memory memory{kGuestAt >> kPageShift, (kGuestBytes + kOwnBytes) >> kPageShift};
  Launched launched{reinterpret_cast<u8*>(memory.direct_base()),
                    {kGuestAt, kGuestBytes},
                    {kGuestAt + kGuestBytes, kOwnBytes},
                    kImageAt};
};

TEST_F(StartModes, Nested) {
  started(hv::start_nested);
  EXPECT_EQ(vmcb().cr3, kImageAt + kPageBytes);  // the image's note says so
  LongModeWalker walker(memory, [](Frame frame) { return frame; });
  Ways ways;
  const auto first = walker.look({PhysAddr(vmcb().nested_cr3), {}}, Gva(kImageAt), ways);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->frame, Frame((kGuestAt + kImageAt) >> kPageShift));
}

TEST_F(StartModes, VmaOnTheKernelSpace) {
  started([](const hv::Launch& launch) { return start_vma_on(launch, nullptr); });
  LongModeWalker walker(memory, [](Frame frame) { return frame; });
  Ways ways;
  const auto entry = walker.look({PhysAddr(vmcb().cr3), {}}, Gva(vmcb().rip), ways);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->perm, kPermRX);
  EXPECT_FALSE(entry->user);
}

TEST_F(StartModes, XenOnTheDomainBuildersRoot) {
  const auto start = [](const hv::Launch& launch) {
    return hv::start_xen_with(
        launch, [](u8* page) { std::memset(page, 0, kPageBytes); },
        [](u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); });
  };
  auto& mode = static_cast<hv::XenMode&>(started(start));
  EXPECT_NE(mode.types().base(), 0u);
  EXPECT_EQ(vmcb().cr3, pages_to_bytes(mode.types().base()));
}

class StartShadowed : public StartModes,
                      public testing::WithParamInterface<hv::StartResult (*)(const hv::Launch&)> {};
INSTANTIATE_TEST_SUITE_P(Modes, StartShadowed,
                         testing::Values(hv::start_shadow, hv::start_kvmpv, hv::start_vmi, hv::start_lguest));

TEST_P(StartShadowed, OnTheShadowOfTheBootRoot) {
  auto& mode = static_cast<hv::ShadowMode&>(started(GetParam()));
  EXPECT_EQ(mode.mmu().guest_root(), kImageAt + kPageBytes);
  EXPECT_EQ(vmcb().cr3, mode.mmu().host_root().value());
  EXPECT_NE(vmcb().cr3, 0u);
}

}  // namespace
}  // namespace nopte::model
