// A guest that writes its page tables as it likes and tells a hypervisor's shadow of them what it pleases:
// the world in which each interface of told shadows is fuzzed. It has guest memory, a ShadowMmu, a processor
// whose TLB keeps what it has until it is flushed, and a memory of what the guest's tables said.
//
// An entry that the guest has written *may still be shown as it was* until it is told (told()), or the shadow
// no longer knows its table. What follows is checked by check(), after every operation:
//   - whatever any root's shadow shows is allowed, entry by entry, by what the guest's table says or said
//     since it last told: frame, rights, A, and D before W; it lies in the guest's memory, and every table on
//     the way is one of the shadow's own;
//   - no TLB entry grants more than the tables that the processor runs on;
//   - the shadow's counts are right (ShadowTables::check_invariants);
//   - a call is short.
// Faults end as on a processor that walks the guest's own tables.
#pragma once

#include <vector>

#include "hv-mm/mode_handler.h"
#include "hv-mm/shadow/told/told_mmu.h"
#include "pvops/base/panic.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/root_tlb.h"
#include "tests/support/table_walk.h"

namespace nopte::fuzz {

using namespace hv::testing;

class ToldWorld {
 public:
  // One whole 2 MiB region and a part of one.
  static constexpr u64 kGuestFrames = 640;
  // The guest uses frames [1, kTables) as tables; 1 to 4 map the first addresses, 5 is another root. Few, and
  // few of their slots, so that inputs meet.
  static constexpr u64 kTables = 12;
  static constexpr u64 kFlags = kP | kW | kU | kA | kD;

  // Shared by all worlds: making it anew for each input would be most of the time.
  ToldWorld() : pool_tables_(kMostPoolTables), metadata_(metadata_words()) {
    start(hv::RefPool::kMostMembers);
  }
  // A pool that is soon exhausted, and few nodes for reverse lists.
  explicit ToldWorld(u8 shape)
      : pool_tables_(shape & 1 ? hv::ShadowTables::kMinTables : kMostPoolTables),
        metadata_(metadata_words()) {
    start(shape & 2 ? 0 : hv::RefPool::kMostMembers);
  }
  ~ToldWorld() {
    for (const u64 gpa : written_) guest().write(gpa, 0);
  }
  ToldWorld(const ToldWorld&) = delete;
  ToldWorld& operator=(const ToldWorld&) = delete;

  [[nodiscard]] hv::ToldMmu& mmu() { return mmu_; }
  static Memory& guest() {
    static Memory memory(kGuestFrames * kPageBytes);
    return memory;
  }
  [[nodiscard]] u64 cr3() const { return cr3_; }

  // --- what the guest does without a call ---
  // Writes an entry, or any word, of its memory; gpa is a multiple of 8, inside.
  void write(u64 gpa, u64 value) {
    said(gpa, guest().read(gpa));
    guest().write(gpa, value);
    written_.push_back(gpa);
  }
  void access(u64 va, u64 kind);
  void load_root(u64 cr3);
  // A call has loaded a root, or may have.
  void adopt_root() {
    host_root_ = mmu_.host_root().value();
    cr3_ = mmu_.guest_root();
  }
  void invlpg(u64 va) { mmu_.invlpg(Gva(va)); }
  void flush() { mmu_.flush(); }

  // --- what an interface says about a call that it has answered ---
  // What the entry said before is not shown any more. An address of no entry is of no account.
  void told(u64 gpa) {
    std::erase_if(said_, [=](const Said& said) { return said.gpa == gpa; });
  }
  // The same for every entry of the table.
  void table_gone(u64 gfn) {
    std::erase_if(said_, [=](const Said& said) { return said.gpa / kPageBytes == gfn; });
  }
  // The call named a value that may be shown although the table does not hold it.
  void said(u64 gpa, u64 value) {
    if (mmu_.tables().first_mirror(gpa / kPageBytes) != 0) said_.push_back({gpa, value});
  }

  // --- around a call ---
  struct Before {
    u64 entries_written, pages_allocated, pages_zapped;
    bool operator==(const Before&) const = default;
  };
  [[nodiscard]] Before before() const {
    const hv::ShadowCounters& c = mmu_.counters();
    return {c.entries_written, c.pages_allocated, c.pages_zapped};
  }
  // A call that was refused has changed nothing.
  void refused(const Before& then) { NOPTE_ASSERT(before() == then); }
  // A call was short, whatever it asked for.
  void bounded(const Before& then);
  void check();
  // The guest gives up every table: the shadow has nothing left but the root in use.
  void end();

