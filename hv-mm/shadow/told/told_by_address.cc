// ToldMmu: a guest that says which entry of which root changed, by address.
#include "hv-mm/shadow/told/told_mmu.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr unsigned kFirstKernelIndex = pt::kEntriesPerTable / 2;

}  // namespace

// visit(root's mirror) for every root that is shown and that an entry of this level for va concerns. Roots in
// a row that lead to the same kernel table are visited once for what lies in there.
template <class Visit>
void ToldMmu::for_each_root_of(u64 root_gfn, Gva va, unsigned level, Visit visit) {
  const unsigned index = pt::table_index(va, pt::kLevels);
  if (index < kFirstKernelIndex) {
    if (const PageIndex root = tables_.find_mirror(root_gfn, pt::kLevels)) visit(root);
    return;
  }
  Entry done;
  for (PageIndex root = tables_.first_root(); root != 0; root = tables_.page(root).after) {
    const Entry shown = tables_.entry(root, index);
    if (!shown.present() || (shown == done && level < pt::kLevels)) continue;
    done = shown;
    visit(root);
  }
}

void ToldMmu::leaf_told(u64 root_gfn, Gva va, Entry entry) {
  bool seen = false;
  for_each_root_of(root_gfn, va, 1, [&](PageIndex root) {
    const PageIndex page = mirror_on_path(root, va, 1);
    if (page == 0) return;
    tables_.show_leaf(page, pt::table_index(va, 1), entry);
    seen = true;
  });
  if (!seen && entry.present()) unseen_ = true;
}

void ToldMmu::table_told(u64 root_gfn, Gva va, unsigned level) {
  bool gone = false;
  for_each_root_of(root_gfn, va, level, [&](PageIndex root) {
    const PageIndex page = mirror_on_path(root, va, level);
    if (page == 0) return;
    const unsigned index = pt::table_index(va, level);
    tables_.drop_whole(page, index);
    gone = !pt::load_entry(guest_.table(tables_.page(page).gfn), index).present();
  });
  if (!gone) unseen_ = true;
}

void ToldMmu::forget(Forget what) {
  reflected_valid_ = false;
  if (what == Forget::kUser) {
    tables_.drop_all(root_, ShadowTables::Orphans::kZap, 0, kFirstKernelIndex);
  } else {
    for (PageIndex root = tables_.first_root(); root != 0; root = tables_.page(root).after) {
      tables_.drop_all(root, ShadowTables::Orphans::kZap);
    }
  }
}

}  // namespace nopte::hv
