// A told shadow: what an entry loses is flushed at the end of the exit that told of it; a gain flushes
// nothing.
#include "told_test.h"

namespace nopte::hv::testing {
namespace {

class ToldFlush : public ToldTest {
 protected:
  static constexpr u64 kVa = 0x3000, kLeaf = 4 * 4096 + 3 * 8;  // the leaf's address

  ToldFlush() : ToldTest(1024) {
    machine.access(kVa, 2);
    static_cast<void>(machine.mmu.take_flush());
  }
  // Whether telling of this entry flushes.
  bool flushes(u64 entry) {
    machine.guest().write(kLeaf, entry);
    machine.mmu.entry_told(Gpa(kLeaf));
    return machine.mmu.take_flush();
  }
};

TEST_F(ToldFlush, WhatAnEntryLoses) {
  EXPECT_FALSE(flushes(100 * 4096 | kFlags));
  EXPECT_TRUE(flushes(100 * 4096 | (kFlags & ~kW)));
  EXPECT_FALSE(flushes(100 * 4096 | kFlags));  // a gain
  EXPECT_TRUE(flushes(101 * 4096 | kFlags));
  EXPECT_TRUE(flushes(101 * 4096 | (kFlags & ~kU)));
  EXPECT_FALSE(flushes(101 * 4096 | kFlags));
  EXPECT_TRUE(flushes(101 * 4096 | kFlags | kNx));
  EXPECT_TRUE(flushes(0));
  EXPECT_FALSE(flushes(0));
}

// Roots that have run before: `kOther` shows nothing, `kSharing` what the first one does.
class ToldAsids : public ToldFlush {
 protected:
  static constexpr u64 kOther = 6 * 4096, kSharing = 5 * 4096;

  ToldAsids() {
    link(kSharing, 0, 2 * 4096);
    switch_to(kOther);
    switch_to(kRoot);
    // The way to the leaf is looked for once.
    EXPECT_TRUE(flushes(0));
    restore();
  }
  bool switch_to(u64 root) {
    machine.load_root(root);
    return machine.mmu.take_flush();
  }
  void tell(u64 entry) {
    machine.guest().write(kLeaf, entry);
    machine.mmu.entry_told(Gpa(kLeaf));
  }
  void restore() {
    tell(100 * 4096 | kFlags);
    EXPECT_EQ(machine.access(kVa, 2).end, ToldMachine::Access::End::kDone);
    EXPECT_FALSE(machine.mmu.take_flush());
  }
};

TEST_F(ToldAsids, ASwitchTakesNothing) {
  EXPECT_FALSE(switch_to(kOther));
  EXPECT_FALSE(switch_to(kRoot));
}

TEST_F(ToldAsids, OnePageOfTheRootInUse) {
  tell(0);
  const ShadowLosses& losses = machine.mmu.losses();
  EXPECT_FALSE(losses.everywhere() || losses.root());
  ASSERT_EQ(losses.pages().size(), 1u);
  EXPECT_EQ(losses.pages()[0], Gva(kVa));
}

TEST_F(ToldAsids, WhatIsLostBeforeASwitchIsTheOldRoots) {
  tell(0);
  EXPECT_FALSE(switch_to(kOther));
  EXPECT_TRUE(switch_to(kRoot));
  EXPECT_FALSE(switch_to(kRoot));
}

TEST_F(ToldAsids, WhatIsLostBehindASwitchTooAndNotTheNewRoots) {
  EXPECT_FALSE(switch_to(kOther));
  EXPECT_FALSE(flushes(0));
  EXPECT_TRUE(switch_to(kRoot));
}

TEST_F(ToldAsids, WhatSeveralRootsShowIsLostToAll) {
  switch_to(kSharing);
  EXPECT_EQ(machine.access(kVa, 2).end, ToldMachine::Access::End::kDone);
  switch_to(kRoot);
  tell(0);
  EXPECT_TRUE(machine.mmu.losses().everywhere());
}

}  // namespace
}  // namespace nopte::hv::testing
