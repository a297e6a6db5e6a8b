#include "tests/fuzz/told_world.h"

#include <algorithm>

namespace nopte::fuzz {

using hv::ShadowMmu;

void ToldWorld::start(u64 spare_nodes) {
  const u64 bytes =
      hv::ShadowTables::metadata_bytes(kGuestFrames, pool_tables_) + spare_nodes * sizeof(hv::RefPool::Node);
  const hv::GuestMemory memory{guest().data(), pt::PhysAddr(kHostBase), kGuestFrames};
  const hv::ShadowPool pool_of{
      pool().data(), pt::PhysAddr(kPoolBase), pool_tables_, {reinterpret_cast<u8*>(metadata_.data()), bytes}};
  NOPTE_ASSERT(mmu_.init(memory, pool_of, {.physical_bits = kPhysicalBits, .giant_pages = true}));
  mmu_.set_smep(true);
  for (const u64 root : {1, 5}) {
    write(root * kPageBytes, 2 * kPageBytes | kFlags);
    write(root * kPageBytes + 511 * 8, 2 * kPageBytes | kFlags);
  }
  for (u64 at = 2; at < 4; ++at) write(at * kPageBytes, (at + 1) * kPageBytes | kFlags);
  for (u64 page = 0; page < 4; ++page) write(4 * kPageBytes + page * 8, (100 + page) * kPageBytes | kFlags);
  load_root(kPageBytes);
  check();
}

void ToldWorld::load_root(u64 cr3) {
  const auto root = mmu_.set_root(cr3);
  NOPTE_ASSERT(root.has_value() == ((cr3 & kFrames) < kGuestFrames * kPageBytes));
  if (!root) return;
  host_root_ = root->value();
  cr3_ = cr3;
}

void ToldWorld::access(u64 va, u64 kind) {
  constexpr int kMostExits = 6;
  for (int tries = 0; tries < kMostExits; ++tries) {
    auto& known = tlb_.here(mmu_);
    const auto cached = known.find(va & ~u64{4095});
    if (cached != known.end() && allows(cached->second.rights, kind)) return;
    const Translation shown = walk_tables(pool(), kPoolBase, host_root_, va, kind, true);
    NOPTE_ASSERT(!shown.outside);
    if (shown.ok) {
      known[va & ~u64{4095}] = {shown.physical, shown.rights};
      return;
    }
    const ShadowMmu::Fault fault = mmu_.on_page_fault(Gva(va), shown.error);
    const Translation meant = walk_tables(guest(), 0, cr3_, va, kind, true);
    switch (fault.outcome) {
      case ShadowMmu::Fault::Outcome::kReflect:
        NOPTE_ASSERT(!meant.ok && !meant.outside && meant.error == fault.error_code);
        return;
      case ShadowMmu::Fault::Outcome::kOutside:
        NOPTE_ASSERT(meant.outside || meant.physical >= kGuestFrames * kPageBytes);
        return;
      case ShadowMmu::Fault::Outcome::kResolved:
        NOPTE_ASSERT(meant.ok);
        break;
      case ShadowMmu::Fault::Outcome::kEmulateStore:
        NOPTE_ASSERT(!"no table is protected");
    }
    check();
  }
  NOPTE_ASSERT(!"the access makes no progress");
}

// --- checks ------------------------------------------------------------------------------------------------

void ToldWorld::check() {
  tlb_.forget(mmu_);
  hv::ShadowTables& tables = mmu_.tables();
  tables.check_invariants();
  std::erase_if(said_, [&](const Said& said) { return tables.first_mirror(said.gpa / kPageBytes) == 0; });

  const hv::PageIndex root = tables.find_mirror(cr3_ % (u64{1} << 52) / kPageBytes, 4);
  NOPTE_ASSERT(root == mmu_.root() && tables.host_address(root).value() == host_root_);
  seen_.clear();
  for (u64 gfn = 0; gfn < kGuestFrames; ++gfn) {
    if (tables.first_mirror(gfn) == 0) continue;
    if (const hv::PageIndex page = tables.find_mirror(gfn, 4)) {
      NOPTE_ASSERT(table_allowed(tables.host_address(page).value(), gfn, 4));
    }
  }
  for (const auto& [va, cached] : tlb_.here(mmu_)) {
    const Translation shown = walk_tables(pool(), kPoolBase, host_root_, va, 0, false);
    NOPTE_ASSERT(shown.ok && shown.physical == cached.physical);
    NOPTE_ASSERT(!(cached.rights & ~shown.rights & (kW | kU)) && !(shown.rights & ~cached.rights & kNx));
  }
}

void ToldWorld::bounded(const Before& then) {
  constexpr u64 kMostTables = 1024;  // a gathered call names some hundreds
  const Before now = before();
  const u64 tables = now.pages_zapped - then.pages_zapped + now.pages_allocated - then.pages_allocated;
  NOPTE_ASSERT(tables <= kMostTables);
  NOPTE_ASSERT(now.entries_written - then.entries_written <= (tables + 4) * pt::kEntriesPerTable);
}

u64 ToldWorld::next_shown(u64 at, unsigned& slot) {
  const u64* const entries = reinterpret_cast<const u64*>(pool().data() + (at - kPoolBase));
  while (slot < pt::kEntriesPerTable && entries[slot] == 0) ++slot;
  return slot < pt::kEntriesPerTable ? entries[slot] : 0;
}

bool ToldWorld::table_allowed(u64 at, u64 gfn, unsigned level) {
  if (gfn >= kGuestFrames) return false;
  NOPTE_ASSERT(at >= kPoolBase && at - kPoolBase < u64{pool_tables_} * kPageBytes);
  return once(at, gfn, level, [&] {
    for (unsigned slot = 0;; ++slot) {
      const u64 shown = next_shown(at, slot);
      if (shown == 0) return true;
      const u64 gpa = pages_to_bytes(gfn) + slot * 8;
      if (entry_allowed(shown, guest().read(gpa), level)) continue;
      const bool allowed = std::ranges::any_of(said_, [&](const Said& said) {
        return said.gpa == gpa && entry_allowed(shown, said.value, level);
      });
      if (!allowed) return false;
    }
  });
}

bool ToldWorld::entry_allowed(u64 shown, u64 said, unsigned level) {
  const bool leaf = level == 1 || (said & kPs);
  const u64 wanted = kP | kA | (leaf && (shown & kW) ? kD : 0);
  if (!(shown & kP) || (said & wanted) != wanted || (said & reserved_bits(said, level))) return false;
  if ((shown & ~said & (kW | kU)) || (said & ~shown & kNx)) return false;
  if (!leaf)
    return !(shown & kPs) && table_allowed(shown & kFrames, (said & kFrames) / kPageBytes, level - 1);
  const u64 page_bytes = u64{1} << (12 + 9 * (level - 1));
  return inside_allowed(shown, said & kFrames & ~(page_bytes - 1), level);
}

bool ToldWorld::inside_allowed(u64 shown, u64 gpa, unsigned level) {
  const u64 page_bytes = u64{1} << (12 + 9 * (level - 1));
  const u64 limit = kGuestFrames * kPageBytes;
  if (level == 1 || (shown & kPs)) {
    const u64 at = shown & kFrames & ~(page_bytes - 1);
    return at == gpa + kHostBase && gpa < limit && page_bytes <= limit - gpa;
  }
  const u64 at = shown & kFrames;
  NOPTE_ASSERT(at >= kPoolBase && at - kPoolBase < u64{pool_tables_} * kPageBytes);
  return once(at, gpa | 1, level, [&] {  // not to be taken for a frame
    for (unsigned slot = 0;; ++slot) {
      const u64 inside = next_shown(at, slot);
      if (inside == 0) return true;
      if (!(inside & kP) || !inside_allowed(inside, gpa + slot * (page_bytes / 512), level - 1)) return false;
    }
  });
}

void ToldWorld::end() {
  constexpr u32 kSplits = 3;  // of two regions, and of their 1 GiB
  hv::ShadowTables& tables = mmu_.tables();
  for (u64 gfn = 0; gfn < kGuestFrames; ++gfn) {
    if (tables.first_mirror(gfn) == 0) continue;
    mmu_.table_released(gfn);
    table_gone(gfn);
    check();
  }
  NOPTE_ASSERT(tables.page(mmu_.root()).live == 0);
  NOPTE_ASSERT(tables.free_tables() >= pool_tables_ - 1 - kSplits);
}

// --- what to do it with ------------------------------------------------------------------------------------

u64 ToldWorld::virtual_address(Input& input) {
  const u8 slots = input.byte();
  u64 va = 0;
  for (unsigned level = 0; level < 4; ++level) va |= kSlots[slots >> 2 * level & 3] << (12 + 9 * level);
  return static_cast<u64>(static_cast<i64>(va << 16) >> 16);
}

u64 ToldWorld::word(Input& input) {
  const u8 shape = input.byte();
  const u64 less =
      (shape & 8 ? kW : 0) | (shape & 16 ? kU : 0) | (shape & 32 ? kA : 0) | (shape & 64 ? kD : 0);
  const u64 flags = (kFlags & ~less) | (shape & 128 ? kNx : 0);
  switch (shape & 7) {
    case 0:
      return 0;
    case 1:
      return pages_to_bytes(input.raw(2) % kGuestFrames) | flags;  // any frame, tables too
    case 2: {
      const u8 region = input.byte();  // a large leaf; misplaced by bit 7
      return (u64{region} % 4 << 21) | (region & 0x80 ? 0x2000 : 0) | flags | kPs;
    }
    case 3:
      return nasty(input) ^ flags;
    default:
      return table(input) | flags;
  }
}

u64 ToldWorld::nasty(Input& input) {
  const u8 choice = input.byte();
  if (choice < 32) return choice;
  if (choice < 96) return (choice - 32) % kTables * kPageBytes + choice % 4 * 8;
  if (choice < 128) return (choice - 96) % kTables * kPageBytes;
  if (choice < 160) return kGuestFrames * kPageBytes - (u64{8} << (choice - 128) % 16);
  if (choice < 224) return u64{1} << (choice - 160);
  if (choice < 240) return ~u64{0} << (choice - 224);
  return input.raw(8);
}

}  // namespace nopte::fuzz
