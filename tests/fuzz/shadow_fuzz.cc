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
// And the same input again gives the same counters.
#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <vector>

#include "hv-mm/shadow/shadow_mmu.h"
#include "pvops/base/panic.h"
#include "tests/fuzz/input.h"
#include "tests/support/table_walk.h"

namespace nopte::fuzz {
namespace {

using namespace hv::testing;
using hv::PageIndex;
using hv::ShadowMmu;

constexpr u64 kKernel = kP | kW | kA | kD;
constexpr u64 kFlags = kKernel | kU;
constexpr u64 kDirect = 0xffff'8000'0000'0000, kGiant = u64{1} << 30, kRegion = u64{1} << 21;

class Guest {
 public:
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

  explicit Guest(u8 shape)
      : metadata_((hv::ShadowTables::metadata_bytes(kFrames, kPoolTables) + nodes(shape) * 8) / 8 + 1) {
    const u32 tables = shape & 1 ? hv::ShadowTables::kMinTables : kPoolTables;
    const u64 bytes = hv::ShadowTables::metadata_bytes(kFrames, tables) + nodes(shape) * 8;
    NOPTE_ASSERT(mmu_.init(
        {memory().data(), pt::PhysAddr(kHostBase), kFrames},
        {pool().data(), pt::PhysAddr(kPoolBase), tables, {reinterpret_cast<u8*>(metadata_.data()), bytes}},
        {.physical_bits = kPhysicalBits, .giant_pages = true}));
    mmu_.set_smep(true);
    for (u64 region = 0; region < kRegions; ++region)
      set(kDirectL2, region, region * kRegion | kKernel | kPs);
    set(kDirectL3, 0, kDirectL2 * kPageBytes | kKernel);
    for (const u64 root : {kRoot, kOtherRoot}) {
      set(root, 256, kDirectL3 * kPageBytes | kKernel);
      set(root, 0, kL3 * kPageBytes | kFlags);
    }
    for (u64 slot = 0; slot < 3; ++slot) {
      static constexpr Frame kBelow[] = {kLeaves, kWindows, kFillerL2};
      set(kL3, slot, kBelow[slot] * kPageBytes | kFlags);
    }
    set(kL3, 3, kFlags | kPs);
    set(kWindows, 0, kWindowsL1 * kPageBytes | kFlags);
    for (u64 n = 0; n < kTables; ++n) set(kWindowsL1, n, table(n) * kPageBytes | kFlags);
    for (u64 n = 1; n < kRegions; ++n) {
      set(kLeaves, n, leaf_table(n) * kPageBytes | kFlags);
      set(leaf_table(n), 0, kData * kPageBytes | kFlags);
    }
    for (u64 n = 0; n < kFillers; ++n) {
      set(kFillerL2, n, (kFirstFiller + n) * kPageBytes | kFlags);
      set(kFirstFiller + n, 0, kData * kPageBytes | kFlags);
    }
    load_root(kRoot * kPageBytes);
  }
  ~Guest() {
    for (const u64 gpa : written_) memory().write(gpa, 0);
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  // The tables that it writes: those of region 0, then the leaf tables.
  static constexpr u64 kTables = kEnd - kRoot + kRegions - 1;
  static constexpr u64 table(u64 n) {
    return n < kEnd - kRoot ? kRoot + n : leaf_table(n - (kEnd - kRoot) + 1);
  }
  static constexpr u64 leaf_table(u64 region) { return region * pt::kEntriesPerTable + 100; }
  static constexpr u64 window(u64 n) { return kGiant + n * kPageBytes; }

  void operation(u8 what, Input& input) {
    const u64 first = input.byte(), count = what & 0x40 ? input.byte() % kRegions : 1;
    switch (what % 16) {
      case 0:
        access(address(first, input.byte()), kKinds[what / 16 % 6]);
        break;
      case 1:
      case 2:
      case 3: {  // an entry
        const u64 n = first % kTables;
        store(n, kSlots[input.byte() % std::size(kSlots)], word(input), what);
        break;
      }
      case 4:
        for_regions(first, count, [&](u64 n) { access(n * kRegion, 4); });  // leaf tables are used
        break;
      case 5: {  // and stored to
        const u64 value = word(input);
        for_regions(first, count, [&](u64 n) { store(kEnd - kRoot + n - 1, 1, value, what); });
        break;
      }
      case 6:  // their regions, by 2 MiB leaves
        for_regions(first, count, [&](u64 n) { access(kDirect + n * kRegion, 2); });
        break;
      case 7:
        for (u64 n = 0; n < count; ++n) access(2 * kGiant + (first + n) % kFillers * kRegion, 4);
        break;
      case 8:  // one more link to the level 3 table, or one less
        store(first % 2, 1 + first / 2 % 4, what & 0x80 ? 0 : kL3 * kPageBytes | kFlags, what);
        break;
      case 9:
        access((first % 5 << 39) + 3 * kGiant + first * kRegion % (kFrames * kPageBytes), 4);
        break;
      case 10:
      case 11:
        load_root(what & 0x80 ? input.raw(8) : table(first % kTables) * kPageBytes);
        break;
      case 12:
      case 13:
        invlpg(address(first, input.byte()));
        break;
      case 14:
        mmu_.flush();
        flushed();
        NOPTE_ASSERT(mmu_.tables().unsync_pages() == 0 && mmu_.tables().detached_pages() <= 1);
        all_said_.clear();
        break;
      default:
        if (what & 0x80) {
          store_unseen(first, input, what);
        } else {
          mmu_.invlpg(Gva(input.raw(8)));
          flushed();
        }
    }
  }

  [[nodiscard]] const hv::ShadowCounters& counters() const { return mmu_.counters(); }

  // `thorough`: all that is counted, too.
  void check(bool thorough) {
    flushed();
    hv::ShadowTables& tables = mmu_.tables();
    if (thorough) tables.check_invariants();
    std::erase_if(all_said_, [this](const Said& said) { return !may_lag(said.gpa / kPageBytes); });
    all_shown_is_allowed(all_said_);
    tlb_is_shown();
  }

 private:
  void tlb_is_shown() {
    for (const auto& [va, cached] : tlb_) {
      const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, 0, false);
      NOPTE_ASSERT(shown.ok && shown.physical == cached.physical);
      NOPTE_ASSERT(!(cached.rights & ~shown.rights & (kW | kU)) && !(shown.rights & ~cached.rights & kNx));
    }
  }

