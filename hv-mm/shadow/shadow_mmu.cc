#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr u8 kFloodClears = 3;  // entries emptied in a row before a table in use is given up

}  // namespace

Result<void> ShadowMmu::init(const GuestMemory& guest, const ShadowPool& pool, GuestProcessor processor,
                             Tracking tracking) {
  guest_ = guest;
  reserved_ = ReservedBits(processor);
  return tables_.init(guest, pool, tracking);
}

// --- faults ------------------------------------------------------------------------------------------------

ShadowMmu::Fault ShadowMmu::on_page_fault(Gva va, u64 error_code) {
  ShadowCounters& counters = tables_.counters();
  const ShadowTables::Operation operation(tables_, root_);
  const u64 access = error_code & (kFaultWrite | kFaultUser | kFaultFetch);
  GuestWalk walk = walk_guest(guest_, reserved_, root_gfn_, va, access, smep_);
  if (walk.outcome == GuestWalk::Outcome::kFault) {
    ++counters.faults_reflected;
    reflected_ = va;
    reflected_valid_ = true;
    return {.outcome = Fault::Outcome::kReflect, .error_code = walk.error_code, .gpa = {}};
  }
  if (walk.outcome == GuestWalk::Outcome::kOutside)
    return {.outcome = Fault::Outcome::kOutside, .error_code = 0, .gpa = {}};

  const bool write = access & kFaultWrite;
  const u64 gfn = walk.gfn(va);
  const Gpa gpa(pages_to_bytes(gfn) | va.page_offset());
  const u64 leaf = walk.word[walk.leaf_level];
  if (!(walk.all & Entry::kAccessed) || (write && !(leaf & Entry::kDirty))) {
    set_accessed_dirty(walk, va, write);
  }
  if (!guest_.contains(gfn)) return {.outcome = Fault::Outcome::kOutside, .error_code = 0, .gpa = gpa};
  if (write && tables_.is_protected(gfn)) {
    ++counters.write_protect_faults;
    if (!make_writable(gfn, va)) {
      return {.outcome = Fault::Outcome::kEmulateStore, .error_code = 0, .gpa = gpa};
    }
  }
  ++counters.faults_resolved;
  install(va, walk);
  return {};
}

void ShadowMmu::set_accessed_dirty(GuestWalk& walk, Gva va, bool write) {
  for (unsigned level = pt::kLevels; level >= walk.leaf_level; --level) {
    const Entry before = walk.entry(level);
    const u64 bits = Entry::kAccessed | (write && level == walk.leaf_level ? Entry::kDirty : 0);
    if ((before.word() & bits) != bits) {
      walk.word[level] |= bits;
      pt::exchange_entry(guest_.table(walk.table(level, root_gfn_)), pt::table_index(va, level), before,
                         walk.entry(level));
    }
  }
}

// Makes the shadow show what the walk found. Precondition: reserved; A is set along the walk; the frame lies
// in guest memory.
void ShadowMmu::install(Gva va, const GuestWalk& walk) {
  PageIndex page = root_;
  for (unsigned level = pt::kLevels; level > walk.leaf_level; --level) {
    page = descend(page, level, va, walk.entry(level));
  }
  const Entry leaf = walk.entry(walk.leaf_level);
  const u64 gfn = walk.gfn(va);
  unsigned index = pt::table_index(va, walk.leaf_level);
  u64 rights = ShadowTables::allowed_rights(leaf);
  if (walk.leaf_level == 1) {
    const bool was_installed = tables_.entry(page, index).present();
    tables_.set_leaf(page, index, gfn, rights);
    refresh_around(page, index, was_installed);
    tables_.set_leaf(page, index, gfn, rights);  // a neighbour may have taken its place as a writer
    return;
  }
  if (walk.leaf_level == 3) {  // the giant's rights stay above, its inside has all
    const PageIndex inside = tables_.split_of_giant(gfn >> 2 * pt::kIndexBits);
    tables_.link(page, index, inside, rights);
    page = inside;
    index = pt::table_index(Gva(pages_to_bytes(gfn)), 2);
    rights = Entry::kWritable | Entry::kUser;
  }
  tables_.set_span(page, index, gfn >> pt::kIndexBits, rights);
}

