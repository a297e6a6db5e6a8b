#include "hv-mm/shadow/shadow_tables.h"

#include <bit>
#include <cstring>

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr u64 kFramesPerRegion = pt::kEntriesPerTable;
constexpr u64 kRegionsPerGiant = pt::kEntriesPerTable;
constexpr u64 kMinNodes = 16;

constexpr u64 round_up(u64 value, u64 unit) { return (value + unit - 1) / unit; }

}  // namespace

u64 ShadowTables::metadata_bytes(u64 guest_frames, u32 tables) {
  const u64 regions = round_up(guest_frames, kFramesPerRegion);
  const u64 giants = round_up(regions, kRegionsPerGiant);
  return (u64{tables} + 1) * sizeof(ShadowPage) + guest_frames * sizeof(FrameState) +
         regions * sizeof(RegionState) + giants * sizeof(PageIndex) + sizeof(RefPool::Node) +
         kMinNodes * sizeof(RefPool::Node);
}

Result<void> ShadowTables::init(const GuestMemory& guest, const ShadowPool& pool, Tracking tracking) {
  const bool aligned = (guest.host.value() & (pt::entry_bytes(2) - 1)) == 0 && pool.host.page_aligned() &&
                       reinterpret_cast<u64>(pool.metadata.data()) % 8 == 0;
  if (!aligned || guest.frames == 0 || guest.frames >= FrameState::kProtected ||
      pool.tables >= kMaxShadowPages) {
    return Fail(Status::kInvalid);
  }
  if (pool.tables < kMinTables || pool.metadata.size() < metadata_bytes(guest.frames, pool.tables)) {
    return Fail(Status::kNoMemory);
  }
  guest_ = guest;
  pool_ = pool;
  told_ = tracking == Tracking::kTold;

  u8* at = pool.metadata.data();
  const auto carve = [&at]<class T>(T*& out, u64 count) {
    out = reinterpret_cast<T*>(at);
    at += count * sizeof(T);
  };
  const u64 regions = round_up(guest.frames, kFramesPerRegion);
  carve(pages_, u64{pool.tables} + 1);
  carve(frames_, guest.frames);
  carve(regions_, regions);
  carve(giants_, round_up(regions, kRegionsPerGiant));
  // The rest: nodes of the reverse lists.
  const u64 left = static_cast<u64>(pool.metadata.data() + pool.metadata.size() - at);
  const u64 nodes = left / sizeof(RefPool::Node);
  refs_.init(
      {reinterpret_cast<RefPool::Node*>(at), nodes < RefPool::kNodeBit ? nodes : RefPool::kNodeBit - 1});
  free_tables_ = pool.tables;
  return {};
}

// --- entries -----------------------------------------------------------------------------------------------

namespace {

// More rights, or the same for the same page, need no flush. Precondition: `old` is present.
bool takes_away(Entry old, Entry value) {
  const u64 gained = Entry::kWritable | Entry::kUser | Entry::kDirty;
  return ((old.word() ^ value.word()) & ~gained) || (old.word() & ~value.word() & gained);
}

}  // namespace

// The store into a shadow table. Bookkeeping of `old` is done already.
void ShadowTables::put(PageIndex index, unsigned slot, Entry old, Entry value) {
  ShadowPage& page = pages_[index];
  const u64 bit = u64{1} << (slot % 64);
  if (old.present()) {
    pt::exchange_entry(table(index), slot, old, value);
    if (!value.present()) {
      page.installed[slot / 64] &= ~bit;
      --page.live;
    }
    if (takes_away(old, value)) needs_flush_ = true;
  } else {
    pt::store_entry(table(index), slot, value);
    page.installed[slot / 64] |= bit;
    ++page.live;
  }
  ++counters_.entries_written;
}

// Takes a present entry out of the reverse lists.
void ShadowTables::forget(PageIndex index, unsigned slot, Entry old) {
  const ShadowPage& page = pages_[index];
  const u32 ref = EntryRef{index, slot}.packed();
  if (told_ && (page.level == 1 || old.large())) return;
  if (page.level == 1) {
    if (old.writable() && page.kind == ShadowKind::kMirror) {
      refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, ref);
    }
  } else if (old.large()) {
    if (old.writable()) refs_.remove(regions_[region_of(guest_.gfn_of(old.frame()))].large, ref);
  } else {
    refs_.remove(pages_[child_of(old)].parents, ref);
  }
}

PageIndex ShadowTables::drop(PageIndex index, unsigned slot) {
  const Entry old = entry(index, slot);
  if (!old.present()) return 0;
  forget(index, slot, old);
  put(index, slot, old, Entry());
  return pages_[index].level == 1 || old.large() ? 0 : child_of(old);
}