  static constexpr u64 kKinds[] = {0, 2, 4, 6, 16, 20};
  static constexpr u64 kSlots[] = {0, 1, 2, 3, 4, 7, 22, 23};
  // What an entry said before, of a table that the shadow need not follow.
  struct Said {
    u64 gpa;
    u64 value;
  };
  using History = std::vector<Said>;

  static u64 nodes(u8 shape) { return shape & 2 ? 0 : 512; }
  static Memory& memory() {
    static Memory all(kFrames * kPageBytes);
    return all;
  }
  static Memory& pool() {
    static Memory all(u64{kPoolTables} * kPageBytes);
    return all;
  }
  void set(u64 frame, u64 slot, u64 value) {
    memory().write(frame * kPageBytes + slot * 8, value);
    written_.push_back(frame * kPageBytes + slot * 8);
  }

  template <class Do>
  void for_regions(u64 first, u64 count, Do act) {
    for (u64 n = 0; n < count; ++n) act(1 + (first + n) % (kRegions - 1));
  }
  static u64 address(u64 where, u64 n) {
    const u64 top = where / 8 % 5 << 39;
    switch (where % 8) {
      case 0:
        return kDirect + table(n % kTables) * kPageBytes;
      case 1:
        return kDirect + n % kRegions * kRegion;
      case 2:
        return top + window(n % kTables);
      case 3:
        return top + 3 * kGiant + n * kRegion;
      case 4:
        return top + n % kRegions * kRegion + kPageBytes;
      case 5:
        return top + 2 * kGiant + n % kFillers * kRegion;
      default:
        return top + n % kRegions * kRegion;
    }
  }
  // A value for an entry.
  static u64 word(Input& input) {
    const u8 shape = input.byte(), n = input.byte();
    const u64 less =
        (shape & 8 ? kW : 0) | (shape & 16 ? kU : 0) | (shape & 32 ? kA : 0) | (shape & 64 ? kD : 0);
    const u64 flags = (kFlags & ~less) | (shape & 128 ? kNx : 0);
    switch (shape & 7) {
      case 0:
        return 0;
      case 1:
        return input.raw(8);
      case 2:
        return (n % (kRegions + 1)) * kRegion | flags | kPs;
      case 3:
        return (kFirstFiller + n % kFillers) * kPageBytes | flags;
      case 4:
        return kData * kPageBytes | flags;
      default:
        return table(n % kTables) * kPageBytes | flags;
    }
  }

