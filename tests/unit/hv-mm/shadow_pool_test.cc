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
  TrappedTables& tables() { return machine.mmu.tables(); }
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

// What one operation takes when nothing is short is the same, and all of it, where no more than the reserve
// is free: tables for the path, and a split page for the region of each of them, which a 2 MiB leaf maps.
class UnusedPath {
 public:
  enum class Pool : u8 { kRoomy, kCrowded };
  // root [256] -> direct map, 2 MiB leaves; [0] -> level 3 -> level 2 -> leaf table, each in a region of its
  // own
  //                                         [0] -> level 3 [1] -> 2 MiB leaves, [2] -> 1 GiB leaf
  //      [1] -> fillers
  static constexpr u64 kRegions = 8, kL3 = 1 * 512, kL2 = 2 * 512, kL1 = 3 * 512, kLargeL2 = 4 * 512,
                       kOtherRoot = 5 * 512, kData = 200;

  explicit UnusedPath(Pool pool) : machine(kRegions * 512, kTables) {
    for (u64 region = 0; region < kRegions; ++region) set(kDirectL2, region, region << 21 | kKernel | kPs);
    set(kDirectL3, 0, kDirectL2 * 4096 | kKernel);
    set(kRoot, 256, kDirectL3 * 4096 | kKernel);
    set(kRoot, 0, kL3 * 4096 | kFlags);
    set(kRoot, 1, kFillerL3 * 4096 | kFlags);
    set(kL3, 0, kL2 * 4096 | kFlags);
    set(kL3, 1, kLargeL2 * 4096 | kFlags);
    set(kL3, 2, kFlags | kPs);
    set(kL2, 0, kL1 * 4096 | kFlags);
    set(kL1, 0, kData * 4096 | kFlags);
    set(kLargeL2, 0, kFlags | kPs);
    set(kFillerL3, 0, kFillerL2 * 4096 | kFlags);
    for (u64 i = 0; i < kTables; ++i) {
      set(kFillerL2, i, (kFirstFiller + i) * 4096 | kFlags);
      set(kFirstFiller + i, 0, kData * 4096 | kFlags);
    }
    machine.load_root(kRoot * 4096);
    const u32 left = pool == Pool::kCrowded ? ShadowTables::kReserve : kTables / 2;
    for (u64 region = 1; region < kRegions; ++region) used(kDirect + (region << 21), 2);
    for (u64 i = 0; tables().free_tables() > left; ++i) used((u64{1} << 39) + (i << 21), 4);
    allocated_ = counters().pages_allocated;
  }

  void used(u64 va, u64 kind) {
    EXPECT_EQ(machine.access(va, kind).end, ShadowMachine::Access::End::kDone) << std::hex << va;
  }
  TrappedTables& tables() { return machine.mmu.tables(); }
  const ShadowCounters& counters() { return machine.mmu.counters(); }
  [[nodiscard]] u64 taken() { return counters().pages_allocated - allocated_; }

  ShadowMachine machine;

 private:
  static constexpr u32 kTables = 128;
  enum Frame : u64 { kDirectL3 = 1, kDirectL2, kRoot, kFillerL3, kFillerL2, kFirstFiller = 16 };
  void set(u64 table, u64 slot, u64 entry) { machine.guest().write(table * 4096 + slot * 8, entry); }

  u64 allocated_ = 0;
};

TEST(ShadowReserve, IsWhatOneOperationNeeds) {
  struct Row {
    const char* what;
    u64 own;     // tables that it is promised
    u64 splits;  // of the regions where their guest's tables lie
    void (*run)(UnusedPath&);
  };
  const Row rows[] = {
      {"a page", 3, 3, [](UnusedPath& guest) { guest.used(0, 6); }},
      {"a 2 MiB leaf", 3, 2, [](UnusedPath& guest) { guest.used(u64{1} << 30, 6); }},
      {"a 1 GiB leaf", 2, 1,
       [](UnusedPath& guest) { guest.used((u64{2} << 30) + UnusedPath::kL3 * 4096, 4); }},
      {"a root", 1, 1, [](UnusedPath& guest) { guest.machine.load_root(UnusedPath::kOtherRoot * 4096); }},
  };
  for (const Row& row : rows) {
    UnusedPath roomy(UnusedPath::Pool::kRoomy), crowded(UnusedPath::Pool::kCrowded);
    ASSERT_GT(roomy.tables().free_tables(), ShadowTables::kReserve);
    for (UnusedPath* const guest : {&roomy, &crowded}) {
      row.run(*guest);
      EXPECT_EQ(guest->taken(), row.own + row.splits) << row.what;
      EXPECT_EQ(guest->counters().large_splits, row.splits) << row.what;
      EXPECT_EQ(guest->counters().splits_dropped, 0u) << row.what;
      guest->tables().check_invariants();
    }
  }
}

}  // namespace
}  // namespace nopte::hv::testing
