// ShadowTables: which guest frames are guest tables, and that they cannot be written unseen.
#include "hv-mm/shadow/shadow_tables.h"

namespace nopte::hv {

using pt::Entry;

bool ShadowTables::needs_protection(u64 gfn) const {
  for (PageIndex at = frames_[gfn].mirrors(); at != 0; at = pages_[at].alias) {
    if (!pages_[at].unsync) return true;
  }
  return false;
}

void ShadowTables::protect(u64 gfn) {
  FrameState& frame = frames_[gfn];
  if (told_ || frame.protected_frame()) return;
  frame.state |= FrameState::kProtected;
  SpanState& span = spans_[span_of(gfn)];
  if (span.protected_frames++ == 0) split_linear_mappings(span_of(gfn));
  if (span.split != 0) {
    const unsigned slot = gfn % pt::kEntriesPerTable;
    const Entry old = entry(span.split, slot);
    if (old.writable()) lose_write({span.split, slot});
  }
  while (!frame.writers.empty()) lose_write(EntryRef::of(refs_.pop(frame.writers)));
}

void ShadowTables::unprotect(u64 gfn) {
  FrameState& frame = frames_[gfn];
  if (!frame.protected_frame()) return;
  frame.state &= ~FrameState::kProtected;
  SpanState& span = spans_[span_of(gfn)];
  --span.protected_frames;
  if (span.split != 0) {
    const unsigned slot = gfn % pt::kEntriesPerTable;
    const Entry old = entry(span.split, slot);
    put(span.split, slot, old, old.with(Entry::kWritable | Entry::kDirty));
  }
}

// A frame of the span becomes a table: the span's writable 2 MiB mappings give way to its split page, or
// to nothing: one operation may protect frames of any number of spans.
void ShadowTables::split_linear_mappings(u64 span) {
  RefList& large = spans_[span].large;
  while (!large.empty()) {
    const EntryRef ref = EntryRef::of(refs_.pop(large));
    const Entry old = entry(ref.page, ref.index);
    put(ref.page, ref.index, old, Entry());
    ++counters_.large_splits;
    if (const PageIndex split = split_of_span(span, From::kSpare)) {
      link(ref.page, ref.index, split, old.word());
    } else {
      ++counters_.splits_dropped;
    }
  }
}

void ShadowTables::mark_unsync(PageIndex index) {
  ShadowPage& page = pages_[index];
  NOPTE_ASSERT(page.level == 1 && page.kind == ShadowKind::kMirror && !page.unsync);
  page.unsync = true;
  list_add(unsync_, index);
  if (!needs_protection(page.gfn)) unprotect(page.gfn);
}

void ShadowTables::mark_synced(PageIndex index) {
  pages_[index].unsync = false;
  list_remove(unsync_, index);
  protect(pages_[index].gfn);
}

void ShadowTables::list_add(PageList& list, PageIndex index) {
  pages_[index].unsync_before = 0;
  pages_[index].unsync_after = list.newest;
  (list.newest != 0 ? pages_[list.newest].unsync_before : list.oldest) = index;
  list.newest = index;
  ++list.pages;
}

void ShadowTables::list_remove(PageList& list, PageIndex index) {
  const ShadowPage& page = pages_[index];
  (page.unsync_before != 0 ? pages_[page.unsync_before].unsync_after : list.newest) = page.unsync_after;
  (page.unsync_after != 0 ? pages_[page.unsync_after].unsync_before : list.oldest) = page.unsync_before;
  --list.pages;
}

}  // namespace nopte::hv