  [[nodiscard]] bool may_lag(u64 frame) {
    hv::ShadowTables& tables = mmu_.tables();
    for (PageIndex at = tables.first_detached(); at != 0; at = tables.page(at).unsync_after) {
      if (tables.page(at).gfn == frame) return true;
    }
    for (PageIndex at = tables.first_mirror(frame); at != 0; at = tables.page(at).alias) {
      if (tables.page(at).unsync) return true;
    }
    return false;
  }

  void flushed() {
    if (mmu_.take_flush()) tlb_.clear();
  }
  void load_root(u64 cr3) {
    const auto root = mmu_.set_root(cr3);
    NOPTE_ASSERT(root.has_value() == ((cr3 & hv::testing::kFrames) < kFrames * kPageBytes));
    flushed();
    if (!root) return;
    NOPTE_ASSERT(tlb_.empty());
    all_shown_is_allowed({});  // nothing that the new root reaches may be as it was
  }
  void invlpg(u64 va) {
    mmu_.invlpg(Gva(va));
    flushed();
    shown_is_allowed(va, {});
    tlb_is_shown();
  }

  // An access of the guest's. Whether it was done, and where.
  struct Done {
    bool done;
    bool emulated;
    u64 gpa;
  };
  Done access(u64 va, u64 kind, u64 value = 0, bool decodable = false) {
    constexpr int kMostExits = 8;
    for (int tries = 0; tries < kMostExits; ++tries) {
      const auto cached = tlb_.find(va & ~u64{4095});
      const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, kind, true);
      NOPTE_ASSERT(!shown.outside);
      if (cached != tlb_.end() && (!(kind & 2) || (cached->second.rights & kW)) && shown.ok) {
        return {true, false, cached->second.physical - kHostBase + va % kPageBytes};
      }
      if (shown.ok) {
        tlb_[va & ~u64{4095}] = {shown.physical, shown.rights};
        return {true, false, shown.physical - kHostBase + va % kPageBytes};
      }
      const ShadowMmu::Fault fault = mmu_.on_page_fault(Gva(va), shown.error);
      const Translation meant = walk_tables(memory(), 0, mmu_.guest_root(), va, kind, true);
      switch (fault.outcome) {
        case ShadowMmu::Fault::Outcome::kReflect:
          NOPTE_ASSERT(!meant.ok && !meant.outside && meant.error == fault.error_code);
          flushed();
          return {};
        case ShadowMmu::Fault::Outcome::kOutside:
          NOPTE_ASSERT(meant.outside || meant.physical >= kFrames * kPageBytes);
          flushed();
          return {};
        case ShadowMmu::Fault::Outcome::kResolved:
          NOPTE_ASSERT(meant.ok);
          shown_is_allowed(va, {});
          break;
        case ShadowMmu::Fault::Outcome::kEmulateStore:
          NOPTE_ASSERT(meant.ok && fault.gpa.value() == meant.physical + va % kPageBytes);
          if (decodable) {
            said(fault.gpa.value());
            NOPTE_ASSERT(mmu_.store(fault.gpa, value, 8));
            flushed();
            return {true, true, fault.gpa.value()};
          }
          mmu_.release(fault.gpa);
      }
      flushed();
    }
    NOPTE_ASSERT(!"the access makes no progress");
    return {};
  }
  void said(u64 gpa) {
    written_.push_back(gpa);
    all_said_.push_back({gpa, memory().read(gpa)});
  }
  // Stores to an entry of its nth table, by the direct map or a window, by an instruction that is known or
  // not.
  void store(u64 n, u64 slot, u64 value, u8 how) {
    const u64 va = (how & 0x20 ? kDirect + table(n) * kPageBytes : window(n)) + slot * 8;
    const Done done = access(va, 2, value, how & 0x10);
    if (!done.done || done.emulated) return;
    NOPTE_ASSERT(!mmu_.tables().is_protected(done.gpa / kPageBytes));
    said(done.gpa);
    memory().write(done.gpa, value);
  }

