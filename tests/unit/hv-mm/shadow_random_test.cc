// Random guests against a walk of their own tables: whatever the guest writes, in whatever order, the shadow
// grants what the guest's tables say, or said since the last synchronisation point, and never more; and a
// fault ends exactly as on the processor, error code and A/D bits included.

#include <absl/container/flat_hash_map.h>

#include "shadow_machine.h"

namespace nopte::hv::testing {
namespace {

// The guest edits 48 frames in four 2 MiB regions; the direct map's tables in frames 1 and 2 stay.
constexpr u64 kFirstEdited = 16, kEdited = 48, kDataFirst = 1024;
constexpr u64 kDirect = 0xffff'8000'0000'0000;  // root slot 256
constexpr unsigned kSlots[] = {0, 1, 2, 3, 7, 8, 15, 16, 17, 255, 300, 511};

class RandomGuest {
 public:
  RandomGuest(u64 seed, u64 frames, u32 tables, u64 spare_nodes)
      : machine_(frames, tables, spare_nodes), frames_(frames), random_(seed) {
    Memory& memory = machine_.guest();
    const u64 flags = kP | kW | kA | kD;
    for (u64 region = 0; region < (frames + 511) / 512; ++region) {
      memory.write(2 * 4096 + region * 8, region << 21 | flags | kPs);
    }
    memory.write(1 * 4096, 2 * 4096 | flags);
    // Six roots, and below them tables by level: frame f of the pool is mostly used at level 4 - (f % 4).
    for (u64 i = 0; i < kEdited; i += 4) {
      memory.write(frame_of(i) * 4096 + 256 * 8, 4096 | flags);
      for (unsigned depth = 0; depth < 3; ++depth) {
        const u64 from = i + depth;
        for (const unsigned slot : kSlots) {
          memory.write(frame_of(from) * 4096 + slot * 8, frame_of((from + 1) % kEdited) * 4096 | flags | kU);
        }
      }
    }
    machine_.load_root(frame_of(0) * 4096);
  }

  void step() {
    const unsigned dice = random_() % 100;
    if (dice < 45) {
      access(random_va(), random_access());
    } else if (dice < 85) {
      edit();
    } else if (dice < 93) {
      const u64 va = random_va();
      machine_.mmu.invlpg(Gva(va));
      forget_path(va);
      forget_unshadowed();
    } else if (dice < 98) {
      load_cr3();
    } else if (dice < 99) {
      machine_.mmu.flush();
      history_.clear();
    } else {
      machine_.smep = !machine_.smep;
      machine_.mmu.set_smep(machine_.smep);
    }
    (void)machine_.mmu.take_flush();
  }

  ShadowMachine& machine() { return machine_; }
  // accesses by end, faults with each error code, stores by way
  u64 done = 0, reflected[32] = {}, outside = 0, emulated = 0, released = 0, native = 0;

 private:
  static u64 frame_of(u64 pool_index) { return kFirstEdited + pool_index + pool_index / 12 * 512; }
  u64 pick(u64 below) { return random_() % below; }
  bool chance(unsigned percent) { return random_() % 100 < percent; }
  unsigned random_slot() { return kSlots[pick(std::size(kSlots))]; }

  // Mostly along present entries, or everything would end at the root.
  u64 random_va() {
    u64 va = 0;
    u64 table = machine_.cr3() & kFrames;
    for (unsigned level = 4; level >= 1; --level) {
      unsigned slot = random_slot();
      u64 entry = 0;
      for (int tries = 0; tries < 4 && table < frames_ * 4096; ++tries) {
        entry = machine_.guest().read(table + slot * 8);
        if ((entry & kP) && (entry & kU)) break;
        slot = random_slot();
      }
      table = entry & kFrames;
      va |= u64{slot} << (12 + 9 * (level - 1));
    }
    if (chance(5)) va = (u64{256} << 39) | pick(frames_) * 4096;
    va |= pick(512) * 8;
    return static_cast<u64>(static_cast<i64>(va << 16) >> 16);
  }
  u64 random_access() {
    static constexpr u64 kKinds[] = {0, 2, 4, 6, 16, 20};
    return kKinds[pick(6)];
  }

