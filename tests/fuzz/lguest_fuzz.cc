// A guest of mode lguest that says anything, at once and in its ring.
#include <cstring>
#include <optional>

#include "hv-mm/told/lguest_calls.h"
#include "tests/fuzz/told_world.h"

namespace nopte::fuzz {
namespace {

using namespace abi::lguest;

class LguestGuest {
 public:
  explicit LguestGuest(ToldWorld& world) : world_(world) { start(); }

  void before_look() { drain(); }

  void call(u8 what, Input& input) {
    switch (what % 8) {
      case 0:
      case 1:
      case 2: {  // as a good guest: writes an entry and tells it
        const u64 root = what & 32 ? kPageBytes : 5 * kPageBytes;
        const u64 va = ToldWorld::virtual_address(input);
        const unsigned level = 1 + what % 4;
        const u64 value = ToldWorld::word(input);
        const Translation path = walk_tables(ToldWorld::guest(), 0, root, va, 0, false);
        if (path.slots[level] == 0 || path.slots[level] >= kRing) break;
        world_.write(path.slots[level], value);
        one(change(root, va, level, value), what & 64);
        break;
      }
      case 3:  // a change of nothing in particular
        one(any(input), what & 64);
        break;
      case 4:  // many at once
        for (u64 n = input.byte() % (kRingSlots + 1); n != 0 && free(); --n) {
          put(input.byte() < 250 ? sensible(input) : any(input));
        }
        if (what & 64) drain();
        break;
      case 5: {  // a root
        const u64 root = what & 64 ? ToldWorld::nasty(input) : ToldWorld::table(input);
        drain();
        if (at_once({kNewPgtable, {root, 0, 0}})) world_.load_root(root);
        break;
      }
      case 6:  // nonsense in the ring
        for (u64 n = input.byte() % 8; n != 0; --n) {
          world_.write(kRing + ToldWorld::nasty(input) % sizeof(Ring) / 8 * 8, ToldWorld::nasty(input));
        }
        drain();
        start();  // who knows which slot comes next
        break;
      default:
        drain();
        if (what & 64) {
          const u64 number = ToldWorld::nasty(input);
          const RingCall made{number, {ToldWorld::nasty(input), ToldWorld::nasty(input), 0}};
          if (number != kNewPgtable) one(made, false);
        } else {
          NOPTE_ASSERT(!at_once({kInit, {ToldWorld::nasty(input), 0, 0}}));
        }
    }
  }

 private:
  static constexpr u64 kRing = 600 * kPageBytes;
  static constexpr unsigned kLevels = pt::kLevels;

  // --- the guest ---
  void start() {
    clear_ring();
    calls_.emplace(world_.mmu());
    next_ = 0;
    NOPTE_ASSERT(calls_->call(kInit, {kRing}).status == Status::kOk);
  }
  void clear_ring() {
    for (u64 at = 0; at < kRingSlots; at += 8) world_.write(kRing + at, ~u64{0});
  }
  static RingCall change(u64 root, u64 va, unsigned level, u64 value) {
    if (level == 1) return {kSetPte, {root, va, value}};
    if (level == kLevels) return {kSetPgd, {root, va >> 39 & 511, 0}};
    return {kSetPmd, {root, va | level, 0}};
  }
  static RingCall sensible(Input& input) {
    const u8 what = input.byte();
    const u64 root = ToldWorld::table(input);
    const u64 va = ToldWorld::virtual_address(input);
    if (what == 0) return {kFlushTlb, {root & kPageBytes, 0, 0}};
    u64 value = ToldWorld::word(input);
    if ((value & kFrames) >= ToldWorld::kGuestFrames * kPageBytes) value &= ~kP;
    return change(root, va, 1 + what % 4, value);
  }
  static RingCall any(Input& input) {
    static constexpr u64 kNumbers[] = {kSetPte, kSetPmd, kSetPgd, kFlushTlb};
    const u64 number = kNumbers[input.byte() % 4];
    const u64 a0 = ToldWorld::nasty(input), a1 = ToldWorld::nasty(input);
    return {number, {a0, a1, ToldWorld::word(input)}};
  }
  static u8 status(u64 slot) { return ToldWorld::guest().data()[kRing + slot]; }
  static RingCall read(u64 slot) {
    RingCall made;
    std::memcpy(&made, ToldWorld::guest().data() + kRing + offsetof(Ring, calls) + slot * sizeof(made),
                sizeof(made));
    return made;
  }
  [[nodiscard]] bool free() const { return status(next_) == kSlotFree; }
  void put(const RingCall& made) {
    const u64 at = kRing + offsetof(Ring, calls) + next_ * sizeof(made);
    world_.write(at, made.number);
    for (u64 i = 0; i < 3; ++i) world_.write(at + (i + 1) * 8, made.arguments[i]);
    ToldWorld::guest().data()[kRing + next_] = kSlotFilled;
    next_ = (next_ + 1) % kRingSlots;
  }