  // --- what to do it with ---
  static constexpr u64 kSlots[] = {0, 1, 64, 511};
  static u64 table(Input& input) { return (1 + input.byte() % (kTables - 1)) * kPageBytes; }
  static u64 entry_address(Input& input) {
    const u64 at = table(input);
    return at + kSlots[input.byte() % 4] * sizeof(u64);
  }
  static u64 virtual_address(Input& input);
  // A value for an entry.
  static u64 word(Input& input);
  // A value for an argument.
  static u64 nasty(Input& input);

 private:
  static constexpr u32 kMostPoolTables = 48;
  // What an entry of a table that is shadowed said before.
  struct Said {
    u64 gpa;
    u64 value;
  };
  // A shadow's table that was looked at as what the guest has there.
  struct Seen {
    u64 at;
    u64 guest;
    unsigned level;
    bool good;
  };
  struct Cached {
    u64 physical;
    u64 rights;
  };

  static Memory& pool() {
    static Memory memory(u64{kMostPoolTables} * kPageBytes);
    return memory;
  }
  [[nodiscard]] u64 metadata_words() const {
    return (hv::ShadowTables::metadata_bytes(kGuestFrames, pool_tables_) +
            hv::RefPool::kMostMembers * sizeof(hv::RefPool::Node)) /
               8 +
           1;
  }
  void start(u64 spare_nodes);

  static bool allows(u64 rights, u64 kind) {
    return (!(kind & hv::kFaultWrite) || (rights & kW)) && (!(kind & hv::kFaultUser) || (rights & kU)) &&
           (!(kind & hv::kFaultFetch) || (!(rights & kNx) && ((kind & hv::kFaultUser) || !(rights & kU))));
  }
  // Whether all that the shadow's table at this host address shows may be shown of the guest's table.
  bool table_allowed(u64 at, u64 gfn, unsigned level);
  bool entry_allowed(u64 shown, u64 said, unsigned level);
  // `look` gives whether the table is good; once for each.
  template <class Look>
  bool once(u64 at, u64 guest, unsigned level, Look look) {
    for (const Seen& seen : seen_) {
      if (seen.at == at && seen.guest == guest && seen.level == level) return seen.good;
    }
    const bool good = look();
    seen_.push_back({at, guest, level, good});
    return good;
  }
  // The shadow table's first entry from this slot on that is not empty, 0 when none.
  static u64 next_shown(u64 at, unsigned& slot);
  // The inside of a large leaf that begins at this guest-physical address.
  bool inside_allowed(u64 shown, u64 gpa, unsigned level);

  hv::ToldMmu mmu_;
  u32 pool_tables_;
  std::vector<u64> metadata_;
  std::vector<Said> said_;
  std::vector<u64> written_;
  RootTlb<Cached> tlb_;
  std::vector<Seen> seen_;  // in one check
  u64 cr3_ = 0;
  u64 host_root_ = 0;
};

// A target: made over a world, makes one call from the input's next bytes, has what it did noted. With
// before_look(), does what comes before the hypervisor looks at the guest's tables by itself.
template <class Target>
void fuzz_told(const u8* data, std::size_t size) {
  Input input(data, size);
  ToldWorld world(input.byte());
  Target target(world);
  while (input.more()) {
    const u8 what = input.byte();
    if constexpr (requires { target.before_look(); }) {
      if (what >= 176) target.before_look();
    }
    if (what < 128) {
      const auto before = world.before();
      target.call(what, input);
      world.bounded(before);
    } else if (what < 176) {
      const u64 at = ToldWorld::entry_address(input);
      world.write(at, ToldWorld::word(input));
      continue;
    } else if (what < 224) {
      static constexpr u64 kKinds[] = {0, 2, 4, 6, 16, 20};
      const u64 va = ToldWorld::virtual_address(input);
      world.access(va, kKinds[what % 6]);
    } else if (what < 240) {
      world.load_root(what & 1 ? ToldWorld::nasty(input) : ToldWorld::table(input));
    } else if (what < 252) {
      world.invlpg(what & 1 ? ToldWorld::nasty(input) : ToldWorld::virtual_address(input));
    } else {
      world.flush();
    }
    world.check();
  }
  world.end();
}

}  // namespace nopte::fuzz
