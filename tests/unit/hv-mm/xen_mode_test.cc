// Mode xen between an exit and the next entry: what the guest takes away is forgotten when it asks for that,
// and not before.
#include <gtest/gtest.h>

#include "tests/model/xen_host.h"

namespace nopte::model {
namespace {

class XenModeTest : public testing::Test {
 protected:
  void SetUp() override {
    host.start(machine);
    host.invlpg(Gva());  // the first root's flush is due still
    ASSERT_TRUE(reaches());
  }
  [[nodiscard]] bool reaches() {
    return machine.access(0, kPage, Access::kRead, Privilege::kKernel).has_value();
  }
  void take_away(u64 flags) {
    ASSERT_EQ(host.call(abi::xen::kUpdateVaMapping, {kPage.value(), 0, flags}).status, Status::kOk);
  }

  static constexpr u64 kFrames = 256;
  static constexpr Gva kPage{abi::kMachineDirectBase + pages_to_bytes(kFrames - 1)};  // the last frame
  Memory memory{0, kFrames};
  XenHost host{memory};
  LongModeWalker walker{memory, [this](Frame frame) { return host.guest_frame(frame); }};
  Machine machine{memory, walker, 1};
};

TEST_F(XenModeTest, ACallForgetsWhatItIsAskedTo) {
  take_away(abi::xen::kFlushTlb | abi::xen::kFlushLocal);
  EXPECT_EQ(machine.stale_translations(), 0u);
  EXPECT_FALSE(reaches());
}

TEST_F(XenModeTest, WithoutAFlushNothingIsForgotten) {
  take_away(abi::xen::kFlushNone);
  EXPECT_EQ(machine.stale_translations(), 1u);
  EXPECT_TRUE(reaches());
}

TEST_F(XenModeTest, InvlpgForgets) {
  take_away(abi::xen::kFlushNone);
  ASSERT_EQ(machine.stale_translations(), 1u);
  host.invlpg(kPage);
  EXPECT_EQ(machine.stale_translations(), 0u);
  EXPECT_FALSE(reaches());
}

}  // namespace
}  // namespace nopte::model
