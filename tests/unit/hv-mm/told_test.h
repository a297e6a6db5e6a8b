// What the tests of a told shadow's interfaces share: a guest with a tree of tables, and tables by chance.
#pragma once

#include "hv-mm/mode_handler.h"
#include "shadow_machine.h"

namespace nopte::hv::testing {

// What a well-made entry has set.
inline constexpr u64 kFlags = kP | kW | kU | kA | kD;

class ToldTest : public ::testing::Test {
 protected:
  static constexpr u64 kRoot = 4096;

  // Tables 1 -> 2 -> 3 -> 4, by the first entry of each; 0x3000 is page 100. Nothing is shown yet.
  explicit ToldTest(u64 guest_frames) : machine(guest_frames, 64) {
    for (u64 level = 0; level < 3; ++level) link((1 + level) * 4096, 0, (2 + level) * 4096);
    link(4 * 4096, 3, 100 * 4096);
    machine.load_root(kRoot);
  }
  void link(u64 table, u64 slot, u64 to, u64 flags = kFlags) {
    machine.guest().write(table + slot * 8, to | flags);
  }
  // With this error, and nothing has changed.
  void refused(const CallResult& result, u64 error) {
    EXPECT_NE(result.status, Status::kOk);
    EXPECT_EQ(result.value, error);
    EXPECT_EQ(machine.shadow_walk(0x3000, 4).ok, shown);
    EXPECT_EQ(machine.mmu.guest_root(), kRoot);
    machine.mmu.tables().check_invariants();
  }
  // Whether a page is shown for va. If so, it is what the guest's tables say now, with no more rights.
  [[nodiscard]] bool shown_as_said(u64 va) {
    const Translation seen = machine.shadow_walk(va, 0);
    if (!seen.ok) return false;
    const Translation said = machine.guest_walk(va, 0);
    EXPECT_TRUE(said.ok) << std::hex << va;
    EXPECT_EQ(seen.physical, said.physical + kHostBase) << std::hex << va;
    EXPECT_EQ(seen.rights & ~said.rights & (kW | kU), 0u) << std::hex << va;
    EXPECT_EQ(said.rights & ~seen.rights & kNx, 0u) << std::hex << va;
    return true;
  }

  ToldMachine machine;
  bool shown = true;  // 0x3000, when a call is refused
};

// A few tables of which each may lead to each, and what is written to them.
struct RandomTables {
  static constexpr u64 kFirst = 16, kTables = 12, kSlots = 8;

  std::mt19937_64 random{1};

  u64 frame() { return kFirst + random() % kTables; }
  u64 slot() { return random() % kSlots; }
  u64 address() {
    u64 va = 0;
    for (unsigned level = 1; level <= 4; ++level) va |= slot() << (12 + 9 * (level - 1));
    return va;
  }
  u64 entry(u64 guest_frames) {
    const u64 good = frame() * 4096 | kFlags;
    switch (random() % 10) {
      case 0:
        return good & ~u64{kW};
      case 1:
        return random();
      case 2:
        return random() % guest_frames * 4096 | kFlags | kPs;
      case 3:
        return good & ~u64{kA};
      case 4:
        return 0;
      default:
        return good;
    }
  }
};

}  // namespace nopte::hv::testing