  u64 random_entry(u64 pool_index) {
    if (chance(15)) return chance(50) ? 0 : random_() & ~kP;
    u64 entry = kP;
    if (chance(75)) entry |= kW;
    if (chance(75)) entry |= kU;
    if (chance(85)) entry |= kA;
    if (chance(60)) entry |= kD;
    if (chance(12)) entry |= kNx;
    if (chance(10)) entry |= random_() & 0xf18;  // PWT, PCD, G, available
    if (pool_index % 4 != 3) {
      if (chance(12)) return entry | kPs | (chance(70) ? pick(frames_ / 512 + 1) << 21 : pick(8) << 12);
      // The next level's table, mostly; any edited frame now and then (also one's own).
      const u64 below = chance(85) ? pick(kEdited / 4) * 4 + (pool_index % 4) + 1 : pick(kEdited);
      entry |= frame_of(below) * 4096;
    } else {
      entry |= (chance(70)   ? kDataFirst + pick(64)
                : chance(80) ? frame_of(pick(kEdited))
                             : pick(frames_)) *
               4096;
      if (chance(20)) entry |= kPs;  // PAT there
    }
    if (chance(2)) entry |= u64{1} << (40 + pick(12));          // reserved
    if (chance(1)) entry = (entry & ~kFrames) | frames_ << 12;  // outside memory
    return entry;
  }

  void edit() {
    const u64 edited = pick(kEdited);
    const u64 frame = frame_of(edited);
    const unsigned slot = random_slot();
    const u64 address = frame * 4096 + slot * 8;
    // Root slot 256 stays: the stores go through it.
    if (slot == 256) return;
    const unsigned bytes = chance(92) ? 8 : chance(50) ? 4 : 1;
    const u64 value = bytes == 8 ? random_entry(edited) : random_();
    const u64 target = address + (bytes < 8 ? pick(8 / bytes) * bytes : 0);
    const u64 before = machine_.guest().read(address);
    const bool decodable = chance(95);
    const bool shadowed = is_shadowed(frame);
    const auto end = access(kDirect + target, 2, value, bytes, decodable);
    using End = ShadowMachine::Access::End;
    if (end == End::kStoreEmulated) {
      ++emulated;
      const u64 after = machine_.guest().read(address);
      for (unsigned i = 0; i < bytes; ++i) {
        const unsigned shift = (target % 8 + i) * 8;
        ASSERT_EQ((after >> shift) & 255, (value >> i * 8) & 255);
      }
    } else {
      ASSERT_EQ(end, End::kDone);
      ++native;
      u64 after = before;
      for (unsigned i = 0; i < bytes; ++i) {
        const unsigned shift = (target % 8 + i) * 8;
        after = (after & ~(u64{255} << shift)) | ((value >> i * 8) & 255) << shift;
      }
      machine_.guest().write(address, after);
      if (shadowed) {
        history_[address].push_back(before);
      } else {
        for (u64 at = frame * 4096; at < frame * 4096 + 4096; at += 8) history_.erase(at);
      }
    }
  }

  void forget_reachable(u64 table, unsigned levels) {
    if (table >= frames_ * 4096) return;
    for (const unsigned slot : kSlots) {
      history_.erase(table + slot * 8);
      const u64 entry = machine_.guest().read(table + slot * 8);
      if (levels > 1 && (entry & kP)) forget_reachable(entry & kFrames, levels - 1);
    }
  }
  bool is_shadowed(u64 frame) {
    TrappedTables& tables = machine_.mmu.tables();
    for (PageIndex at = tables.first_released(); at != 0; at = tables.page(at).after) {
      if (tables.page(at).gfn == frame) return true;
    }
    return tables.first_mirror(frame) != 0;
  }
  // What the shadow no longer knows it cannot show.
  void forget_unshadowed() {
    erase_if(history_, [this](const auto& slot) { return !is_shadowed(slot.first / 4096); });
  }
  // The lowest level that the processor's walk of the shadow reads.
  unsigned shadow_depth(u64 va) const {
    const Translation t = machine_.shadow_walk(va, 0);
    unsigned level = 4;
    while (level > 1 && t.slots[level - 1] != 0) --level;
    return level;
  }
  // INVLPG. Where the shadow does not lead to the table there is nothing to forget: other addresses may.
  void forget_path(u64 va) {
    if (shadow_depth(va) != 1) return;
    for (const u64 slot : machine_.guest_walk(va, 0).slots) history_.erase(slot);
  }

