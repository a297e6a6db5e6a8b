// ShadowTables: pages taken, given back, and recycled by age.
#include <bit>
#include <cstring>

#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

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
  page.stale = level == pt::kLevels;  // another root may have had the frame
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
  mirror_added(index);
  return index;
}

PageIndex ShadowTables::split_of_span(u64 span, From from) {
  SpanState& state = spans_[span];
  if (state.split != 0) return state.split;
  if (from == From::kBudget) {
    budget_.debit();
  } else if (free_tables_ <= kPromised) {
    return 0;
  }
  const u64 first = span * kFramesPerSpan;
  const PageIndex index = take_page(ShadowKind::kSplit, first, 1);
  state.split = index;
  ShadowPage& page = pages_[index];
  const u64 count = guest_.frames - first < kFramesPerSpan ? guest_.frames - first : kFramesPerSpan;
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
    split = take_page(ShadowKind::kSplit, giant * kSpansPerGiant * kFramesPerSpan, 2);
  }
  return split;
}

inline void ShadowTables::age_remove(PageIndex index) {
  const ShadowPage& page = pages_[index];
  (page.older != 0 ? pages_[page.older].newer : oldest_) = page.newer;
  (page.newer != 0 ? pages_[page.newer].older : newest_) = page.older;
}

inline void ShadowTables::remove_mirror(PageIndex index) {
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
  mirror_removed(gfn);
}

void ShadowTables::zap(PageIndex index, Orphans orphans) {
  ShadowPage& page = pages_[index];
  while (!page.parents.empty()) {
    const EntryRef ref = EntryRef::of(refs_.pop(page.parents));
    put(ref.page, ref.index, entry(ref.page, ref.index), Entry());
  }
  if (page.kind == ShadowKind::kSplit && page.level == 1) {  // nothing refers to these entries
    spans_[span_of(page.gfn)].split = 0;
    for (unsigned slot = 0; slot < page.live; ++slot) {
      pt::exchange_entry(table(index), slot, entry(index, slot), Entry());
    }
    for (u64& word : page.installed) word = 0;
  } else if (page.level == 1) {
    empty_leaves(index);
  } else {
    drop_all(index, orphans);
    if (page.kind == ShadowKind::kSplit) giants_[page.gfn / kFramesPerSpan / kSpansPerGiant] = 0;
  }
  if (page.list != ShadowList::kNone) list_remove(index);
  if (page.kind == ShadowKind::kMirror && !page.detached) remove_mirror(index);
  age_remove(index);
  page = ShadowPage{};
  page.newer = free_page_;
  free_page_ = index;
  ++free_tables_;
  ++counters_.pages_zapped;
}

void ShadowTables::detach(PageIndex index, ShadowList to) {
  ShadowPage& page = pages_[index];
  NOPTE_ASSERT(page.kind == ShadowKind::kMirror && !page.detached);
  remove_mirror(index);
  page.detached = true;
  list_add(to, index);
}

void ShadowTables::reap() {
  for (unsigned left = kMostReaped; left != 0; --left) {
    const PageIndex orphan = list(ShadowList::kOrphans).newest;
    if (orphan == 0) return;
    zap(orphan, Orphans::kZap);
  }
}

// --- lists -------------------------------------------------------------------------------------------------

void ShadowTables::list_add(ShadowList which, PageIndex index) {
  PageList& list = lists_[static_cast<unsigned>(which)];
  pages_[index].list = which;
  pages_[index].before = 0;
  pages_[index].after = list.newest;
  (list.newest != 0 ? pages_[list.newest].before : list.oldest) = index;
  list.newest = index;
  ++list.pages;
}

void ShadowTables::list_remove(PageIndex index) {
  ShadowPage& page = pages_[index];
  PageList& list = lists_[static_cast<unsigned>(page.list)];
  (page.before != 0 ? pages_[page.before].after : list.newest) = page.after;
  (page.after != 0 ? pages_[page.after].before : list.oldest) = page.before;
  --list.pages;
  page.list = ShadowList::kNone;
}

// --- age ---------------------------------------------------------------------------------------------------

void ShadowTables::age_append(PageIndex index) {
  ShadowPage& page = pages_[index];
  page.older = newest_;
  page.newer = 0;
  (newest_ != 0 ? pages_[newest_].newer : oldest_) = index;
  newest_ = index;
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
    if (const PageIndex orphan = list(ShadowList::kOrphans).newest) {
      zap(orphan, Orphans::kZap);
    } else {
      recycle_one(pinned);
    }
  }
}

}  // namespace nopte::hv