  // --- calls ---
  // Which tables are shown is known now, not when a call was put there.
  void drain() {
    for (u64 slot = 0; slot < kRingSlots; ++slot) {
      if (status(slot) != kSlotFree) may_be_shown(read(slot));
    }
    calls_->drain();
    if (calls_->ends_guest() == nullptr) return;
    // Nothing more happens to a guest that is to end.
    const auto before = world_.before();
    NOPTE_ASSERT(calls_->call(kNewPgtable, {kPageBytes}).status != Status::kOk);
    world_.refused(before);
    start();
  }
  // Precondition: the ring is empty. False when it was refused.
  bool at_once(const RingCall& made) {
    const auto before = world_.before();
    const hv::CallResult result =
        calls_->call(made.number, {made.arguments[0], made.arguments[1], made.arguments[2]});
    if (result.status == Status::kOk) return true;
    NOPTE_ASSERT(result.value == kErrorInvalid || result.value == kErrorFault ||
                 result.value == kErrorNoSuchCall || result.value == kErrorExists);
    world_.refused(before);
    return false;
  }
  void one(const RingCall& made, bool by_ring) {
    drain();
    const auto entries = concerned(made);
    if (by_ring) {
      put(made);
      calls_->drain();
      if (calls_->ends_guest() != nullptr) {
        drain();
        return;
      }
    } else if (!at_once(made)) {
      return;
    }
    if (made.number == kFlushTlb) {
      flushed(made.arguments[0] != 0);
      return;
    }
    for (const Concerned& entry : entries) {
      if (entry.alone) world_.told(entry.gpa);
      if (made.number == kSetPte) world_.said(entry.gpa, made.arguments[2]);
    }
  }

  // --- what a call says ---
  [[nodiscard]] hv::ShadowTables& tables() { return world_.mmu().tables(); }
  [[nodiscard]] unsigned mirrors(u64 gfn) {
    unsigned count = 0;
    for (unsigned level = 1; level <= kLevels; ++level) count += tables().find_mirror(gfn, level) != 0;
    return count;
  }
  // The guest's entries that the call is about, as far as their tables are shown. Alone: the table is not
  // shown at another level as well, of which the call says nothing.
  struct Concerned {
    u64 gpa;
    bool alone;
  };
  std::vector<Concerned> concerned(const RingCall& made) {
    u64 va = made.arguments[1];
    unsigned level = 1;
    if (made.number == kSetPgd) {
      level = kLevels;
      va = va << 39;
    } else if (made.number == kSetPmd) {
      level = va % kPageBytes;
    } else if (made.number != kSetPte) {
      return {};
    }
    if (level == 0 || level > kLevels) return {};
    std::vector<Concerned> entries;
    for (u64 gfn = 0; gfn < ToldWorld::kGuestFrames; ++gfn) {
      if (!(va >> 47 & 1) && gfn * kPageBytes != made.arguments[0]) continue;
      if (const u64 gpa = shown_for(gfn, va, level)) {
        entries.push_back({gpa, mirrors(gpa / kPageBytes) == 1});
      }
    }
    return entries;
  }
  u64 shown_for(u64 root, u64 va, unsigned level) {
    hv::PageIndex page = tables().find_mirror(root, kLevels);
    if (page == 0) return 0;
    for (unsigned at = kLevels; at > level; --at) {
      const pt::Entry shown = tables().entry(page, va >> (3 + 9 * at) & 511);
      if (!shown.present() || shown.large()) return 0;
      page = tables().child_of(shown);
    }
    if (tables().page(page).kind != hv::ShadowKind::kMirror) return 0;
    return tables().page(page).gfn * kPageBytes + (va >> (3 + 9 * level) & 511) * 8;
  }
  // A value that a call of the ring names, for whichever table that is shown has the slot.
  void may_be_shown(const RingCall& made) {
    if (made.number != kSetPte) return;
    for (u64 gfn = 0; gfn < ToldWorld::kGuestFrames; ++gfn) {
      if (tables().find_mirror(gfn, 1) == 0) continue;
      world_.said(gfn * kPageBytes + (made.arguments[1] >> 12 & 511) * 8, made.arguments[2]);
    }
  }
  void flushed(bool everything) {
    if (everything) {
      // What is shown again by now is what the tables say.
      for (u64 gfn = 0; gfn < ToldWorld::kGuestFrames; ++gfn) world_.table_gone(gfn);
      return;
    }
    const u64 root = world_.cr3() & kFrames;
    if (mirrors(root / kPageBytes) != 1) return;
    for (u64 slot = 0; slot < pt::kEntriesPerTable / 2; ++slot) world_.told(root + slot * 8);
  }

  ToldWorld& world_;
  std::optional<hv::LguestCalls> calls_;
  u64 next_ = 0;
};

}  // namespace
}  // namespace nopte::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 1024) nopte::fuzz::fuzz_told<nopte::fuzz::LguestGuest>(data, size);
  return 0;
}
