// ShadowMmu for a guest that tells what it does to its tables (Tracking::kTold). The guest's tables stay the
// truth: what is told only says where to look.
#include <bit>

#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

using pt::Entry;

void ShadowMmu::entry_told(Gpa gpa) {
  const u64 gfn = gpa.page();
  const unsigned slot = static_cast<unsigned>(gpa.page_offset() / sizeof(u64));
  const PageIndex first = tables_.first_mirror(gfn);
  if (first == 0) {
    unseen_ = true;
    return;
  }
  if (tables_.page(first).level == 1 && tables_.page(first).alias == 0) [[likely]] {
    tables_.refresh(first, slot & ~63u, u64{1} << (slot % 64));
    return;
  }
  // A mirror may be zapped while the others follow.
  for (unsigned level = 1; level <= pt::kLevels; ++level) {
    const PageIndex page = tables_.find_mirror(gfn, level);
    if (page == 0) continue;
    if (level == 1) {
      tables_.refresh(page, slot & ~63u, u64{1} << (slot % 64));
      continue;
    }
    const Entry guest = pt::load_entry(guest_.table(gfn), slot);
    const Entry shown = tables_.entry(page, slot);
    if (guest.present()) unseen_ = true;
    if (!shown.present()) continue;
    if (!shown.large() && links(guest, level, tables_.child_of(shown))) {
      tables_.link(page, slot, tables_.child_of(shown), guest.word());  // other rights, the same table
      continue;
    }
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
  tables_.reserve(root_);
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
  tables_.reserve(root_);
  const PageIndex from = tables_.find_mirror(from_gfn, pt::kLevels);
  if (from == 0) return;
  copy_entries(from, mirror_for_use(gfn, pt::kLevels), first, count);
}

}  // namespace nopte::hv
