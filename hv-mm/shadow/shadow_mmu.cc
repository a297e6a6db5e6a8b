#include "hv-mm/shadow/shadow_mmu.h"

#include <bit>

#include "native-fallback/tables/descend.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr unsigned kBlock = 16;      // neighbours that a fault looks at
constexpr unsigned kWorthwhile = 8;  // changed neighbours that make the next block worth a look

}  // namespace

Result<void> ShadowMmu::init(const GuestMemory& guest, const ShadowPool& pool, GuestProcessor processor) {
  guest_ = guest;
  reserved_ = ReservedBits(processor);
  return tables_.init(guest, pool);
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
    if (!let_write(gfn, va)) {
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
    // A neighbour may have taken its place as a writer.
    if (refresh_around(page, index, was_installed) != 0) tables_.set_leaf(page, index, gfn, rights);
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
    if (level > 2 && tables_.page(child).live != 0) catch_up(child);
  } else {
    relink(parent, index, linked, guest);
  }
  ShadowPage& page = tables_.page(child);
  page.referenced = true;
  page.clears = 0;
  return child;
}

// Where the rights are more, what lies below is made true first: a TLB keeps the rights of the whole way
// together, so that a guest flushes nothing when it takes a leaf's right that an entry above refuses, and
// then adds it above. (APM vol. 2 5.5: no flush where the access rights of a translation only grow.)
void ShadowMmu::change_rights(PageIndex index, unsigned slot, Entry shown, Entry guest) {
  const PageIndex child = tables_.child_of(shown);
  if (shown.lacks_rights_of(guest) || (guest.user() && !shown.user())) catch_up(child);
  tables_.link(index, slot, child, guest.word());
}

// Looks at the neighbours of the entry that a fault was about: those that the guest has used before (A set)
// would fault next. Where the entry was behind the guest's, its installed neighbours may be too. Goes on
// while that pays. Gives the number of entries that changed.
unsigned ShadowMmu::refresh_around(PageIndex index, unsigned slot, bool was_installed) {
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
  return changed;
}

std::optional<u64> ShadowMmu::speculate() {
  if (!reflected_valid_) return {};
  const GuestWalk walk = walk_guest_entries(guest_, reserved_, root_gfn_, reflected_, 0);
  if (walk.outcome != GuestWalk::Outcome::kTranslated || !guest_.contains(walk.gfn(reflected_))) return {};
  if (!(walk.all & Entry::kAccessed)) return {};
  reflected_valid_ = false;
  ++tables_.counters().prefetched;
  install(reflected_, walk);
  if (walk.leaf_level != 1) return {};
  return walk.entry(2).frame().number();
}

// --- roots -------------------------------------------------------------------------------------------------

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
  root_loaded();
  return tables_.host_address(root);
}

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

PageIndex ShadowMmu::mirror_on_path(PageIndex root, Gva va, unsigned level) const {
  PageIndex page = root;
  const auto step = [this](PageIndex& table, unsigned, unsigned index) {
    const Entry shown = tables_.entry(table, index);
    if (!shown.present() || shown.large()) return false;
    table = tables_.child_of(shown);
    return true;
  };
  if (!pt::descend<pt::FourLevel>(page, va, level, step)) return 0;
  return tables_.page(page).kind == ShadowKind::kMirror ? page : 0;
}

}  // namespace nopte::hv