  void load_cr3() {
    const u64 root = frame_of(pick(kEdited / 4) * 4) * 4096 | pick(4) << 3;
    machine_.load_root(root);
    forget_reachable(root & kFrames, 4);
    forget_unshadowed();
  }

  // Whether some mixture of current and not yet forgotten entries allows what the shadow gives.
  bool allowed(u64 table, u64 va, unsigned level, u64 rights_left, const Translation& shadow) {
    if (table >= frames_ * 4096) return false;
    const u64 slot = table + ((va >> (12 + 9 * (level - 1))) & 511) * 8;
    std::vector<u64> candidates{machine_.guest().read(slot)};
    if (const auto old = history_.find(slot); old != history_.end()) {
      candidates.insert(candidates.end(), old->second.begin(), old->second.end());
    }
    for (const u64 entry : candidates) {
      if (!(entry & kP) || !(entry & kA)) continue;
      const u64 rights = (rights_left & entry & (kW | kU)) | ((rights_left | entry) & kNx);
      if (level == 1 || (entry & kPs)) {
        if (level == 4) continue;
        const u64 inside = (u64{1} << (12 + 9 * (level - 1))) - 1;
        const u64 gpa = ((entry & kFrames & ~inside) | (va & inside)) & ~u64{4095};
        const u64 granted = (entry & kD) ? rights : rights & ~kW;
        const bool within = !(shadow.rights & ~granted & (kW | kU)) && !(granted & ~shadow.rights & kNx);
        if (gpa == shadow.physical - kHostBase && within) return true;
      } else if (allowed(entry & kFrames, va, level - 1, rights, shadow)) {
        return true;
      }
    }
    return false;
  }

  ShadowMachine::Access::End access(u64 va, u64 kind, u64 value = 0, unsigned bytes = 0,
                                    bool decodable = true) {
    using End = ShadowMachine::Access::End;
    const Translation before = machine_.guest_walk(va, kind);
    const u64 leaf_outside = before.ok && before.physical >= frames_ * 4096;
    const unsigned depth = shadow_depth(va);
    const u64 releases = machine_.mmu.counters().tables_released;
    // A store of 0 bytes is of no form that is executed for the guest.
    const auto result = machine_.access(va, kind, value, bytes, decodable && bytes != 0);
    if (machine_.mmu.counters().tables_released != releases) ++released;
    switch (result.end) {
      case End::kReflected:
        EXPECT_FALSE(before.ok || before.outside) << std::hex << va;
        EXPECT_EQ(result.error, before.error) << std::hex << va;
        ++reflected[result.error & 31];
        break;
      case End::kOutside:
        EXPECT_TRUE(before.outside || leaf_outside) << std::hex << va;
        ++outside;
        break;
      case End::kStoreEmulated:
        EXPECT_TRUE(before.ok);
        EXPECT_EQ(result.gpa, before.physical + (va & 4095));
        break;
      case End::kDone:
        ++done;
        EXPECT_TRUE(allowed(machine_.cr3() & kFrames, va, 4, kW | kU, result.shadow))
            << std::hex << va << " rights " << result.shadow.rights << " at " << result.shadow.physical;
        if (result.from_fault) check_resolved(va, kind, before, result);
        // What hung below an entry that was not linked before was looked at.
        if (result.from_fault && shadow_depth(va) < depth) {
          forget_reachable(machine_.guest().read(before.slots[depth]) & kFrames, depth - 1);
        }
        break;
    }
    return result.end;
  }

