// What the operations of a guest kernel cost in exits, and the edges of the shadow MMU one by one.
#include "shadow_machine.h"

namespace nopte::hv::testing {
namespace {

constexpr u64 kFlags = kP | kW | kU | kA | kD;
constexpr u64 kDirect = 0xffff'8000'0000'0000;

// A guest kernel in miniature: it stores to its tables through its direct map, and every exit is counted.
class ShadowMmuTest : public ::testing::Test {
 protected:
  static constexpr u64 kMemoryFrames = 8192;  // 32 MiB

  ShadowMmuTest() : machine(kMemoryFrames, 512) {
    Memory& memory = machine.guest();
    const u64 kernel = kP | kW | kA | kD;
    memory.write(1 * 4096, 2 * 4096 | kernel);
    for (u64 region = 0; region < kMemoryFrames / 512; ++region) {
      memory.write(2 * 4096 + region * 8, region << 21 | kernel | kPs);
    }
    root = new_root();
    machine.load_root(root * 4096);
  }

  u64 new_root() {
    const u64 frame = new_frame();
    machine.guest().write(frame * 4096 + 256 * 8, 4096 | kP | kW | kA | kD);
    return frame;
  }
  u64 new_frame() { return next_frame++; }

  // A store of the guest kernel; gives the exits it took.
  unsigned store(u64 address, u64 value) {
    const auto result = machine.access(kDirect + address, 2, value, 8);
    if (result.end == ShadowMachine::Access::End::kDone) machine.guest().write(result.gpa, value);
    EXPECT_NE(result.end, ShadowMachine::Access::End::kReflected);
    return result.exits;
  }
  // The zeroing of a frame, by an instruction that is not decoded.
  unsigned zero(u64 frame) {
    unsigned exits = 0;
    for (u64 at = 0; at < 4096; at += 8) {
      const auto result = machine.access(kDirect + frame * 4096 + at, 2, 0, 8, false);
      exits += result.exits;
      machine.guest().write(result.gpa, 0);
    }
    return exits;
  }
  unsigned invlpg(u64 va) {
    machine.mmu.invlpg(Gva(va));
    return 1;
  }
  unsigned load(u64 frame) {
    machine.load_root(frame * 4096);
    return 1;
  }
  u64 slot(u64 table, u64 va, unsigned level) const {
    return table * 4096 + ((va >> (12 + 9 * (level - 1))) & 511) * 8;
  }
  u64 read(u64 address) { return machine.guest().read(address); }

  // As the guest kernel's fault handler: makes the missing tables, filled before they are linked from above.
  unsigned map(u64 in_root, u64 va, u64 frame, u64 flags) {
    u64 table = in_root;
    unsigned level = 4;
    for (; level > 1 && (read(slot(table, va, level)) & kP); --level)
      table = read(slot(table, va, level)) >> 12;
    unsigned exits = 0;
    u64 below = frame * 4096 | flags;
    for (unsigned made = 1; made < level; ++made) {
      const u64 fresh = free_tables.empty() ? new_frame() : free_tables.back();
      if (!free_tables.empty()) free_tables.pop_back();
      exits += zero(fresh);
      exits += store(slot(fresh, va, made), below);
      below = fresh * 4096 | kFlags;
    }
    return exits + store(slot(table, va, level), below);
  }
  // First touch of an address: the fault that the guest handles, and what it takes until the access works.
  unsigned touch(u64 va, u64 kind = 6) {
    auto result = machine.access(va, kind);
    unsigned exits = result.exits;
    if (result.end == ShadowMachine::Access::End::kReflected) {
      exits += map(machine.cr3() >> 12, va, new_frame(), kFlags);
      result = machine.access(va, kind);
      exits += result.exits;
    }
    EXPECT_EQ(result.end, ShadowMachine::Access::End::kDone);
    return exits;
  }
  // munmap of everything below one root entry, freeing tables; as the engine: leaves, INVLPG, then unlink.
  unsigned unmap_with_tables(u64 va) {
    const u64 l3 = read(slot(root, va, 4)) >> 12, l2 = read(slot(l3, va, 3)) >> 12,
              l1 = read(slot(l2, va, 2)) >> 12;
    unsigned exits = store(slot(l1, va, 1), 0);
    exits += store(slot(root, va, 4), 0);
    exits += invlpg(va);
    for (const u64 table : {l1, l2, l3}) free_tables.push_back(table);
    return exits;
  }

  ShadowMachine machine;
  u64 next_frame = 16;
  std::vector<u64> free_tables;
  u64 root = 0;
};

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
  const u64 tables = ShadowTables::kMostUnsync + 20;
  for (u64 i = 0; i < tables; ++i) touch(va + (i << 21));
  // Every page loses its right to write; each table is stored to once.
  for (u64 i = 0; i < tables; ++i) {
    const u64 leaf = machine.guest_walk(va + (i << 21), 0).slots[1];
    EXPECT_LE(store(leaf, read(leaf) & ~kW), 1u);
  }
  EXPECT_EQ(machine.mmu.tables().unsync_pages(), ShadowTables::kMostUnsync);
  load(root);
  EXPECT_EQ(machine.mmu.tables().unsync_pages(), 0u);
  for (u64 i = 0; i < tables; ++i) EXPECT_EQ(machine.access(va + (i << 21), 6).error, 7u);
  machine.mmu.tables().check_invariants();
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
    ShadowMmu mmu;
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

TEST(ShadowRefList, KeepsSets) {
  std::vector<RefPool::Node> nodes(8);
  RefPool pool;
  pool.init(nodes);
  RefList list;
  for (u32 ref = 1; ref <= 8; ++ref) EXPECT_TRUE(pool.add(list, ref));
  EXPECT_FALSE(pool.add(list, 9));  // 7 nodes are 8 members
  for (const u32 ref : {1u, 8u, 4u, 2u}) pool.remove(list, ref);
  u64 seen = 0;
  while (!list.empty()) seen |= u64{1} << pool.pop(list);
  EXPECT_EQ(seen, u64{1} << 3 | 1 << 5 | 1 << 6 | 1 << 7);
  for (u32 ref = 1; ref <= 8; ++ref) EXPECT_TRUE(pool.add(list, ref));

  std::vector<RefPool::Node> many(1000);
  pool.init(many);
  RefList longest;
  u32 members = 0;
  while (members < 1000 && pool.add(longest, members + 1)) ++members;
  EXPECT_EQ(members, RefPool::kMostMembers);
  pool.remove(longest, 1);
  EXPECT_TRUE(pool.add(longest, 1000));
}

}  // namespace
}  // namespace nopte::hv::testing
