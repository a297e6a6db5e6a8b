// The shadow tables of a hypervisor in its own memory, and a processor's walk of them.
#pragma once

#include <vector>

#include "hv-mm/shadow/shadow_mmu.h"
#include "pvops/base/panic.h"
#include "tests/model/machine.h"
#include "tests/support/table_walk.h"

namespace nopte::model {

class HostTables {
 public:
  // Shadow `mmu` for a guest whose memory is `memory` with its spare frames.
  HostTables(const Memory& memory, hv::ShadowMmu& mmu, hv::Tracking tracking) : memory_(memory), mmu_(mmu) {
    const hv::GuestMemory guest{memory.alias(Frame(0)), PhysAddr(kGuestAt), memory.frames_with_spare()};
    const hv::ShadowPool pool{pool_.alias(Frame(0)),
                              PhysAddr(kPoolAt),
                              kTables,
                              {reinterpret_cast<u8*>(metadata_.data()), metadata_.size() * sizeof(u64)}};
    NOPTE_ASSERT(
        mmu.init(guest, pool, {.physical_bits = hv::testing::kPhysicalBits, .giant_pages = true}, tracking));
  }

  // What the current root shows of va, whoever asks.
  [[nodiscard]] std::optional<Walk> walk(Gva va) const {
    Walk walk = kEverything;
    Frame table = Frame::at(mmu_.host_root());
    for (unsigned level = pt::kLevels;; --level) {
      const Entry entry = pt::load_entry(window(table), pt::table_index(va, level));
      if (!entry.present()) return std::nullopt;
      descend(walk, level, entry);
      if (level == 1 || entry.large()) return leaf(walk, va, level, entry);
      table = entry.frame();
    }
  }
  // visit(va, walk) for each page that the current root shows.
  template <class Visit>
  void for_each_shown(Visit visit) const {
    visit_table(Frame::at(mmu_.host_root()), pt::kLevels, 0, kEverything, visit);
  }

 private:
  static constexpr u64 kGuestAt = hv::testing::kHostBase, kPoolAt = hv::testing::kPoolBase;
  static constexpr u32 kTables = 1024;
  static constexpr u64 kNodes = 16384;
  static constexpr Walk kEverything{
      .frame = {}, .perm = kPermRWX, .user = true, .global = false, .dirty = false};

  static void descend(Walk& walk, unsigned level, Entry entry) {
    NOPTE_ASSERT((entry.word() & hv::testing::reserved_bits(entry.word(), level)) == 0);
    walk.perm = walk.perm & entry.perm();
    walk.user = walk.user && entry.user();
  }
  [[nodiscard]] Walk leaf(Walk walk, Gva va, unsigned level, Entry entry) const {
    const u64 inside = (va.value() & (pt::entry_bytes(level) - 1)) >> kPageShift;
    walk.frame = Frame(entry.frame().number() - (kGuestAt >> kPageShift) + inside);
    // A TLB keeps kernel addresses over a change of roots, and the right to write with whatever has it.
    walk.global = static_cast<i64>(va.value()) < 0;
    walk.dirty = true;
    NOPTE_ASSERT(walk.frame.number() < memory_.frames_with_spare());
    return walk;
  }
  template <class Visit>
  void visit_table(Frame table, unsigned level, u64 begin, Walk above, Visit visit) const {
    for (unsigned index = 0; index < pt::kEntriesPerTable; ++index) {
      const Entry entry = pt::load_entry(window(table), index);
      if (!entry.present()) continue;
      Walk walk = above;
      descend(walk, level, entry);
      const u64 at = begin + index * pt::entry_bytes(level);
      if (level > 1 && !entry.large()) {
        visit_table(entry.frame(), level - 1, at, walk, visit);
        continue;
      }
      for (u64 offset = 0; offset < pt::entry_bytes(level); offset += kPageBytes) {
        const Gva va(static_cast<u64>(static_cast<i64>((at + offset) << 16) >> 16));  // canonical
        visit(va, leaf(walk, va, level, entry));
      }
    }
  }
  [[nodiscard]] u8* window(Frame table) const {
    return pool_.alias(Frame(table.number() - (kPoolAt >> kPageShift)));
  }

  const Memory& memory_;
  hv::ShadowMmu& mmu_;
  Memory pool_{0, kTables};
  std::vector<u64> metadata_ =
      std::vector<u64>((hv::ShadowTables::metadata_bytes(memory_.frames_with_spare(), kTables) +
                        kNodes * sizeof(hv::RefPool::Node)) /
                           sizeof(u64) +
                       1);
};

}  // namespace nopte::model