void ShadowTables::drop_whole(PageIndex index, unsigned slot) {
  const PageIndex child = drop(index, slot);
  if (child == 0 || pages_[child].kind != ShadowKind::kMirror || !pages_[child].parents.empty()) return;
  if (told_) {
    detach(child);
  } else {
    zap(child, Orphans::kZap);
  }
}

// Makes room for another mapping or link.
void ShadowTables::drop_for(PageIndex index, unsigned slot) {
  if (told_) {
    drop_whole(index, slot);
  } else {
    drop(index, slot);
  }
}

void ShadowTables::add_parent(PageIndex child, u32 ref) {
  RefList& parents = pages_[child].parents;
  if (refs_.add(parents, ref)) return;
  // No node left: an older parent gives way and faults again.
  const EntryRef victim = EntryRef::of(refs_.pop(parents));
  put(victim.page, victim.index, entry(victim.page, victim.index), Entry());
  NOPTE_ASSERT(refs_.add(parents, ref));
}

// Of a frame's writers or a region's large mappings: an entry that is writable and in no list any more.
void ShadowTables::lose_write(EntryRef ref) {
  const Entry old = entry(ref.page, ref.index);
  put(ref.page, ref.index, old, old.without(Entry::kWritable | Entry::kDirty));
}

void ShadowTables::add_writer(RefList& list, u32 ref) {
  if (refs_.add(list, ref)) return;
  lose_write(EntryRef::of(refs_.pop(list)));
  NOPTE_ASSERT(refs_.add(list, ref));
}

void ShadowTables::link(PageIndex index, unsigned slot, PageIndex child, u64 rights) {
  const Entry value =
      Entry(host_address(child).value() | Entry::kPresent | Entry::kAccessed | (rights & kRights));
  Entry old = entry(index, slot);
  if (old == value) return;
  if (old.present()) {
    if (!old.large() && child_of(old) == child) {
      put(index, slot, old, value);
      return;
    }
    drop_for(index, slot);
    old = Entry();
  }
  put(index, slot, old, value);
  add_parent(child, EntryRef{index, slot}.packed());
}

// A leaf table's entry in a mirror becomes `value`, which is not present or shows gfn, and is not `old`.
inline void ShadowTables::update_leaf(PageIndex index, unsigned slot, Entry old, Entry value, u64 gfn) {
  if (told_) {
    put(index, slot, old, value);
    return;
  }
  const u32 ref = EntryRef{index, slot}.packed();
  const bool same_writer = old.writable() && value.writable() && old.frame() == value.frame();
  if (old.writable() && !same_writer) refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, ref);
  put(index, slot, old, value);
  if (value.writable() && !same_writer) add_writer(frames_[gfn].writers, ref);
}

void ShadowTables::set_leaf(PageIndex index, unsigned slot, u64 gfn, u64 rights) {
  const Entry value = leaf_entry(gfn, rights);
  const Entry old = entry(index, slot);
  if (old != value) update_leaf(index, slot, old, value, gfn);
}

// What a leaf table's entry in a mirror shows of this guest entry.
inline Entry ShadowTables::allowed(Entry guest) const {
  constexpr u64 kUsable = Entry::kPresent | Entry::kAccessed;
  const u64 gfn = guest.frame().number();  // reserved frame bits lie beyond every guest's memory
  if ((guest.word() & kUsable) != kUsable || !guest_.contains(gfn)) return {};
  return leaf_entry(gfn, allowed_rights(guest));
}

void ShadowTables::show_leaf(PageIndex index, unsigned slot, Entry guest) {
  const Entry old = entry(index, slot);
  const Entry value = allowed(guest);
  if (old != value) update_leaf(index, slot, old, value, guest.frame().number());
}

unsigned ShadowTables::refresh(PageIndex index, unsigned first, u64 which) {
  const u8* const guest_table = guest_.table(pages_[index].gfn);
  if (told_) return refresh_told(pages_[index], guest_table, table(index), first, which);
  unsigned changed = 0;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = entry(index, slot);
    const Entry value = allowed(guest);
    if (old == value) continue;
    update_leaf(index, slot, old, value, guest.frame().number());
    ++changed;
  }
  return changed;
}

// No list knows a told guest's leaves, no frame is protected, and the processor writes none of the entries: A
// and D are preset. What runs for every entry is kept short.
unsigned ShadowTables::refresh_told(ShadowPage& page, const u8* guest_table, u8* own_table, unsigned first,
                                    u64 which) {
  const GuestMemory memory = guest_;
  u64 installed = page.installed[first / 64];
  unsigned changed = 0, live = page.live;
  bool taken_away = false;
  for (; which != 0; which &= which - 1) {
    const unsigned slot = first + static_cast<unsigned>(std::countr_zero(which));
    const Entry guest = pt::load_entry(guest_table, slot);
    const Entry old = pt::load_entry(own_table, slot);
    Entry value;
    if (guest.present() && guest.accessed() && memory.contains(guest.frame().number())) {
      value = mapping(memory.host_frame(guest.frame().number()), allowed_rights(guest));
    }
    if (old == value) continue;
    pt::store_entry(own_table, slot, value);
    const u64 bit = which & -which;
    if (old.present()) {
      taken_away |= takes_away(old, value);
      if (!value.present()) {
        installed &= ~bit;
        --live;
      }
    } else {
      installed |= bit;
      ++live;
    }
    ++changed;
  }
  page.installed[first / 64] = installed;
  page.live = static_cast<u16>(live);
  needs_flush_ |= taken_away;
  counters_.entries_written += changed;
  return changed;
}

