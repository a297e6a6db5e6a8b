// The edges of the shadow MMU one by one.
#include "shadow_guest_kernel.h"

namespace nopte::hv::testing {
namespace {

TEST_F(ShadowMmuTest, ARootInUseMayBeOverwritten) {
  touch(0x10'0000'0000);
  // Not decodable, entry by entry: the loaded root is let go, and followed again from the next CR3 load.
  const u64 kernel_slot = read(root * 4096 + 256 * 8);
  for (unsigned i = 0; i < 256; ++i) {
    const auto result = machine.access(kDirect + root * 4096 + i * 8, 2, 0, 8, false);
    EXPECT_EQ(result.end, ShadowMachine::Access::End::kDone);
    machine.guest().write(result.gpa, 0);
  }
  EXPECT_EQ(read(root * 4096 + 256 * 8), kernel_slot);
  load(root);
  EXPECT_EQ(machine.access(0x10'0000'0000, 4).end, ShadowMachine::Access::End::kReflected);
  machine.mmu.tables().check_invariants();
}

TEST_F(ShadowMmuTest, AStoreThroughTheTableThatItStoresTo) {
  // A leaf table maps the level-2 table above it; the store is none that is executed for the guest.
  const u64 va = 0x10'0000'0000;
  touch(va);
  const Translation t = machine.guest_walk(va, 0);
  const u64 l2 = t.slots[2] >> 12;
  store(t.slots[1] + 8, l2 * 4096 | kFlags);
  const auto result = machine.access(va + 4096 + 8, 6, 0, 8, false);
  EXPECT_EQ(result.end, ShadowMachine::Access::End::kDone);
  EXPECT_EQ(result.gpa, l2 * 4096 + 8);
  // Until the guest flushes, what it stores there may be unseen; afterwards it is seen.
  machine.guest().write(t.slots[2], 0);
  invlpg(va);
  EXPECT_EQ(machine.access(va, 4).end, ShadowMachine::Access::End::kReflected);
  machine.mmu.tables().check_invariants();
}

TEST_F(ShadowMmuTest, LargeLeavesStayLargeWhereNoTableLies) {
  // Region 8 holds no table, region 0 does.
  (void)machine.access(kDirect + (u64{8} << 21), 2);
  (void)machine.access(kDirect, 2);
  EXPECT_EQ(machine.shadow_walk(kDirect + (u64{8} << 21), 2).leaf, 2u);
  EXPECT_EQ(machine.shadow_walk(kDirect, 2).leaf, 1u);
  // A table comes into region 8: split at once and whole.
  next_frame = 8 * 512 + 5;
  touch(0x30'0000'0000);
  unsigned exits = 0;
  for (u64 i = 64; i < 512; ++i) exits += machine.access(kDirect + (u64{8} << 21) + i * 4096, 2).exits;
  EXPECT_EQ(exits, 0u);
  machine.mmu.tables().check_invariants();
}

TEST_F(ShadowMmuTest, GiantLeaves) {
  const u64 va = 0x7000'0000'0000;
  const u64 l3 = new_frame();
  machine.guest().write(slot(l3, va, 3), kFlags | kPs);
  store(slot(root, va, 4), l3 * 4096 | kFlags);
  auto result = machine.access(va + 0x123'4000, 6);
  EXPECT_EQ(result.end, ShadowMachine::Access::End::kDone);
  EXPECT_EQ(result.gpa, 0x123'4000u);
  // The rest of the 1 GiB is not the guest's.
  EXPECT_EQ(machine.access(va + kMemoryFrames * 4096, 6).end, ShadowMachine::Access::End::kOutside);
  // Its rights are the leaf's.
  store(slot(l3, va, 3), kP | kA | kPs);
  result = machine.access(va, 2);
  EXPECT_EQ(result.error, 3u);
  EXPECT_EQ(machine.access(va, 4).error, 5u);
  EXPECT_EQ(machine.access(va, 0).end, ShadowMachine::Access::End::kDone);
}

TEST_F(ShadowMmuTest, ATableLinkedASecondTimeIsLookedAt) {
  const u64 va = 0x10'0000'0000, again = va + (u64{8} << 21);
  touch(va), touch(va + 300 * 4096);
  const Translation t = machine.guest_walk(va, 0);
  // Out of sync, with a page that is gone from the guest's table but not from the shadow.
  store(t.slots[1] + 300 * 8, 0);
  EXPECT_EQ(machine.access(va + 300 * 4096, 4).end, ShadowMachine::Access::End::kDone);
  store(slot(t.slots[2] >> 12, again, 2), read(t.slots[2]));
  EXPECT_EQ(machine.access(again, 4).end, ShadowMachine::Access::End::kDone);
  EXPECT_EQ(machine.access(again + 300 * 4096, 4).end, ShadowMachine::Access::End::kReflected);
}

TEST_F(ShadowMmuTest, ALeafTableThatBecomesAHigherOneIsFollowedAgain) {
  const u64 va = 0x10'0000'0000, through = u64{3} << 39;
  touch(va);
  const u64 l1 = machine.guest_walk(va, 0).slots[1] >> 12;
  store(slot(l1, va, 1) + 8, 77 * 4096 | kFlags);  // out of sync
  // The same frame as a level-2 table: its entry 0 is then a link to a leaf table.
  const u64 leaf = new_frame(), l3 = new_frame();
  machine.guest().write(leaf * 4096, 3000 * 4096 | kFlags);
  machine.guest().write(l3 * 4096, l1 * 4096 | kFlags);
  store(l1 * 4096, leaf * 4096 | kFlags);
  store(slot(root, through, 4), l3 * 4096 | kFlags);
  EXPECT_EQ(machine.access(through, 4).gpa, 3000u * 4096);
  // A store there is seen at once by both.
  store(l1 * 4096, 0);
  EXPECT_EQ(machine.access(through, 4).end, ShadowMachine::Access::End::kReflected);
  EXPECT_EQ(machine.access(va, 4).end, ShadowMachine::Access::End::kReflected);
  machine.mmu.tables().check_invariants();
}

TEST_F(ShadowMmuTest, MoreTablesOutOfSyncThanAFlushMayFind) {
  const u64 va = 0x10'0000'0000;
  const u64 tables = TrappedTables::kMostUnsync + 20;
  for (u64 i = 0; i < tables; ++i) touch(va + (i << 21));
  // Every page loses its right to write; each table is stored to once.
  for (u64 i = 0; i < tables; ++i) {
    const u64 leaf = machine.guest_walk(va + (i << 21), 0).slots[1];
    EXPECT_LE(store(leaf, read(leaf) & ~kW), 1u);
  }
  EXPECT_EQ(machine.mmu.tables().unsync_pages(), TrappedTables::kMostUnsync);
  load(root);
  EXPECT_EQ(machine.mmu.tables().unsync_pages(), 0u);
  for (u64 i = 0; i < tables; ++i) EXPECT_EQ(machine.access(va + (i << 21), 6).error, 7u);
  machine.mmu.tables().check_invariants();
}

TEST_F(ShadowMmuTest, ANewLeafTableIsWrittenToWithoutExits) {
  const u64 va = 0x10'0000'0000;
  for (u64 i = 0; i < TrappedTables::kMostUnsync + 1; ++i) {
    touch(va + (i << 21));
    const u64 leaf = machine.guest_walk(va + (i << 21), 0).slots[1];
    EXPECT_EQ(store(leaf + 8, 3000 * 4096 | kFlags), i < TrappedTables::kMostUnsync ? 0u : 1u) << i;
  }
  machine.mmu.tables().check_invariants();
  load(root);
  EXPECT_EQ(store(machine.guest_walk(va, 0).slots[1] + 16, 3001 * 4096 | kFlags), 1u);
}

TEST_F(ShadowMmuTest, AFrameMappedMoreOftenThanAListHolds) {
  // 600 writable mappings of one frame, which then becomes a table: none may stay writable.
  const u64 va = 0x10'0000'0000, shared = 4000;
  for (u64 i = 0; i < 600; ++i) {
    if (machine.access(va + i * 4096, 6).end == ShadowMachine::Access::End::kReflected) {
      map(root, va + i * 4096, shared, kFlags);
    }
    EXPECT_EQ(machine.access(va + i * 4096, 6).gpa, shared * 4096);
  }
  machine.mmu.tables().check_invariants();
  machine.guest().write(shared * 4096 + 256 * 8, read(root * 4096 + 256 * 8));
  machine.guest().write(shared * 4096, read(root * 4096));
  load(shared);
  machine.mmu.tables().check_invariants();
  for (u64 i = 0; i < 600; ++i) EXPECT_FALSE(machine.shadow_walk(va + i * 4096, 6).ok);
}

TEST_F(ShadowMmuTest, DirtyIsSetByTheFirstWriteOnly) {
  const u64 va = 0x10'0000'0000;
  touch(va);
  const u64 leaf = machine.guest_walk(va, 0).slots[1];
  store(leaf, 100 * 4096 | kP | kW | kU);
  invlpg(va);
  EXPECT_EQ(machine.access(va, 4).exits, 1u);
  EXPECT_EQ(read(leaf) & (kA | kD), kA);
  EXPECT_EQ(machine.access(va, 4).exits, 0u);
  EXPECT_EQ(machine.access(va, 6).exits, 1u);
  EXPECT_EQ(read(leaf) & (kA | kD), kA | kD);
  EXPECT_EQ(machine.access(va, 6).exits, 0u);
}

TEST_F(ShadowMmuTest, EveryKindOfEntryAtEveryLevelFaultsAsOnTheProcessor) {
  machine.smep = true;
  machine.mmu.set_smep(true);
  const u64 va = 0x5555'5555'5000;
  const u64 l3 = new_frame(), l2 = new_frame(), l1 = new_frame();
  const u64 tables[] = {0, l1, l2, l3, root};
  const u64 good[] = {0, 3000 * 4096 | kFlags, l1 * 4096 | kFlags, l2 * 4096 | kFlags, l3 * 4096 | kFlags};
  for (unsigned level = 1; level <= 4; ++level) store(slot(tables[level], va, level), good[level]);
  unsigned refused = 0;
  for (unsigned level = 1; level <= 4; ++level) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      for (const u64 kind : {0, 2, 4, 6, 16, 20}) {
        store(slot(tables[level], va, level), good[level] ^ u64{1} << bit);
        invlpg(va);
        const Translation expected = machine.guest_walk(va, kind);
        // A leaf may come to show one of the tables: no store is executed for the guest here.
        const auto got = machine.access(va, kind, 0, 0, false);
        using End = ShadowMachine::Access::End;
        const bool outside = expected.outside || (expected.ok && expected.physical >= kMemoryFrames * 4096);
        const End end = outside ? End::kOutside : expected.ok ? End::kDone : End::kReflected;
        EXPECT_EQ(got.end, end) << "level " << level << " bit " << bit << " access " << kind;
        if (end == End::kReflected) {
          EXPECT_EQ(got.error, expected.error) << "level " << level << " bit " << bit << " access " << kind;
          ++refused;
        }
        if (end == End::kDone) {
          EXPECT_EQ(got.gpa, expected.physical);
        }
      }
    }
    store(slot(tables[level], va, level), good[level]);
    invlpg(va);
  }
  EXPECT_GT(refused, 200u);
}

TEST_F(ShadowMmuTest, AStoreTellsOnlyWhatItIsAllowedTo) {
  EXPECT_FALSE(machine.mmu.store(Gpa(kMemoryFrames * 4096), 0, 8));
  EXPECT_FALSE(machine.mmu.store(Gpa(4), 0, 8));
  EXPECT_FALSE(machine.mmu.store(Gpa(0), 0, 3));
  EXPECT_FALSE(machine.mmu.set_root(kMemoryFrames * 4096));
  EXPECT_EQ(machine.mmu.guest_root(), root * 4096);
  machine.mmu.release(Gpa(kMemoryFrames * 4096));
}

TEST(ShadowMmuInit, RefusesWhatCannotWork) {
  Memory guest(4 << 20), pool(64 * 4096);
  std::vector<u64> metadata(100'000);
  const GuestMemory memory{guest.data(), pt::PhysAddr(kHostBase), 1024};
  const ShadowPool good{pool.data(),
                        pt::PhysAddr(0x1'0000'0000),
                        64,
                        {reinterpret_cast<u8*>(metadata.data()), metadata.size() * 8}};
  const auto init = [](const GuestMemory& m, const ShadowPool& p) {
    TrappedMmu mmu;
    return mmu.init(m, p, {});
  };
  EXPECT_TRUE(init(memory, good));
  GuestMemory crooked = memory;
  crooked.host = pt::PhysAddr(kHostBase + 4096);
  EXPECT_EQ(init(crooked, good).error(), Status::kInvalid);
  ShadowPool small = good;
  small.tables = ShadowTables::kMinTables - 1;
  EXPECT_EQ(init(memory, small).error(), Status::kNoMemory);
  small = good;
  small.metadata = small.metadata.first(64);
  EXPECT_EQ(init(memory, small).error(), Status::kNoMemory);
}

}  // namespace
}  // namespace nopte::hv::testing