// The page below `parent` on the way to va, linked with the guest entry's rights.
PageIndex ShadowMmu::descend(PageIndex parent, unsigned level, Gva va, Entry guest) {
  const unsigned index = pt::table_index(va, level);
  const u64 gfn = guest.frame().number();
  const Entry linked = tables_.entry(parent, index);
  PageIndex child = 0;
  if (linked.present() && !linked.large()) {
    child = tables_.child_of(linked);
    const ShadowPage& page = tables_.page(child);
    if (page.kind != ShadowKind::kMirror || page.gfn != gfn) child = 0;
  }
  if (child == 0) {
    child = mirror_for_use(gfn, level - 1);
    tables_.link(parent, index, child, guest.word());
    // Leaf tables below may have been left behind while nobody used them.
    if (tables_.page(child).live != 0 && level > 2) sync_reachable();
  } else {
    relink(parent, index, guest);
  }
  ShadowPage& page = tables_.page(child);
  page.referenced = true;
  page.clears = 0;
  return child;
}

// A link to the table that is shown there, with the rights that the guest's entry has now. Where these are
// more, what lies below is made true first: a TLB keeps the rights of the whole way together, so that a guest
// flushes nothing when it takes a leaf's right that an entry above refuses, and then adds it above. (APM vol.
// 2 5.5: no flush where the access rights of a translation only grow.)
void ShadowMmu::relink(PageIndex index, unsigned slot, Entry guest) {
  const Entry shown = tables_.entry(index, slot);
  if (((shown.word() ^ guest.word()) & ShadowTables::kRights) == 0) return;
  const PageIndex child = tables_.child_of(shown);
  if (shown.lacks_rights_of(guest) || (guest.user() && !shown.user())) {
    if (tables_.page(index).level > 2) {
      sync_reachable();
    } else if (tables_.page(child).unsync) {
      sync(child);
    }
  }
  tables_.link(index, slot, child, guest.word());
}

// The mirror of a guest table, in sync, about to be linked.
PageIndex ShadowMmu::mirror_for_use(u64 gfn, unsigned level) {
  for (PageIndex at = tables_.first_mirror(gfn); at != 0; at = tables_.page(at).alias) {
    if (tables_.page(at).unsync) sync(at);  // a frame has at most one: its leaf-table mirror
  }
  if (tables_.told()) tables_.reap();
  const PageIndex found = tables_.find_mirror(gfn, level);
  if (found != 0) {
    if (!tables_.told() || tables_.first_detached() == 0) return found;
    // It may be below a table that is gone and still waits: then it is gone as well.
    tables_.zap(found, ShadowTables::Orphans::kZap);
  }
  return tables_.new_mirror(gfn, level);
}

// A store to a protected frame: lets it happen by letting a leaf table go out of sync. False when the frame
// is also a higher table.
bool ShadowMmu::make_writable(u64 gfn, Gva va) {
  const PageIndex page = tables_.first_mirror(gfn);
  if (tables_.page(page).alias != 0 || tables_.page(page).level != 1) return false;
  const Reach where = reach(page);
  if (where.kind == Reach::Kind::kInactive && va.page_offset() == 0) {
    // Likely the start of zeroing: a dead process's table is reused.
    tables_.zap(where.top, ShadowTables::Orphans::kZap);
    ++tables_.counters().tables_released;
  } else {
    let_go_out_of_sync(page);
    ++tables_.counters().tables_unsynced;
  }
  return true;
}

void ShadowMmu::let_go_out_of_sync(PageIndex page) {
  if (tables_.unsync_pages() == ShadowTables::kMostUnsync) sync(tables_.oldest_unsync());
  tables_.mark_unsync(page);
}

ShadowMmu::Reach ShadowMmu::reach(PageIndex page) const {
  while (page != root_) {
    const RefList parents = tables_.page(page).parents;
    if (parents.empty()) return {Reach::Kind::kInactive, page};
    if (!RefPool::single(parents)) return {Reach::Kind::kShared, 0};
    page = EntryRef::of(parents.head).page;
  }
  return {Reach::Kind::kActive, 0};
}

// --- stores to shadowed tables -----------------------------------------------------------------------------

