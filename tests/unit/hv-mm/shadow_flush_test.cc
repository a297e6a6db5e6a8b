// A shadow that is told nothing: what makes the processor forget, and what does not. Its TLB holds what is
// shown, so it is flushed where that loses something, and left alone where it gains or stays.
#include "shadow_guest_kernel.h"

namespace nopte::hv::testing {
namespace {

class ShadowFlush : public ShadowMmuTest {
 protected:
  static constexpr u64 kVa = 0x10'0000'0000, kPage = 300 * 4096;

  // A page, used, whose leaf table is out of sync: the guest stores there unseen.
  ShadowFlush() {
    touch(kVa);
    leaf = machine.guest_walk(kVa, 0).slots[1];
    store(leaf, kPage | kFlags);
    EXPECT_EQ(machine.mmu.tables().unsync_pages(), 1u);
    invlpg(kVa);
    EXPECT_EQ(machine.access(kVa, 6).gpa, kPage);
    static_cast<void>(machine.mmu.take_flush());
  }
  // Whether INVLPG flushes after this store.
  bool invlpg_flushes(u64 entry) {
    machine.guest().write(leaf, entry);
    static_cast<void>(machine.mmu.take_flush());
    invlpg(kVa);
    return machine.mmu.take_flush();
  }

  u64 leaf = 0;
};

TEST_F(ShadowFlush, InvlpgWhereSomethingIsTakenAway) {
  EXPECT_FALSE(invlpg_flushes(kPage | kFlags));  // nothing has changed
  EXPECT_TRUE(invlpg_flushes(kPage | (kFlags & ~kW)));
  EXPECT_FALSE(invlpg_flushes(kPage | kFlags));
  EXPECT_TRUE(invlpg_flushes(kPage | (kFlags & ~kU)));
  EXPECT_FALSE(invlpg_flushes(kPage | kFlags));
  EXPECT_TRUE(invlpg_flushes(kPage | (kFlags & ~kD)));  // no right to write before D
  EXPECT_FALSE(invlpg_flushes(kPage | kFlags));
  EXPECT_TRUE(invlpg_flushes(kPage | kFlags | kNx));
  EXPECT_TRUE(invlpg_flushes(2 * kPage | kFlags | kNx));
  EXPECT_TRUE(invlpg_flushes(0));
  EXPECT_FALSE(invlpg_flushes(0));
  EXPECT_FALSE(invlpg_flushes(kPage | kFlags));
}

TEST_F(ShadowFlush, InvlpgOfAnotherPageLeavesThisOneAsItIs) {
  machine.guest().write(leaf, 0);
  invlpg(kVa + 4096);
  EXPECT_FALSE(machine.mmu.take_flush());
  EXPECT_TRUE(machine.shadow_walk(kVa, 4).ok);
  invlpg(~kVa);  // not canonical
  EXPECT_FALSE(machine.mmu.take_flush());
}

// A guest need not flush what it takes from a leaf while the way refuses it, nor where the way is given more.
TEST_F(ShadowFlush, MoreRightsOfTheWayShowNoMoreThanTheLeafSays) {
  for (const unsigned level : {2u, 3u, 4u}) {
    SCOPED_TRACE(level);
    const u64 link = machine.guest_walk(kVa, 0).slots[level];
    const u64 full = machine.guest().read(link);
    store(link, full & ~kW);
    machine.mmu.flush();
    EXPECT_EQ(machine.access(kVa, 6).end, ShadowMachine::Access::End::kReflected);
    EXPECT_EQ(machine.access(kVa, 4).gpa, kPage);
    store(leaf, kPage | kFlags);
    EXPECT_EQ(machine.mmu.tables().unsync_pages(), 1u);
    invlpg(kVa);
    machine.guest().write(leaf, kPage | (kFlags & ~kW));
    store(link, full);
    EXPECT_EQ(machine.access(kVa, 6).end, ShadowMachine::Access::End::kReflected);
    store(leaf, kPage | kFlags);
    machine.mmu.flush();
    EXPECT_EQ(machine.access(kVa, 6).gpa, kPage);
  }
}

TEST_F(ShadowFlush, ARootAndAFlushForgetWhatTheyTakeAway) {
  load(root);  // and the leaf table is in sync again
  static_cast<void>(machine.mmu.take_flush());
  load(root);
  EXPECT_FALSE(machine.mmu.take_flush());
  machine.mmu.flush();
  EXPECT_FALSE(machine.mmu.take_flush());
  store(leaf, kPage | kFlags);  // out of sync
  machine.guest().write(leaf, 0);
  static_cast<void>(machine.mmu.take_flush());
  load(root);
  EXPECT_TRUE(machine.mmu.take_flush());
}

}  // namespace
}  // namespace nopte::hv::testing