  // A page is shown, then its leaf table is let go, and its entry changes unseen; then comes what makes the
  // processor forget, or may: a CR3 load, an INVLPG, a fault of a neighbour, a link to the table.
  void store_unseen(u64 first, Input& input, u8 how) {
    const u64 n = 1 + first % (kRegions - 1), table = kEnd - kRoot + n - 1, va = n * kRegion + kPageBytes;
    store(table, 1, kData * kPageBytes | kFlags, how);
    access(va, first & 0x80 ? 6 : 4);
    const u64 value = word(input);
    store(table, 1, value, how & ~0x10);
    store(table, 1, value, how & ~0x10);
    switch (input.byte() % 5) {
      case 0:
        load_root(kRoot * kPageBytes);
        break;
      case 1:
        load_root(kOtherRoot * kPageBytes);
        break;
      case 2:
        invlpg(va);
        break;
      case 3:
        access(va + kPageBytes, 4);
        break;
      default:
        store(kLeaves - kRoot, n % kRegions, leaf_table(n) * kPageBytes | kFlags, how);
    }
  }

  // Whether some mixture of what the entries say and said allows what is shown.
  bool allowed(u64 at, u64 va, unsigned level, u64 rights_above, const Translation& shown,
               const History& history) {
    if (at >= kFrames * kPageBytes) return false;
    const u64 gpa = at + (va >> (12 + 9 * (level - 1)) & 511) * 8;
    const auto by = [&](u64 entry) {
      if (!(entry & kP) || !(entry & kA) || (entry & reserved_bits(entry, level))) return false;
      const u64 rights = (rights_above & entry & (kW | kU)) | ((rights_above | entry) & kNx);
      if (level != 1 && !(entry & kPs)) {
        return allowed(entry & hv::testing::kFrames, va, level - 1, rights, shown, history);
      }
      const u64 inside = (u64{1} << (12 + 9 * (level - 1))) - 1;
      const u64 page = ((entry & hv::testing::kFrames & ~inside) | (va & inside)) & ~u64{4095};
      const u64 granted = entry & kD ? rights : rights & ~kW;
      return page == shown.physical - kHostBase && !(shown.rights & ~granted & (kW | kU)) &&
             !(granted & ~shown.rights & kNx);
    };
    if (by(memory().read(gpa))) return true;
    return std::ranges::any_of(history, [&](const Said& was) { return was.gpa == gpa && by(was.value); });
  }
  void all_shown_is_allowed(const History& history) {
    for (u64 top = 0; top < 5; ++top) {
      for (u64 n = 0; n < kRegions; ++n) {
        shown_is_allowed((top << 39) + n * kRegion, history);
        shown_is_allowed((top << 39) + n * kRegion + kPageBytes, history);
      }
      for (u64 n = 0; n < kTables; ++n) shown_is_allowed((top << 39) + window(n), history);
    }
    for (u64 n = 0; n < kTables; ++n) shown_is_allowed(kDirect + table(n) * kPageBytes, history);
  }
  void shown_is_allowed(u64 va, const History& history) {
    const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, 0, false);
    NOPTE_ASSERT(!shown.outside);
    if (!shown.ok) return;
    NOPTE_ASSERT(shown.physical >= kHostBase && shown.physical < kHostBase + kFrames * kPageBytes);
    NOPTE_ASSERT(allowed(mmu_.guest_root() & hv::testing::kFrames, va, 4, kW | kU, shown, history));
  }

  struct Cached {
    u64 physical;
    u64 rights;
  };

  ShadowMmu mmu_;
  std::vector<u64> metadata_;
  std::vector<u64> written_;
  History all_said_;
  std::map<u64, Cached> tlb_;
};

using Counts = std::array<u64, sizeof(hv::ShadowCounters) / sizeof(u64)>;

}  // namespace
}  // namespace nopte::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nopte::fuzz;
  if (size > 1024) return 0;
  const auto run = [&](bool checked) {
    Input input(data, size);
    Guest guest(input.byte());
    for (unsigned steps = 0; input.more(); ++steps) {
      const nopte::u8 what = input.byte();
      guest.operation(what, input);
      guest.check(checked && steps % 8 == 0);
    }
    guest.check(checked);
    return std::bit_cast<Counts>(guest.counters());
  };
  const Counts counts = run(true);
  // The same again is the same to the last count; not every time, for speed.
  if (size % 8 == 7) NOPTE_ASSERT(run(false) == counts);
  return 0;
}
