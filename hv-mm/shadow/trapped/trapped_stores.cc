// TrappedMmu: stores to shadowed tables.
#include "hv-mm/shadow/trapped/trapped_mmu.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr u8 kFloodClears = 3;  // entries emptied in a row before a table in use is given up

}  // namespace

// A store to a protected frame: lets it happen by letting a leaf table go out of sync. False when the frame
// is also a higher table.
bool TrappedMmu::let_write(u64 gfn, Gva va) {
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

void TrappedMmu::let_go_out_of_sync(PageIndex page) {
  if (tables_.unsync_pages() == TrappedTables::kMostUnsync) sync(tables_.oldest_unsync());
  tables_.mark_unsync(page);
}

TrappedMmu::Reach TrappedMmu::reach(PageIndex page) const {
  while (page != root_) {
    const RefList parents = tables_.page(page).parents;
    if (parents.empty()) return {Reach::Kind::kInactive, page};
    if (!RefPool::single(parents)) return {Reach::Kind::kShared, 0};
    page = EntryRef::of(parents.head).page;
  }
  return {Reach::Kind::kActive, 0};
}

Result<void> TrappedMmu::store(Gpa gpa, u64 value, unsigned bytes) {
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

void TrappedMmu::entry_stored(PageIndex index, unsigned slot, Entry before, Entry after) {
  ShadowPage& page = tables_.page(index);
  if (page.level == 1) {
    if (!tables_.unsync(index)) tables_.refresh(index, slot & ~63u, u64{1} << (slot % 64));
    return;
  }
  const Entry shown = tables_.entry(index, slot);
  const bool usable = after.present() && after.accessed() && !reserved_.set_in(after, page.level);
  if (shown.present() && !shown.large() && links(after, page.level, tables_.child_of(shown))) {
    relink(index, slot, shown, after);
    return;
  }
  tables_.drop_whole(index, slot);
  const Reach where = reach(index);
  if (after.present()) {
    page.clears = 0;
    if (!usable || where.kind == Reach::Kind::kInactive) return;
    if (const auto leaf_table = speculate()) loosen(*leaf_table);
  } else if (where.kind == Reach::Kind::kInactive) {
    tables_.zap(where.top, ShadowTables::Orphans::kZap);
    ++tables_.counters().tables_released;
  } else if (before.present() && index != root_ && ++page.clears > kFloodClears) {
    tables_.zap(index, ShadowTables::Orphans::kKeep);
    ++tables_.counters().tables_released;
  }
}

// A leaf table that was linked just now is written to again soon: without an exit, while there is room for
// that.
void TrappedMmu::loosen(u64 gfn) {
  const PageIndex only = tables_.first_mirror(gfn);
  const ShadowPage& page = tables_.page(only);
  if (page.level != 1 || page.alias != 0 || tables_.unsync(only) || page.live != 1) return;
  if (tables_.unsync_pages() == TrappedTables::kMostUnsync) return;
  tables_.mark_unsync(only);
  ++tables_.counters().tables_unsynced;
}

void TrappedMmu::release(Gpa gpa) {
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
      if (tables_.released_pages() == TrappedTables::kMostReleased) forget_released();
      tables_.release(page);  // the store's own path may lead through it
    } else if (!tables_.unsync(page)) {
      let_go_out_of_sync(page);
    }
  }
}

}  // namespace nopte::hv
