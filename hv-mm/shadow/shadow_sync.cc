// The synchronisation points of ShadowMmu: CR3 loads, INVLPG, flushes, and looking at leaf tables. The TLB
// holds what is shown: what it has to forget is what that loses here, and nothing else.
#include <bit>

#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr unsigned kBlock = 16;  // neighbours that a fault looks at
constexpr unsigned kMostWaiting = 16;
constexpr unsigned kWorthwhile = 8;  // changed neighbours that make the next block worth a look

}  // namespace

// Looks at the neighbours of the entry that a fault was about: those that the guest has used before (A set)
// would fault next. Where the entry was behind the guest's, its installed neighbours may be too. Goes on
// while that pays.
void ShadowMmu::refresh_around(PageIndex index, unsigned slot, bool was_installed) {
  const ShadowPage& page = tables_.page(index);
  unsigned changed = 0;
  for (unsigned block = slot & ~(kBlock - 1); block < pt::kEntriesPerTable; block += kBlock) {
    const unsigned word = block / 64;
    u64 which = ((u64{1} << kBlock) - 1) << (block % 64);
    if (!was_installed) which &= ~page.installed[word];
    const unsigned changed_here = tables_.refresh(index, word * 64, which);
    changed += changed_here;
    if (changed_here < kWorthwhile) break;
  }
  tables_.counters().prefetched += changed;
}

// Makes the whole leaf table's mirror true again and protects the guest's table.
void ShadowMmu::sync(PageIndex index) {
  const ShadowPage& page = tables_.page(index);
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    tables_.refresh(index, word * 64, page.installed[word]);
  }
  tables_.mark_synced(index);
  ++tables_.counters().syncs;
}

// Every unsynchronised table that the current root may reach. The others wait for their own root's load; not
// too many of them, as each load looks at all.
void ShadowMmu::sync_reachable() {
  unsigned waiting = 0;
  for (PageIndex at = tables_.first_unsync(); at != 0;) {
    const PageIndex next = tables_.page(at).unsync_after;
    if (reach(at).kind != Reach::Kind::kInactive || ++waiting > kMostWaiting) sync(at);
    at = next;
  }
}

// Detached pages have no use any more; a root in use starts empty.
void ShadowMmu::forget_detached() {
  if (tables_.told()) return;  // they have no use, and are emptied at the end of each exit
  for (PageIndex at = tables_.first_detached(); at != 0;) {
    const PageIndex next = tables_.page(at).unsync_after;
    if (at == root_) {
      tables_.clear(at);
    } else {
      tables_.zap(at, ShadowTables::Orphans::kKeep);
    }
    at = next;
  }
}

Result<pt::PhysAddr> ShadowMmu::set_root(u64 cr3) {
  const u64 gfn = (cr3 & Entry::kFrameMask) >> kPageShift;
  if (!guest_.contains(gfn)) return Fail(Status::kBadAddress);
  ++tables_.counters().root_loads;
  const ShadowTables::Operation operation(tables_, root_);
  const PageIndex before = root_;
  PageIndex root = tables_.find_mirror(gfn, pt::kLevels);
  const bool missed = root == 0;
  if (missed) {
    ++tables_.counters().root_misses;
    root = mirror_for_use(gfn, pt::kLevels);
  }
  root_ = root;
  tables_.run_on(root);
  root_gfn_ = gfn;
  root_cr3_ = cr3;
  tables_.page(root).referenced = true;
  if (before != 0 && before != root) {
    constexpr unsigned kKernelHalf = pt::kEntriesPerTable / 2;
    if (missed && !tables_.page(before).detached) copy_entries(before, root, kKernelHalf, kKernelHalf);
  }
  forget_detached();
  sync_reachable();
  return tables_.host_address(root);
}

// Links what `to` has of these entries in common with `from`, so that a new root does not fault its way
// there. What the shadow shows decides, not the guest's older table, which may say something else by now.
void ShadowMmu::copy_entries(PageIndex from, PageIndex to, unsigned first, unsigned count) {
  const u8* const guest_table = guest_.table(tables_.page(to).gfn);
  const auto below = [](unsigned index, unsigned word) {
    return index <= word * 64 ? u64{0} : index >= word * 64 + 64 ? ~u64{0} : (u64{1} << index % 64) - 1;
  };
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    u64 missing = tables_.page(from).installed[word] & ~tables_.page(to).installed[word] &
                  below(first + count, word) & ~below(first, word);
    for (; missing != 0; missing &= missing - 1) {
      const unsigned index = word * 64 + static_cast<unsigned>(std::countr_zero(missing));
      const Entry guest = pt::load_entry(guest_table, index);
      const PageIndex child = tables_.child_of(tables_.entry(from, index));
      if (links(guest, pt::kLevels, child)) {
        tables_.link(to, index, child, guest.word());
      }
    }
  }
}

void ShadowMmu::invlpg(Gva va) {
  ++tables_.counters().invlpgs;
  if (!pt::canonical(va)) return;
  forget_detached();  // INVLPG ends every cached use of higher tables
  PageIndex page = root_;
  for (unsigned level = pt::kLevels;; --level) {
    const ShadowPage& at = tables_.page(page);
    const unsigned index = pt::table_index(va, level);
    if (level == 1) {
      if (at.unsync || (tables_.told() && at.kind == ShadowKind::kMirror)) {
        tables_.refresh(page, index & ~63u, u64{1} << (index % 64));
      }
      return;
    }
    const Entry shown = tables_.entry(page, index);
    if (!shown.present() || shown.large()) return;  // higher tables are never out of sync
    page = tables_.child_of(shown);
  }
}

void ShadowMmu::flush() {
  forget_detached();
  while (const PageIndex page = tables_.first_unsync()) sync(page);
}

}  // namespace nopte::hv
