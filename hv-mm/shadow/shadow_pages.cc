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
  if (told_ && level == pt::kLevels) list_add(roots_, index);
  protect(gfn);
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
    spans_[span_of(page.gfn)].split = 0;
    for (unsigned slot = 0; slot < page.live; ++slot) {
      pt::exchange_entry(table(index), slot, entry(index, slot), Entry());
    }
    for (u64& word : page.installed) word = 0;
  } else if (page.level == 1) {
    told_ ? empty_leaves(index) : empty_mirror(index);
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
    if (page.kind == ShadowKind::kSplit) giants_[page.gfn / kFramesPerSpan / kSpansPerGiant] = 0;
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

// A trapping mirror of a leaf table that is linked no more, whole: what goes entry by entry is its place in
// the frames' lists alone. Losing the last link was the loss.
void ShadowTables::empty_mirror(PageIndex index) {
  ShadowPage& page = pages_[index];
  if (page.live == 0) return;
  counters_.entries_written += page.live;
  for (unsigned word = 0; word < pt::kEntriesPerTable / 64; ++word) {
    for (u64 left = page.installed[word]; left != 0; left &= left - 1) {
      const unsigned slot = word * 64 + static_cast<unsigned>(std::countr_zero(left));
      const Entry old = entry(index, slot);
      if (old.writable())
        refs_.remove(frames_[guest_.gfn_of(old.frame())].writers, EntryRef{index, slot}.packed());
      pt::store_entry(table(index), slot, Entry());
    }
    page.installed[word] = 0;
  }
  page.live = 0;
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
