// Which address space identifier (ASID) each root runs under. A switch between roots forgets nothing: what
// the processor knows is tagged by ASID, and of one that no root has it uses nothing.
//
// So what is known of a root is forgotten by taking its ASID away; it gets another at its next activation, or
// at once if it runs. An ASID that was given is given to nobody again until all are used up. Then a new
// generation begins, in which no root has one, and the processor forgets everything first.
//
//     frame number of the root, low bits
//       |   key: root and generation   ASID
//       +-> | 0x1234000 | 7          | 3 |    generation_ 7: it runs under 3
//           | 0x1235000 | 6          | 9 |    has none
//
// Two roots that fall to one entry take it from each other, which costs an ASID and nothing else.
//
// Concurrency: its owner's. Source: APM vol. 2, 15.16 (TLB control), 15.25.8 (ASIDs), 5.5 (TLBs).
#pragma once

#include <algorithm>
#include <array>

#include "native-fallback/frames/phys.h"

namespace nopte::hv {

class AsidTable {
 public:
  // The processor's number of ASIDs, of which 0 is the host's (CPUID Fn8000_000A, EBX). One is left at least.
  constexpr explicit AsidTable(u32 asids) : end_(std::max(asids, kFirst + 1)) {}

  // The root's, or null: it has none. (An optional would cost a switch eight instructions.)
  [[nodiscard]] constexpr const u32* find(pt::PhysAddr root) const {
    const Entry& entry = entries_[index(root)];
    return entry.key == key(root) ? &entry.asid : nullptr;
  }

  struct Given {
    u32 asid;
    bool forget_all;  // of every ASID, before any is used
  };
  // The root gets another, under which nothing is known.
  [[nodiscard]] constexpr Given give(pt::PhysAddr root) {
    const bool used_up = next_ == end_;
    if (used_up) {
      next_ = kFirst;
      take_all();
    }
    entries_[index(root)] = {key(root), next_};
    return {next_++, used_up};
  }
  // The root has none any more; no root has.
  constexpr void take(pt::PhysAddr root) {
    Entry& entry = entries_[index(root)];
    if (entry.key == key(root)) entry.key = 0;
  }
  // No root has one but this, if it has one.
  constexpr void take_others(pt::PhysAddr root) {
    const u32* const own = find(root);
    const u32 asid = own != nullptr ? *own : 0;
    take_all();
    if (asid != 0) entries_[index(root)] = {key(root), asid};
  }
  constexpr void take_all() {
    if (++generation_ != kGenerations) return;
    // From the first again, of which entries may be left.
    generation_ = kFirstGeneration;
    entries_ = {};
  }

  static constexpr u32 kFirst = 1;
  // Those of a key, whose low bits are a root's address's: a page's.
  static constexpr u64 kFirstGeneration = 1;
  static constexpr u64 kGenerations = kPageBytes;
  static constexpr u64 kEntries = 64;

 private:
  struct Entry {
    u64 key = 0;  // 0: no root's
    u32 asid = 0;
  };
  [[nodiscard]] constexpr u64 key(pt::PhysAddr root) const { return root.value() | generation_; }
  static constexpr u64 index(pt::PhysAddr root) { return (root.value() >> kPageShift) % kEntries; }

  std::array<Entry, kEntries> entries_{};
  u64 generation_ = kFirstGeneration;
  u32 next_ = kFirst;
  u32 end_;
};

}  // namespace nopte::hv
