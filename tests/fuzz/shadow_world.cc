#include "tests/fuzz/shadow_world.h"

#include <algorithm>

namespace nopte::fuzz {

using hv::PageIndex;
using hv::ShadowMmu;

ShadowWorld::ShadowWorld(u8 shape)
    : metadata_((hv::ShadowTables::metadata_bytes(kFrames, kPoolTables) + nodes(shape) * 8) / 8 + 1) {
  const u32 tables = shape & 1 ? hv::ShadowTables::kMinTables : kPoolTables;
  const u64 bytes = hv::ShadowTables::metadata_bytes(kFrames, tables) + nodes(shape) * 8;
  NOPTE_ASSERT(mmu_.init(
      {memory().data(), pt::PhysAddr(kHostBase), kFrames},
      {pool().data(), pt::PhysAddr(kPoolBase), tables, {reinterpret_cast<u8*>(metadata_.data()), bytes}},
      {.physical_bits = kPhysicalBits, .giant_pages = true}));
  mmu_.set_smep(true);
  for (u64 region = 0; region < kRegions; ++region) set(kDirectL2, region, region * kRegion | kKernel | kPs);
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

void ShadowWorld::set(u64 frame, u64 slot, u64 value) {
  memory().write(frame * kPageBytes + slot * 8, value);
  written_.push_back(frame * kPageBytes + slot * 8);
}

void ShadowWorld::said(u64 gpa) {
  written_.push_back(gpa);
  all_said_.push_back({gpa, memory().read(gpa)});
}

ShadowWorld::Done ShadowWorld::access(u64 va, u64 kind, u64 value, bool decodable) {
  constexpr int kMostExits = 8;
  for (int tries = 0; tries < kMostExits; ++tries) {
    auto& known = tlb_.here(mmu_);
    const auto cached = known.find(va & ~u64{4095});
    const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, kind, true);
    NOPTE_ASSERT(!shown.outside);
    if (cached != known.end() && (!(kind & 2) || (cached->second.rights & kW)) && shown.ok) {
      return {true, false, cached->second.physical - kHostBase + va % kPageBytes};
    }
    if (shown.ok) {
      known[va & ~u64{4095}] = {shown.physical, shown.rights};
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

void ShadowWorld::store(u64 n, u64 slot, u64 value, u8 how) {
  const u64 va = (how & kByDirectMap ? kDirect + table(n) * kPageBytes : window(n)) + slot * 8;
  const Done done = access(va, 2, value, how & kDecodable);
  if (!done.done || done.emulated) return;
  NOPTE_ASSERT(!mmu_.tables().is_protected(done.gpa / kPageBytes));
  said(done.gpa);
  memory().write(done.gpa, value);
}

void ShadowWorld::load_root(u64 cr3) {
  const auto root = mmu_.set_root(cr3);
  NOPTE_ASSERT(root.has_value() == ((cr3 & hv::testing::kFrames) < kFrames * kPageBytes));
  flushed();
  if (!root) return;
  tlb_is_shown();
  all_shown_is_allowed({});  // nothing that the new root reaches may be as it was
}

void ShadowWorld::invlpg(u64 va) {
  mmu_.invlpg(Gva(va));
  flushed();
  shown_is_allowed(va, {});
  tlb_is_shown();
}

void ShadowWorld::flush() {
  mmu_.flush();
  flushed();
  NOPTE_ASSERT(mmu_.tables().unsync_pages() == 0 && mmu_.tables().released_pages() <= 1);
  all_said_.clear();
}

// --- what must hold
// ---------------------------------------------------------------------------------------------------

bool ShadowWorld::may_lag(u64 frame) {
  hv::TrappedTables& tables = mmu_.tables();
  for (PageIndex at = tables.first_released(); at != 0; at = tables.page(at).after) {
    if (tables.page(at).gfn == frame) return true;
  }
  for (PageIndex at = tables.first_mirror(frame); at != 0; at = tables.page(at).alias) {
    if (tables.unsync(at)) return true;
  }
  return false;
}

void ShadowWorld::check(bool thorough) {
  flushed();
  hv::TrappedTables& tables = mmu_.tables();
  if (thorough) tables.check_invariants();
  std::erase_if(all_said_, [this](const Said& said) { return !may_lag(said.gpa / kPageBytes); });
  all_shown_is_allowed(all_said_);
  tlb_is_shown();
}

void ShadowWorld::tlb_is_shown() {
  for (const auto& [va, cached] : tlb_.here(mmu_)) {
    const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, 0, false);
    NOPTE_ASSERT(shown.ok && shown.physical == cached.physical);
    NOPTE_ASSERT(!(cached.rights & ~shown.rights & (kW | kU)) && !(shown.rights & ~cached.rights & kNx));
  }
}

bool ShadowWorld::allowed(u64 at, u64 va, unsigned level, u64 rights_above, const Translation& shown,
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

void ShadowWorld::all_shown_is_allowed(const History& history) {
  for (u64 top = 0; top < 5; ++top) {
    for (u64 n = 0; n < kRegions; ++n) {
      shown_is_allowed((top << 39) + n * kRegion, history);
      shown_is_allowed((top << 39) + n * kRegion + kPageBytes, history);
    }
    for (u64 n = 0; n < kTables; ++n) shown_is_allowed((top << 39) + window(n), history);
  }
  for (u64 n = 0; n < kTables; ++n) shown_is_allowed(kDirect + table(n) * kPageBytes, history);
}

void ShadowWorld::shown_is_allowed(u64 va, const History& history) {
  const Translation shown = walk_tables(pool(), kPoolBase, mmu_.host_root().value(), va, 0, false);
  NOPTE_ASSERT(!shown.outside);
  if (!shown.ok) return;
  NOPTE_ASSERT(shown.physical >= kHostBase && shown.physical < kHostBase + kFrames * kPageBytes);
  NOPTE_ASSERT(allowed(mmu_.guest_root() & hv::testing::kFrames, va, 4, kW | kU, shown, history));
}

}  // namespace nopte::fuzz