  // After a fault the shadow says what the guest's tables say now.
  void check_resolved(u64 va, u64 kind, const Translation& before, const ShadowMachine::Access& result) {
    EXPECT_TRUE(before.ok) << "granted more than the guest's tables: " << std::hex << va;
    if (!before.ok) return;
    EXPECT_EQ(result.gpa, before.physical + (va & 4095));
    for (unsigned level = 4; level >= before.leaf; --level) {
      const u64 entry = machine_.guest().read(before.slots[level]);
      EXPECT_TRUE(entry & kA);
      EXPECT_TRUE(level != before.leaf || !(kind & 2) || (entry & kD));
    }
    EXPECT_FALSE(result.shadow.rights & ~before.rights & (kW | kU));
    EXPECT_EQ(result.shadow.rights & kNx, before.rights & kNx);
    EXPECT_EQ(result.shadow.rights & kU, before.rights & kU);
  }

  ShadowMachine machine_;
  u64 frames_;
  std::mt19937_64 random_;
  absl::flat_hash_map<u64, std::vector<u64>> history_;  // entry address -> values since the last look
};

void run(u64 seed, u64 frames, u32 tables, u64 spare_nodes, u64 steps) {
  RandomGuest guest(seed, frames, tables, spare_nodes);
  for (u64 i = 0; i < steps; ++i) {
    guest.step();
    if (i % 256 == 0) guest.machine().mmu.tables().check_invariants();
    if (::testing::Test::HasFailure()) FAIL() << "seed " << seed << " step " << i;
  }
  guest.machine().mmu.tables().check_invariants();
  // Everything that can happen happened.
  EXPECT_GT(guest.done, steps / 20);
  EXPECT_GT(guest.emulated, steps / 1000);
  EXPECT_GT(guest.native, steps / 20);
  EXPECT_GT(guest.released, u64{0});
  EXPECT_GT(guest.outside, u64{0});
  for (const unsigned error : {0u, 2u, 4u, 6u, 16u, 20u, 3u, 5u, 7u, 17u, 21u, 9u, 11u, 13u, 15u, 25u, 29u}) {
    EXPECT_GT(guest.reflected[error], u64{0}) << "error code " << error;
  }
  const ShadowCounters& counters = guest.machine().mmu.counters();
  EXPECT_GT(counters.tables_unsynced, u64{0});
  EXPECT_GT(counters.syncs, u64{0});
  EXPECT_GT(counters.prefetched, u64{0});
  EXPECT_GT(counters.large_splits, u64{0});
  std::printf(
      "seed %llu: resolved %llu reflected %llu unsynced %llu emulated %llu released %llu syncs %llu "
      "zapped %llu recycled %llu\n",
      static_cast<unsigned long long>(seed), static_cast<unsigned long long>(counters.faults_resolved),
      static_cast<unsigned long long>(counters.faults_reflected),
      static_cast<unsigned long long>(counters.tables_unsynced),
      static_cast<unsigned long long>(counters.emulated_writes),
      static_cast<unsigned long long>(counters.tables_released),
      static_cast<unsigned long long>(counters.syncs), static_cast<unsigned long long>(counters.pages_zapped),
      static_cast<unsigned long long>(counters.pages_recycled));
}

TEST(ShadowRandom, AmplePool) {
  for (const u64 seed : {1, 2, 3}) run(seed, 4096, 400, 4096, 60'000);
}

TEST(ShadowRandom, ExhaustedPool) {
  for (const u64 seed : {4, 5}) run(seed, 4096, ShadowTables::kMinTables, 4096, 40'000);
}

TEST(ShadowRandom, ExhaustedReverseLists) { run(6, 4096, 200, 0, 40'000); }

// Memory that ends inside a region: no 2 MiB mapping may reach past it.
TEST(ShadowRandom, UnevenMemory) { run(7, 2500, 200, 4096, 40'000); }

}  // namespace
}  // namespace nopte::hv::testing
