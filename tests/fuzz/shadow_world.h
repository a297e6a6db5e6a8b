// A guest of mode shadow that writes its page tables as it likes, over a pool of shadow tables that is nearly
// full: what it links, stores to, loads and flushes is the input's. It has a processor whose TLB keeps what
// it has until it is flushed, and a memory of what its tables said. After every operation:
//   - whatever the shadow shows is allowed by what the guest's tables say, or said of a table that the
//   processor may
//     still remember (out of sync, or let go); after a CR3 load, an INVLPG or a flush only by what they say;
//   - no TLB entry grants more than the tables that the processor runs on;
//   - faults end as on a processor that walks the guest's own tables, and what they resolve is shown as those
//     tables have it then;
//   - the shadow's counts are right (ShadowTables::check_invariants).
#pragma once

#include <vector>

#include "hv-mm/shadow/trapped/trapped_mmu.h"
#include "pvops/base/panic.h"
#include "tests/fuzz/root_tlb.h"
#include "tests/support/table_walk.h"

namespace nopte::fuzz {

using namespace hv::testing;

class ShadowWorld {
 public:
  static constexpr u64 kKernel = kP | kW | kA | kD, kFlags = kKernel | kU;
  static constexpr u64 kDirect = 0xffff'8000'0000'0000, kGiant = u64{1} << 30, kRegion = u64{1} << 21;

  // A leaf table in each region but the first, which has all others.
  static constexpr u64 kRegions = 24, kFrames = kRegions * pt::kEntriesPerTable;
  static constexpr u32 kPoolTables = 64;
  static constexpr u64 kFillers = 32;
  // Frames of region 0:
  //   root [256] -> direct map, 2 MiB leaves
  //        [0]   -> level 3 [0] -> level 2 -> the leaf tables
  //                         [1] -> level 2 -> a leaf table: windows onto those, and onto all that is named
  //                         here [2] -> level 2 -> fillers: leaf tables that only take room [3] -> 1 GiB leaf
  enum Frame : u64 {
    kDirectL3 = 1,
    kDirectL2,
    kRoot,
    kOtherRoot,
    kL3,
    kLeaves,
    kWindows,
    kWindowsL1,
    kFillerL2,
    kEnd
  };
  static constexpr u64 kData = 20, kFirstFiller = 32;

  explicit ShadowWorld(u8 shape);
  ~ShadowWorld() {
    for (const u64 gpa : written_) memory().write(gpa, 0);
  }
  ShadowWorld(const ShadowWorld&) = delete;
  ShadowWorld& operator=(const ShadowWorld&) = delete;

  // The tables that it writes: those of region 0, then the leaf tables.
  static constexpr u64 kTables = kEnd - kRoot + kRegions - 1;
  static constexpr u64 table(u64 n) {
    return n < kEnd - kRoot ? kRoot + n : leaf_table(n - (kEnd - kRoot) + 1);
  }
  static constexpr u64 leaf_table(u64 region) { return region * pt::kEntriesPerTable + 100; }
  static constexpr u64 window(u64 n) { return kGiant + n * kPageBytes; }

  // An access of the guest's. Whether it was done, and where.
  struct Done {
    bool done;
    bool emulated;
    u64 gpa;
  };
  Done access(u64 va, u64 kind, u64 value = 0, bool decodable = false);
  // Stores to an entry of its nth table, by the direct map or a window, by an instruction that is known or
  // not.
  enum How : u8 { kDecodable = 0x10, kByDirectMap = 0x20 };
  void store(u64 n, u64 slot, u64 value, u8 how);
  void load_root(u64 cr3);
  void invlpg(u64 va);
  // Of any address, of which nothing need be known.
  void invlpg_anywhere(u64 va) {
    mmu_.invlpg(Gva(va));
    flushed();
  }
  void flush();

  // `thorough`: all that is counted, too.
  void check(bool thorough);
  [[nodiscard]] const hv::ShadowCounters& counters() const { return mmu_.counters(); }

 private:
  // What an entry said before, of a table that the shadow need not follow.
  struct Said {
    u64 gpa;
    u64 value;
  };
  using History = std::vector<Said>;
  struct Cached {
    u64 physical;
    u64 rights;
  };

  static u64 nodes(u8 shape) { return shape & 2 ? 0 : 512; }
  static Memory& memory() {
    static Memory all(kFrames * kPageBytes);
    return all;
  }
  static Memory& pool() {
    static Memory all(u64{kPoolTables} * kPageBytes);
    return all;
  }
  void set(u64 frame, u64 slot, u64 value);
  void said(u64 gpa);
  [[nodiscard]] bool may_lag(u64 frame);
  void flushed() { tlb_.forget(mmu_); }

  void tlb_is_shown();
  // Whether some mixture of what the entries say and said allows what is shown.
  bool allowed(u64 at, u64 va, unsigned level, u64 rights_above, const Translation& shown,
               const History& history);
  void all_shown_is_allowed(const History& history);
  void shown_is_allowed(u64 va, const History& history);

  hv::TrappedMmu mmu_;
  std::vector<u64> metadata_;
  std::vector<u64> written_;
  History all_said_;
  RootTlb<Cached> tlb_;
};

}  // namespace nopte::fuzz
