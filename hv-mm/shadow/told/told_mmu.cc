#include "hv-mm/shadow/told/told_mmu.h"

#include <bit>

namespace nopte::hv {

using pt::Entry;

// It may be below a table that is gone and still waits: then it is gone as well.
PageIndex ToldMmu::usable_mirror(u64 gfn, unsigned level) {
  if (tables_.orphans_wait()) tables_.reap();
  const PageIndex found = tables_.find_mirror(gfn, level);
  if (found == 0 || !tables_.orphans_wait()) return found;
  tables_.zap(found, ShadowTables::Orphans::kZap);
  return 0;
}

void ToldMmu::invlpg(Gva va) {
  ++tables_.counters().invlpgs;
  if (!pt::canonical(va)) return;
  const PageIndex page = mirror_on_path(root_, va, 1);
  if (page == 0) return;
  const unsigned index = pt::table_index(va, 1);
  tables_.refresh(page, index & ~63u, u64{1} << (index % 64));
}

void ToldMmu::block_told(u64 block, u64 which) {
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
void ToldMmu::link_told(PageIndex page, unsigned slot, Entry guest) {
  if (guest.present()) unseen_ = true;
  const Entry shown = tables_.entry(page, slot);
  if (!shown.present()) return;
  if (!shown.large() && links(guest, tables_.page(page).level, tables_.child_of(shown))) {
    relink(page, slot, shown, guest);
  } else {
    tables_.drop_whole(page, slot);
  }
}

void ToldMmu::entry_set(Gpa gpa, Entry value) {
  pt::store_entry(guest_.table(gpa.page()), static_cast<unsigned>(gpa.page_offset() / sizeof(u64)), value);
  entry_told(gpa);
}

void ToldMmu::told_all() {
  if (!unseen_) {
    reflected_valid_ = false;
    return;
  }
  unseen_ = false;
  if (!reflected_valid_) return;
  const ShadowTables::Operation operation(tables_, root_);
  (void)speculate();
}

void ToldMmu::table_released(u64 gfn) {
  for (unsigned level = 1; level <= pt::kLevels; ++level) {
    const PageIndex page = tables_.find_mirror(gfn, level);
    if (page == 0) continue;
    if (page != root_) {
      tables_.zap(page, ShadowTables::Orphans::kZap);
      continue;
    }
    tables_.drop_all(page, ShadowTables::Orphans::kZap);
  }
}

void ToldMmu::root_cloned(u64 gfn, u64 from_gfn, unsigned first, unsigned count) {
  table_released(gfn);
  const ShadowTables::Operation operation(tables_, root_);
  const PageIndex from = tables_.find_mirror(from_gfn, pt::kLevels);
  if (from == 0) return;
  copy_entries(from, mirror_for_use(gfn, pt::kLevels), first, count);
}

}  // namespace nopte::hv