void ShadowTables::set_region(PageIndex index, unsigned slot, u64 region, u64 rights) {
  RegionState& state = regions_[region];
  const bool writable = rights & Entry::kWritable;
  if (!whole_region(region) || (writable && state.protected_frames != 0)) {
    link(index, slot, split_of_region(region, From::kBudget), rights);
    return;
  }
  const Entry value =
      mapping(guest_.host_frame(region * kFramesPerRegion), rights & kRights).with(Entry::kLarge);
  if (entry(index, slot) == value) return;
  drop_for(index, slot);
  put(index, slot, Entry(), value);
  if (writable && !told_) add_writer(state.large, EntryRef{index, slot}.packed());
}

// --- pages -------------------------------------------------------------------------------------------------

PageIndex ShadowTables::take_page(ShadowKind kind, u64 gfn, unsigned level) {
  NOPTE_ASSERT(free_tables_ != 0);
  PageIndex index = free_page_;
  if (index != 0) {
    free_page_ = pages_[index].newer;
  } else {
    index = fresh_page_++;
    std::memset(table(index), 0, kPageBytes);
  }
  --free_tables_;
  ShadowPage& page = pages_[index];
  page.kind = kind;
  page.gfn = static_cast<u32>(gfn);
  page.level = static_cast<u8>(level);
  page.referenced = true;
  age_append(index);
  ++counters_.pages_allocated;
  return index;
}

PageIndex ShadowTables::new_mirror(u64 gfn, unsigned level) {
  budget_.debit();
  const PageIndex index = take_page(ShadowKind::kMirror, gfn, level);
  FrameState& frame = frames_[gfn];
  pages_[index].alias = frame.mirrors();
  frame.state = (frame.state & FrameState::kProtected) | index;
  if (told_ && level == pt::kLevels) list_add(roots_, index);
  protect(gfn);
  return index;
}

PageIndex ShadowTables::split_of_region(u64 region, From from) {
  RegionState& state = regions_[region];
  if (state.split != 0) return state.split;
  if (from == From::kBudget) {
    budget_.debit();
  } else if (free_tables_ <= kPromised) {
    return 0;
  }
  const u64 first = region * kFramesPerRegion;
  const PageIndex index = take_page(ShadowKind::kSplit, first, 1);
  state.split = index;
  ShadowPage& page = pages_[index];
  const u64 count = guest_.frames - first < kFramesPerRegion ? guest_.frames - first : kFramesPerRegion;
  u8* const entries = table(index);
  u64 word = mapping(guest_.host_frame(first), Entry::kWritable | Entry::kUser).word();
  for (unsigned slot = 0; slot < count; ++slot, word += kPageBytes) {
    const u64 lost = is_protected(first + slot) ? Entry::kWritable | Entry::kDirty : 0;
    pt::store_entry(entries, slot, Entry(word & ~lost));
  }
  for (unsigned word_index = 0; word_index < pt::kEntriesPerTable / 64; ++word_index) {
    const u64 below = u64{word_index} * 64;
    page.installed[word_index] = count >= below + 64 ? ~u64{0}
                                 : count > below     ? (u64{1} << (count - below)) - 1
                                                     : 0;
  }
  page.live = static_cast<u16>(count);
  counters_.entries_written += count;
  return index;
}

PageIndex ShadowTables::split_of_giant(u64 giant) {
  PageIndex& split = giants_[giant];
  if (split == 0) {
    budget_.debit();
    split = take_page(ShadowKind::kSplit, giant * kRegionsPerGiant * kFramesPerRegion, 2);
  }
  return split;
}

void ShadowTables::remove_mirror(PageIndex index) {
  const u64 gfn = pages_[index].gfn;
  FrameState& frame = frames_[gfn];
  PageIndex before = 0;
  for (PageIndex at = frame.mirrors(); at != index; at = pages_[at].alias) before = at;
  const PageIndex after = pages_[index].alias;
  pages_[index].alias = 0;
  if (before != 0) {
    pages_[before].alias = after;
  } else {
    frame.state = (frame.state & FrameState::kProtected) | after;
  }
  if (!needs_protection(gfn)) unprotect(gfn);
}

