// A pool that is nearly full when an operation needs many tables at once: what it is promised it gets, what
// it cannot have is unmapped, and faulted in again.
#include "shadow_machine.h"

namespace nopte::hv::testing {
namespace {

constexpr u64 kKernel = kP | kW | kA | kD;
constexpr u64 kFlags = kKernel | kU;
constexpr u64 kDirect = 0xffff'8000'0000'0000;
constexpr u64 kRegion = 2 << 20;

// A guest with `leaf_tables` leaf tables, each the only table in a 2 MiB region of its own. They are out of
// sync, and their regions are mapped by writable 2 MiB leaves: to protect them again takes a split page each.
//
//   root [256] -> direct map, 2 MiB leaves
//        [0, 1] -> level 3 [0] -> level 2     -> the leaf tables
//                          [1] -> level 2     -> a leaf table with a page
//                          [2] -> level 2     -> windows onto the leaf tables
//                          [3] -> 1 GiB leaf
//                          [4] -> level 2     -> fillers: leaf tables that only take room
class CrowdedGuest {
 public:
  static constexpr u32 kTables = 160;
  enum Frame : u64 { kDirectL3 = 1, kDirectL2, kRoot, kL3, kLeaves, kPaged, kPagedL1, kWindows, kWindowsL1 };
  static constexpr u64 kFillerL2 = 12, kOtherRoot = 13, kData = 300, kFirstFiller = 320;

  explicit CrowdedGuest(unsigned leaf_tables)
      : machine((leaf_tables + 1) * 512, kTables, kTables * 64), count(leaf_tables) {
    for (u64 region = 0; region <= count; ++region) set(kDirectL2, region, region << 21 | kKernel | kPs);
    set(kDirectL3, 0, kDirectL2 * 4096 | kKernel);
    for (const u64 root : {u64{kRoot}, kOtherRoot}) set(root, 256, kDirectL3 * 4096 | kKernel);
    for (const u64 slot : {0, 1}) set(kRoot, slot, kL3 * 4096 | kFlags);
    set(kOtherRoot, 0, kL3 * 4096 | kFlags);
    const u64 below[] = {kLeaves, kPaged, kWindows};
    for (u64 slot = 0; slot < 3; ++slot) set(kL3, slot, below[slot] * 4096 | kFlags);
    set(kL3, 3, kFlags | kPs);
    set(kL3, 4, kFillerL2 * 4096 | kFlags);
    set(kPaged, 0, kPagedL1 * 4096 | kFlags);
    set(kPagedL1, 0, kData * 4096 | kFlags);
    set(kWindows, 0, kWindowsL1 * 4096 | kFlags);
    for (unsigned i = 0; i < count; ++i) {
      set(kLeaves, i, leaf_table(i) * 4096 | kFlags);
      set(leaf_table(i), 0, kData * 4096 | kFlags);
      set(kWindowsL1, i, leaf_table(i) * 4096 | kFlags);
    }
    for (u64 i = 0; i < kTables; ++i) {
      set(kFillerL2, i, (kFirstFiller + i) * 4096 | kFlags);
      set(kFirstFiller + i, 0, kData * 4096 | kFlags);
    }
    machine.load_root(kRoot * 4096);
    for (unsigned i = 0; i < count; ++i) used(u64{i} << 21);                            // as tables
    for (unsigned i = 0; i < count; ++i) used((u64{2} << 30) + i * 4096 + 8);           // stored to
    for (unsigned i = 0; i < count; ++i) used(kDirect + (u64{i + 1} << 21) + 4096, 2);  // by a 2 MiB leaf
    EXPECT_EQ(tables().unsync_pages(), count);
    for (u64 i = 0; tables().free_tables() > ShadowTables::kReserve; ++i) used((u64{4} << 30) + (i << 21));
    tables().check_invariants();
  }

  static u64 leaf_table(unsigned i) { return (i + 1) * 512 + 100; }
  void used(u64 va, u64 kind = 6) {
    EXPECT_EQ(machine.access(va, kind).end, ShadowMachine::Access::End::kDone) << std::hex << va;
  }
  ShadowTables& tables() { return machine.mmu.tables(); }
  // What could not be had is only missing, not lost, and no table is open to stores (check_invariants).
  void check() {
    tables().check_invariants();
    for (unsigned i = 0; i < count; ++i) {
      const u64 va = kDirect + (u64{i + 1} << 21) + 4096;
      EXPECT_EQ(machine.access(va, 2).gpa, va - kDirect);
    }
    tables().check_invariants();
  }

  ShadowMachine machine;
  unsigned count;

 private:
  void set(u64 table, u64 slot, u64 entry) { machine.guest().write(table * 4096 + slot * 8, entry); }
};

class ShadowCrowdedPool : public ::testing::TestWithParam<unsigned> {};

TEST_P(ShadowCrowdedPool, AnAccessThatProtectsManyTables) {
  CrowdedGuest guest(GetParam());
  const auto result = guest.machine.access((u64{1} << 39) + (u64{1} << 30), 6);
  EXPECT_EQ(result.gpa, CrowdedGuest::kData * 4096);
  EXPECT_EQ(guest.tables().unsync_pages(), 0u);
  guest.check();
}

TEST_P(ShadowCrowdedPool, AnAccessByAGiantLeafThatDoes) {
  CrowdedGuest guest(GetParam());
  const u64 inside = GetParam() * kRegion;
  EXPECT_EQ(guest.machine.access((u64{1} << 39) + (u64{3} << 30) + inside, 6).gpa, inside);
  EXPECT_EQ(guest.machine.mmu.counters().splits_dropped != 0, GetParam() > ShadowTables::kReserve - 3)
      << "room";
  guest.check();
}

TEST_P(ShadowCrowdedPool, ALoadOfANewRoot) {
  CrowdedGuest guest(GetParam());
  guest.machine.load_root(CrowdedGuest::kOtherRoot * 4096);
  guest.check();
  guest.used(0);
  guest.check();
}

TEST_P(ShadowCrowdedPool, AFlush) {
  CrowdedGuest guest(GetParam());
  guest.machine.mmu.flush();
  EXPECT_EQ(guest.tables().unsync_pages(), 0u);
  guest.check();
}

INSTANTIATE_TEST_SUITE_P(Tables, ShadowCrowdedPool,
                         ::testing::Values(1, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 33, 64));

}  // namespace
}  // namespace nopte::hv::testing
