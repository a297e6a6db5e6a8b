// A guest kernel in miniature on a ShadowMachine, and what its operations take in exits.
#pragma once

#include "shadow_machine.h"

namespace nopte::hv::testing {

inline constexpr u64 kFlags = kP | kW | kU | kA | kD;
inline constexpr u64 kDirect = 0xffff'8000'0000'0000;

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

}  // namespace nopte::hv::testing