Result<void> ShadowMmu::store(Gpa gpa, u64 value, unsigned bytes) {
  const bool sized = bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
  if (!sized || gpa.value() % bytes != 0 || !guest_.contains(gpa.page())) return Fail(Status::kBadAddress);
  const ShadowTables::Operation operation(tables_, root_);
  ++tables_.counters().emulated_writes;

  const u64 gfn = gpa.page();
  const unsigned index = static_cast<unsigned>(gpa.page_offset() / 8);
  u8* const table = guest_.table(gfn);
  const Entry before = pt::load_entry(table, index);
  const unsigned shift = static_cast<unsigned>(gpa.value() % 8) * 8;
  const u64 mask = (bytes == 8 ? ~u64{0} : (u64{1} << bytes * 8) - 1) << shift;
  const Entry after((before.word() & ~mask) | ((value << shift) & mask));
  pt::store_entry(table, index, after);

  // A mirror may be zapped while the others are told.
  for (unsigned level = 1; level <= pt::kLevels; ++level) {
    if (const PageIndex page = tables_.find_mirror(gfn, level)) entry_stored(page, index, before, after);
  }
  return {};
}

void ShadowMmu::entry_stored(PageIndex index, unsigned slot, Entry before, Entry after) {
  ShadowPage& page = tables_.page(index);
  if (page.level == 1) {
    if (!page.unsync) tables_.refresh(index, slot & ~63u, u64{1} << (slot % 64));
    return;
  }
  const Entry shown = tables_.entry(index, slot);
  const bool usable = after.present() && after.accessed() && !reserved_.set_in(after, page.level);
  if (shown.present() && !shown.large() && links(after, page.level, tables_.child_of(shown))) {
    relink(index, slot, after);
    return;
  }
  if (const PageIndex child = tables_.drop(index, slot)) {
    const ShadowPage& below = tables_.page(child);
    if (below.kind == ShadowKind::kMirror && below.parents.empty()) {
      tables_.zap(child, ShadowTables::Orphans::kZap);
    }
  }
  const Reach where = reach(index);
  if (after.present()) {
    page.clears = 0;
    if (usable && where.kind != Reach::Kind::kInactive) speculate();
  } else if (where.kind == Reach::Kind::kInactive) {
    tables_.zap(where.top, ShadowTables::Orphans::kZap);
    ++tables_.counters().tables_released;
  } else if (before.present() && index != root_ && ++page.clears > kFloodClears) {
    tables_.zap(index, ShadowTables::Orphans::kKeep);
    ++tables_.counters().tables_released;
  }
}

// The guest has linked a table, after a fault that it took: what it maps there is likely what it faulted on.
void ShadowMmu::speculate() {
  if (!reflected_valid_) return;
  const GuestWalk walk = walk_guest_entries(guest_, reserved_, root_gfn_, reflected_, 0);
  if (walk.outcome != GuestWalk::Outcome::kTranslated || !guest_.contains(walk.gfn(reflected_))) return;
  if (!(walk.all & Entry::kAccessed)) return;
  reflected_valid_ = false;
  ++tables_.counters().prefetched;
  install(reflected_, walk);
  if (walk.leaf_level == 1 && !tables_.told()) loosen(walk.entry(2).frame().number());
}

// A leaf table that was linked just now is written to again soon: without an exit, while there is room for
// that.
void ShadowMmu::loosen(u64 gfn) {
  const PageIndex only = tables_.first_mirror(gfn);
  const ShadowPage& page = tables_.page(only);
  if (page.level != 1 || page.alias != 0 || page.unsync || page.live != 1) return;
  if (tables_.unsync_pages() == ShadowTables::kMostUnsync) return;
  tables_.mark_unsync(only);
  ++tables_.counters().tables_unsynced;
}

void ShadowMmu::release(Gpa gpa) {
  const u64 gfn = gpa.page();
  if (!guest_.contains(gfn)) return;
  const ShadowTables::Operation operation(tables_, root_);
  ++tables_.counters().tables_released;
  for (unsigned level = 1; level <= pt::kLevels; ++level) {
    const PageIndex page = tables_.find_mirror(gfn, level);
    if (page == 0) continue;
    const Reach where = reach(page);
    if (where.kind == Reach::Kind::kInactive) {
      tables_.zap(where.top, ShadowTables::Orphans::kZap);
    } else if (level > 1) {
      if (tables_.detached_pages() == ShadowTables::kMostDetached) forget_detached();
      tables_.detach(page);  // the store's own path may lead through it
    } else if (!tables_.page(page).unsync) {
      let_go_out_of_sync(page);
    }
  }
}

}  // namespace nopte::hv
