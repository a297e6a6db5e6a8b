// What the operations of a guest kernel cost in exits.
#include "shadow_guest_kernel.h"

namespace nopte::hv::testing {
namespace {

TEST_F(ShadowMmuTest, FirstTouchTakesTwoExits) {
  unsigned exits = touch(0x10'0000'0000);
  exits = 0;
  for (u64 page = 1; page < 512; ++page) exits += touch(0x10'0000'0000 + page * 4096);
  // The first store made the leaf table unsynchronised.
  EXPECT_LE(exits, 511 * 2 + 1);
}

TEST_F(ShadowMmuTest, MapTouchUnmapWhereTablesStayTakesThree) {
  const u64 va = 0x10'0000'0000;
  touch(va + 4096), touch(va + 8192);
  for (int round = 0; round < 5; ++round) {
    unsigned exits = touch(va);
    const u64 leaf = machine.guest_walk(va, 0).slots[1];
    exits += store(leaf, 0) + invlpg(va);
    EXPECT_LE(exits, 3u);
    EXPECT_EQ(machine.access(va, 4).end, ShadowMachine::Access::End::kReflected);
  }
}

TEST_F(ShadowMmuTest, TablesThatComeAndGo) {
  const u64 va = 0x10'0000'0000;
  touch(va), unmap_with_tables(va);  // the direct map's first use
  for (int round = 0; round < 5; ++round) {
    const unsigned exits = touch(va) + unmap_with_tables(va);
    // Reflected, root entry written (and the path installed by it), leaf, root entry, INVLPG.
    EXPECT_LE(exits, 5u) << round;
  }
}

TEST_F(ShadowMmuTest, SwitchingBetweenKnownRootsTakesOneExit) {
  touch(0x10'0000'0000);
  const u64 other = new_root();
  load(other);
  touch(0x20'0000'0000);
  load(root), load(other);  // both are in sync now
  const u64 written = machine.mmu.counters().entries_written;
  for (int i = 0; i < 10; ++i) {
    unsigned exits = load(root);
    exits += machine.access(0x10'0000'0000, 6).exits;
    exits += load(other);
    exits += machine.access(0x20'0000'0000, 6).exits;
    EXPECT_EQ(exits, 2u);
  }
  EXPECT_EQ(machine.mmu.counters().entries_written, written);
}

TEST_F(ShadowMmuTest, ANewRootSharesTheKernelHalf) {
  (void)machine.access(kDirect + 0x5000, 2);
  load(new_root());
  EXPECT_EQ(machine.access(kDirect + 0x5000, 2).exits, 0u);
}

TEST_F(ShadowMmuTest, NeighboursThatTheGuestHasUsedComeWithOneFault) {
  // A whole table filled before it is linked (fork, populate): one fault for all that is full and used.
  const u64 va = 0x10'0000'0000;
  touch(va);
  const u64 l2 = read(slot(read(slot(root, va, 4)) >> 12, va, 3)) >> 12;
  const u64 table = new_frame();
  for (u64 i = 0; i < 512; ++i) machine.guest().write(table * 4096 + i * 8, (1000 + i) * 4096 | kFlags);
  const u64 base = va + (2 << 20);
  store(slot(l2, base, 2), table * 4096 | kFlags);
  unsigned exits = 0;
  for (u64 i = 0; i < 512; ++i) exits += machine.access(base + i * 4096, 6).exits;
  EXPECT_EQ(exits, 1u);
  // Without A nothing is installed ahead.
  const u64 unused = new_frame();
  for (u64 i = 0; i < 32; ++i) machine.guest().write(unused * 4096 + i * 8, (2000 + i) * 4096 | kP | kW | kU);
  store(slot(l2, base + (2 << 20), 2), unused * 4096 | kFlags);
  exits = 0;
  for (u64 i = 0; i < 32; ++i) exits += machine.access(base + (2 << 20) + i * 4096, 4).exits;
  EXPECT_EQ(exits, 32u);
}

TEST_F(ShadowMmuTest, RightsGivenBackToManyPagesComeTogether) {
  const u64 va = 0x10'0000'0000;
  for (u64 i = 0; i < 256; ++i) touch(va + i * 4096);
  const u64 leaf = machine.guest_walk(va, 0).slots[1];
  const auto flip = [&](bool writable) {
    unsigned exits = 0;
    for (u64 i = 0; i < 256; ++i) {
      const u64 entry = read(leaf + i * 8);
      exits += store(leaf + i * 8, writable ? entry | kW : entry & ~kW);
    }
    return exits;
  };
  unsigned exits = flip(false) + load(root);
  EXPECT_EQ(machine.access(va, 6).end, ShadowMachine::Access::End::kReflected);
  exits += flip(true);
  for (u64 i = 0; i < 256; ++i) exits += machine.access(va + i * 4096, 6).exits;
  EXPECT_LE(exits, 4u);  // unsync, CR3, unsync, one fault
}

TEST_F(ShadowMmuTest, TheTablesOfADeadProcessCostOneExit) {
  const u64 child = new_root();
  load(child);
  const u64 addresses[] = {0x40'0000, 0x60'0000, 0x10'0000'0000, 0x7fff'ffff'0000};
  for (const u64 va : addresses) touch(va);
  load(root);
  (void)machine.access(kDirect, 2);
  const u64 zapped = machine.mmu.counters().pages_zapped;
  unsigned exits = 0;
  for (const u64 va : addresses) {
    const Translation t = walk_tables(machine.guest(), 0, child * 4096, va, 0, false);
    for (unsigned level = 4; level >= 2; --level) exits += store(t.slots[level], 0);
  }
  EXPECT_EQ(exits, 1u);
  EXPECT_GE(machine.mmu.counters().pages_zapped, zapped + 10);
}

TEST_F(ShadowMmuTest, AFrameOfADeadProcessIsReusedWithOneExit) {
  const u64 child = new_root();
  load(child);
  touch(0x40'0000), touch(0x10'0000'0000);
  const Translation t = machine.guest_walk(0x40'0000, 0);
  load(root);
  (void)machine.access(kDirect, 2);
  EXPECT_EQ(zero(t.slots[2] >> 12) + zero(t.slots[3] >> 12) + zero(t.slots[1] >> 12) + zero(child), 1u);
}

TEST_F(ShadowMmuTest, ManyUnlinksFromATableInUseEndItsShadow) {
  const u64 va = 0x10'0000'0000;
  for (u64 i = 0; i < 32; ++i) touch(va + (i << 21));
  const u64 l2 = machine.guest_walk(va, 0).slots[2] >> 12;
  unsigned exits = 0;
  for (u64 i = 0; i < 31; ++i) exits += store(slot(l2, va + (i << 21), 2), 0);
  EXPECT_LE(exits, 6u);
  EXPECT_EQ(machine.access(va, 4).end, ShadowMachine::Access::End::kReflected);
  EXPECT_EQ(machine.access(va + (u64{31} << 21), 4).end, ShadowMachine::Access::End::kDone);
}

}  // namespace
}  // namespace nopte::hv::testing
