// ShadowMmu for a guest that tells what it does to its tables (Tracking::kTold). The guest's tables stay the
// truth: what is told only says where to look.
#include <bit>

#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

using pt::Entry;

void ShadowMmu::block_told(u64 block, u64 which) {
  constexpr u64 kBlocks = pt::kEntriesPerTable / 64;
  const u64 gfn = block / kBlocks;
  const unsigned first_slot = static_cast<unsigned>(block % kBlocks) * 64;
  const PageIndex first = tables_.first_mirror(gfn);
  if (first == 0) {
    unseen_ = true;
    return;
  }
  const unsigned only_level = tables_.page(first).alias == 0 ? tables_.page(first).level : 0;
  if (only_level == 1) [[likely]] {
    tables_.refresh(first, first_slot, which);
    return;
  }
  // A mirror may lose its last link while the others follow.
  for (unsigned level = only_level != 0 ? only_level : 1; level <= pt::kLevels; ++level) {
    for (u64 left = which; left != 0; left &= left - 1) {
      const PageIndex page = tables_.find_mirror(gfn, level);
      if (page == 0) break;
      if (level == 1) {
        tables_.refresh(page, first_slot, left);
        break;
      }
      const unsigned slot = first_slot + static_cast<unsigned>(std::countr_zero(left));
      link_told(page, slot, pt::load_entry(guest_.table(gfn), slot));
    }
    if (level == only_level) break;
  }
}

// An entry of a higher table: its link stays when it is to the same table.
void ShadowMmu::link_told(PageIndex page, unsigned slot, Entry guest) {
  if (guest.present()) unseen_ = true;
  const Entry shown = tables_.entry(page, slot);
  if (!shown.present()) return;
  if (!shown.large() && links(guest, tables_.page(page).level, tables_.child_of(shown))) {
    relink(page, slot, guest);
  } else {
    tables_.drop_whole(page, slot);
  }
}

void ShadowMmu::entry_set(Gpa gpa, Entry value) {
  pt::store_entry(guest_.table(gpa.page()), static_cast<unsigned>(gpa.page_offset() / sizeof(u64)), value);
  entry_told(gpa);
}

void ShadowMmu::told_all() {
  if (!unseen_) {
    reflected_valid_ = false;
    return;
  }
  unseen_ = false;
  if (!reflected_valid_) return;
  const ShadowTables::Operation operation(tables_, root_);
  speculate();
}

void ShadowMmu::table_released(u64 gfn) {
  for (unsigned level = 1; level <= pt::kLevels; ++level) {
    const PageIndex page = tables_.find_mirror(gfn, level);
    if (page == 0) continue;
    if (page != root_) {
      tables_.zap(page, ShadowTables::Orphans::kZap);
      continue;
    }
    drop_all(page, 0, pt::kEntriesPerTable - 1);
  }
}

// The entries [first, last] of a page, at multiples of 64.
void ShadowMmu::drop_all(PageIndex page, unsigned first, unsigned last) {
  for (unsigned word = first / 64; word <= last / 64; ++word) {
    while (const u64 left = tables_.page(page).installed[word]) {
      tables_.drop_whole(page, word * 64 + static_cast<unsigned>(std::countr_zero(left)));
    }
  }
}

void ShadowMmu::root_cloned(u64 gfn, u64 from_gfn, unsigned first, unsigned count) {
  table_released(gfn);
  const ShadowTables::Operation operation(tables_, root_);
  const PageIndex from = tables_.find_mirror(from_gfn, pt::kLevels);
  if (from == 0) return;
  copy_entries(from, mirror_for_use(gfn, pt::kLevels), first, count);
}

}  // namespace nopte::hv