void ShadowTables::zap(PageIndex index, Orphans orphans) {
  ShadowPage& page = pages_[index];
  while (!page.parents.empty()) {
    const EntryRef ref = EntryRef::of(refs_.pop(page.parents));
    put(ref.page, ref.index, entry(ref.page, ref.index), Entry());
  }
  if (page.kind == ShadowKind::kSplit && page.level == 1) {  // nothing refers to these entries
    regions_[region_of(page.gfn)].split = 0;
    for (unsigned slot = 0; slot < page.live; ++slot) {
      pt::exchange_entry(table(index), slot, entry(index, slot), Entry());
    }
    for (u64& word : page.installed) word = 0;
    needs_flush_ = true;
  } else if (told_ && page.level == 1) {
    empty_leaves(index);
  } else {
    for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
      while (page.installed[word] != 0) {
        const unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(page.installed[word]));
        if (told_) {
          drop_whole(index, slot);
          continue;
        }
        const PageIndex child = drop(index, slot);
        if (orphans == Orphans::kZap && child != 0 && zaps_left_ != 0 && pages_[child].parents.empty() &&
            pages_[child].kind == ShadowKind::kMirror) {
          --zaps_left_;
          zap(child, orphans);
        }
      }
    }
    if (page.kind == ShadowKind::kSplit) giants_[page.gfn / kFramesPerRegion / kRegionsPerGiant] = 0;
  }
  if (page.unsync) list_remove(unsync_, index);
  if (page.detached) {
    list_remove(detached_, index);
  } else if (page.kind == ShadowKind::kMirror) {
    if (told_ && page.level == pt::kLevels) list_remove(roots_, index);
    remove_mirror(index);
  }
  age_remove(index);
  page = ShadowPage{};
  page.newer = free_page_;
  free_page_ = index;
  ++free_tables_;
  ++counters_.pages_zapped;
}

// A told leaf table that is linked no more: no list knows its entries.
void ShadowTables::empty_leaves(PageIndex index) {
  constexpr unsigned kFew = 64;  // entries; more, and the whole page is cleared at once
  ShadowPage& page = pages_[index];
  if (page.live == 0) return;
  needs_flush_ = true;
  counters_.entries_written += page.live;
  if (page.live > kFew) std::memset(table(index), 0, kPageBytes);
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    for (u64 left = page.live > kFew ? 0 : page.installed[word]; left != 0; left &= left - 1) {
      pt::store_entry(table(index), word * 64 + static_cast<unsigned>(std::countr_zero(left)), Entry());
    }
    page.installed[word] = 0;
  }
  page.live = 0;
}

void ShadowTables::reap() {
  for (unsigned left = kMostReaped; left != 0 && detached_.newest != 0; --left) {
    zap(detached_.newest, Orphans::kZap);
  }
}

void ShadowTables::detach(PageIndex index) {
  ShadowPage& page = pages_[index];
  NOPTE_ASSERT(page.kind == ShadowKind::kMirror && !page.detached);
  NOPTE_ASSERT(told_ ? page.parents.empty() : page.level > 1);
  remove_mirror(index);
  page.detached = true;
  list_add(detached_, index);
}

void ShadowTables::clear(PageIndex index) {
  const ShadowPage& page = pages_[index];
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    while (page.installed[word] != 0) {
      drop(index, word * 64 + static_cast<unsigned>(std::countr_zero(page.installed[word])));
    }
  }
}

// --- age ---------------------------------------------------------------------------------------------------

void ShadowTables::age_append(PageIndex index) {
  ShadowPage& page = pages_[index];
  page.older = newest_;
  page.newer = 0;
  (newest_ != 0 ? pages_[newest_].newer : oldest_) = index;
  newest_ = index;
}

void ShadowTables::age_remove(PageIndex index) {
  const ShadowPage& page = pages_[index];
  (page.older != 0 ? pages_[page.older].newer : oldest_) = page.newer;
  (page.newer != 0 ? pages_[page.newer].older : newest_) = page.older;
}

// Second chance, for a bounded number of pages.
void ShadowTables::recycle_one(PageIndex pinned) {
  constexpr unsigned kChances = 16;
  for (unsigned chance = 0;; ++chance) {
    const PageIndex index = oldest_;
    ShadowPage& page = pages_[index];
    if (index != pinned && (chance >= kChances || !page.referenced)) {
      zap(index, Orphans::kKeep);
      ++counters_.pages_recycled;
      return;
    }
    page.referenced = false;
    age_remove(index);
    age_append(index);
  }
}

void ShadowTables::make_room(PageIndex pinned) {
  while (free_tables_ < kReserve) {
    if (told_ && detached_.newest != 0) {
      zap(detached_.newest, Orphans::kZap);
    } else {
      recycle_one(pinned);
    }
  }
}

}  // namespace nopte::hv
