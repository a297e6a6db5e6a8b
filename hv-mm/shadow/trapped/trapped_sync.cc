// The synchronisation points of TrappedMmu: CR3 loads, INVLPG, flushes, and new links. The TLB holds what is
// shown: what it has to forget is what that loses here, and nothing else.
#include "hv-mm/shadow/trapped/trapped_mmu.h"

namespace nopte::hv {

namespace {

constexpr unsigned kMostWaiting = 16;

}  // namespace

// Makes the whole leaf table's mirror true again and protects the guest's table.
void TrappedMmu::sync(PageIndex index) {
  const ShadowPage& page = tables_.page(index);
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    if (const u64 which = page.installed[word]) tables_.refresh(index, word * 64, which);
  }
  tables_.mark_synced(index);
  ++tables_.counters().syncs;
}

// Every unsynchronised table that the current root may reach. The others wait for their own root's load; not
// too many of them, as each load looks at all.
void TrappedMmu::sync_reachable() {
  unsigned waiting = 0;
  for (PageIndex at = tables_.first_unsync(); at != 0;) {
    const PageIndex next = tables_.page(at).after;
    if (reach(at).kind != Reach::Kind::kInactive || ++waiting > kMostWaiting) sync(at);
    at = next;
  }
}

void TrappedMmu::zap_released() {
  for (PageIndex at = tables_.first_released(); at != 0;) {
    const PageIndex next = tables_.page(at).after;
    if (at == root_) {
      tables_.drop_all(at, ShadowTables::Orphans::kKeep);
    } else {
      tables_.zap(at, ShadowTables::Orphans::kKeep);
    }
    at = next;
  }
}

PageIndex TrappedMmu::usable_mirror(u64 gfn, unsigned level) {
  for (PageIndex at = tables_.first_mirror(gfn); at != 0; at = tables_.page(at).alias) {
    if (tables_.unsync(at)) sync(at);  // a frame has at most one: its leaf-table mirror
  }
  return tables_.find_mirror(gfn, level);
}

// Leaf tables below may have been left behind while nobody used them.
void TrappedMmu::catch_up(PageIndex index) {
  if (tables_.page(index).level > 1) {
    sync_reachable();
  } else if (tables_.unsync(index)) {
    sync(index);
  }
}

void TrappedMmu::root_loaded() {
  forget_released();
  sync_reachable();
}

void TrappedMmu::invlpg(Gva va) {
  ++tables_.counters().invlpgs;
  if (!pt::canonical(va)) return;
  forget_released();  // INVLPG ends every cached use of higher tables, which are never out of sync
  const PageIndex page = mirror_on_path(root_, va, 1);
  if (page == 0 || !tables_.unsync(page)) return;
  const unsigned index = pt::table_index(va, 1);
  tables_.refresh(page, index & ~63u, u64{1} << (index % 64));
}

void TrappedMmu::flush() {
  forget_released();
  while (const PageIndex page = tables_.first_unsync()) sync(page);
}

}  // namespace nopte::hv
