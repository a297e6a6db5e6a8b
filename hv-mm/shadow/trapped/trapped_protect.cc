// TrappedTables: which guest frames are guest tables, and that they cannot be written unseen.
#include "hv-mm/shadow/trapped/trapped_tables.h"

namespace nopte::hv {

using pt::Entry;

bool TrappedTables::must_protect(u64 gfn) const {
  for (PageIndex at = frames_[gfn].mirrors(); at != 0; at = pages_[at].alias) {
    if (!unsync(at)) return true;
  }
  return false;
}

void TrappedTables::protect(u64 gfn) {
  FrameState& frame = frames_[gfn];
  if (frame.protected_frame()) return;
  frame.state |= FrameState::kProtected;
  SpanState& span = spans_[span_of(gfn)];
  if (span.protected_frames++ == 0) split_large_mappings(span_of(gfn));
  if (span.split != 0) {
    const unsigned slot = gfn % pt::kEntriesPerTable;
    const Entry old = entry(span.split, slot);
    if (old.writable()) lose_write({span.split, slot});
  }
  while (!frame.writers.empty()) lose_write(EntryRef::of(refs_.pop(frame.writers)));
}

void TrappedTables::unprotect(u64 gfn) {
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
void TrappedTables::split_large_mappings(u64 span) {
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

void TrappedTables::mark_unsync(PageIndex index) {
  const ShadowPage& page = pages_[index];
  NOPTE_ASSERT(page.level == 1 && page.kind == ShadowKind::kMirror && page.list == ShadowList::kNone);
  list_add(ShadowList::kUnsync, index);
  if (!must_protect(page.gfn)) unprotect(page.gfn);
}

void TrappedTables::mark_synced(PageIndex index) {
  list_remove(index);
  protect(pages_[index].gfn);
}

void TrappedTables::release(PageIndex index) {
  NOPTE_ASSERT(pages_[index].level > 1);
  detach(index, ShadowList::kReleased);
}

}  // namespace nopte::hv
