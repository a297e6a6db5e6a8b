// Engine: what is installed ahead of faults, and around them (ahead.h). Included by engine.h.
#pragma once

namespace nopte::pt {

// The page before the cursor's, in the same leaf table, is installed and was touched.
template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline bool Engine<Sink>::follows_touched(const Cursor<Way>& cursor) const {
  const unsigned index = Format::table_index(cursor.va(), 1);
  return cursor.level() == 1 && index != 0 && way<Way>().read(cursor.leaf_slot(index - 1)).touched();
}

// For what is to come ahead of the first touch there. False: no memory.
template <PageTableSink Sink>
template <class Way>
[[gnu::noinline, gnu::cold]] bool Engine<Sink>::make_leaf_table(Cursor<Way>& cursor) {
  return make_tables(cursor, 1).has_value();
}

// What the policy says of a fault at the cursor, within the region and the leaf table. `counts(entry)`: of a
// page before it.
template <PageTableSink Sink>
template <class Way, class Counts>
unsigned Engine<Sink>::step_ahead(const LeafTable& table, Gva va, const RegionSpec& region,
                                  Counts counts) const {
  LeafTable in = table;  // a copy that is not const: its parts stay in registers
  const unsigned index = Format::table_index(va, 1);
  const unsigned step =
      region.usage.pattern() == AccessPattern::kSequential
          ? AheadPolicy::kMost
          : AheadPolicy::step_at(index, [&](unsigned at) { return counts(way<Way>().read(in.slot(at))); });
  const u64 in_region = VaRange{va, region.range.end}.pages();
  return static_cast<unsigned>(std::min<u64>({step, in_region, Format::kEntriesPerTable - index}));
}

// Installs pages behind the cursor's, which is about to be: zero-filled ones as far as free memory and, but
// for a sequence, the space's account allow, and what the object has. Fails by doing less.
template <PageTableSink Sink>
[[gnu::noinline]] void Engine<Sink>::go_ahead(const LeafTable& table, Gva va, Space& space, SpaceId id,
                                              const Promise& promise, u64 page, Access access) {
  const RegionSpec& region = promise.region;
  const bool copies = promise.object != nullptr && region.sharing == Sharing::kPrivate;
  if (copies && promise.pattern != AccessPattern::kSequential && sink_.processor_marks()) {
    return go_around(table, va, id, promise, page, access);
  }
  const unsigned step = step_ahead<Sink>(table, va, region, [](Entry entry) { return entry.touched(); });
  const bool pays = promise.object == nullptr && promise.pattern != AccessPattern::kSequential;
  unsigned ahead = copies && promise.pattern != AccessPattern::kSequential
                       ? (step - 1) / AheadPolicy::kPrivateRuns
                       : step - 1;
  if (pays) {
    space.ahead.fault_at(va, step);
    ahead = std::min(ahead, space.ahead.pages());
  }
  if (promise.object == nullptr) {
    ahead = static_cast<unsigned>(std::min<u64>(ahead, frames_.free_frames() / AheadPolicy::kFreeParts));
  } else {
    ahead = static_cast<unsigned>(std::min<u64>(ahead, promise.object->pages - page - 1));
  }
  if (ahead == 0) return;
  Entry model =
      Entry::leaf(Frame(), copies ? without_write(region.perm) : region.perm, privilege_of(id), access);
  if (sink_.processor_marks()) model = model.without(Entry::kAccessed | Entry::kDirty);
  const unsigned made = choose_way(sink_, [&]<class Way> {
    return install_run<Way>(table, Format::table_index(va, 1) + 1, ahead, promise, page + 1, model);
  });
  if (pays && made != 0) {
    space.ahead.pay(va + pages_to_bytes(1 + made), made);
  }
  counters_.pages_ahead += made;
}

// Installs what the object of a private mapping has around the cursor's page, which is about to be.
template <PageTableSink Sink>
[[gnu::noinline]] void Engine<Sink>::go_around(const LeafTable& table, Gva va, SpaceId id,
                                               const Promise& promise, u64 page, Access access) {
  const RegionSpec& region = promise.region;
  const unsigned index = Format::table_index(va, 1), place = index % AheadPolicy::kAround;
  const auto before = static_cast<unsigned>(std::min<u64>(place, VaRange{region.range.begin, va}.pages()));
  const auto behind = static_cast<unsigned>(
      std::min<u64>({AheadPolicy::kAround - 1 - place, VaRange{va, region.range.end}.pages() - 1,
                     promise.object->pages - page - 1}));
  Entry model = Entry::leaf(Frame(), without_write(region.perm), privilege_of(id), access);
  if (sink_.processor_marks()) model = model.without(Entry::kAccessed | Entry::kDirty);
  counters_.pages_ahead += choose_way(sink_, [&]<class Way> {
    const auto part = [&](unsigned first, unsigned pages, u64 of) {
      return pages == 0 ? 0 : install_run<Way, Taken::kPass>(table, first, pages, promise, of, model);
    };
    return part(index - before, before, page - before) + part(index + 1, behind, page + 1);
  });
}

// Installs `pages` pages of one promise from entry `first` of the cursor's leaf table on, as far as entries
// are empty (kPass: where they are), by leaves that are like `model`: zero-filled ones as long as there is
// memory, or what the object has from `page` on. How many it made. Precondition: the table and the promise
// have so many.
template <PageTableSink Sink>
template <class Way, Engine<Sink>::Taken kTaken>
unsigned Engine<Sink>::install_run(const LeafTable& table, unsigned first, unsigned pages,
                                   const Promise& promise, u64 page, Entry model) {
  const LazyUpdates lazy(way<Way>());
  if (promise.object == nullptr) {
    return fill_run<Holes::kEnd, Way, kTaken>(table, first, pages, model, [this](unsigned) -> u64 {
      const auto frame = zeroed_frame(FrameKind::kAnon);
      return frame ? frame->number() + 1 : 0;
    });
  }
  unsigned made = 0;
  for (unsigned at = 0; at < pages;) {
    const std::span<const u64> slots = index_slots(*promise.object, frames_, page + at);
    const unsigned part = static_cast<unsigned>(std::min<u64>(slots.size(), pages - at));
    if (part == 0) break;
    made += fill_run<Holes::kStay, Way, kTaken>(table, first + at, part, model, [&](unsigned i) {
      if (slots[i] != 0) ++frames_.meta(Frame(slots[i] - 1)).refs;
      return slots[i];
    });
    at += part;
  }
  return made;
}

// The entries [first, first + pages) of the cursor's leaf table get leaves like `model`, up to one that is
// not empty, or but for those: of frame number slot_of(i) - 1, or 0: there is none. How many it made.
template <PageTableSink Sink>
template <Engine<Sink>::Holes kHoles, class Way, Engine<Sink>::Taken kTaken, class SlotOf>
[[gnu::always_inline]] inline unsigned Engine<Sink>::fill_run(const LeafTable& table, unsigned first,
                                                              unsigned pages, Entry model,
                                                              const SlotOf& slot_of) {
  unsigned made = 0;
  for (unsigned i = 0; i < pages; ++i) {
    work::did(work::Unit::kPage);
    const Slot entry = table.slot(first + i);
    if (!way<Way>().read(entry).empty()) {
      if constexpr (kTaken == Taken::kEnd) break;
      continue;
    }
    const u64 slot = slot_of(i);
    if (slot == 0) {
      if constexpr (kHoles == Holes::kEnd) break;
      continue;
    }
    way<Way>().set(entry, model.with_frame(Frame(slot - 1)));
    ++made;
  }
  note_filled_run<Format>(frames_.meta(table.table), first, pages, made);
  counters_.entries_written += made;
  return made;
}

// Rights to write come back behind the cursor's page, as to it, where a run leads there: for pages that
// nobody else has any more. False: none does.
template <PageTableSink Sink>
template <class Way>
[[gnu::noinline]] bool Engine<Sink>::write_ahead(Cursor<Way>& cursor, const Promise& promise) {
  const RegionSpec& region = promise.region;
  unsigned step = 1;
  if (follows_touched(cursor) || promise.pattern == AccessPattern::kSequential) {
    step = step_ahead<Way>(cursor.leaf(), cursor.va(), region,
                           [](Entry entry) { return entry.touched() && entry.writable(); });
  }
  if (step == 1) return false;
  const unsigned index = Format::table_index(cursor.va(), 1);
  const LazyUpdates lazy(way<Way>());
  const FrameTable::Metas metas = frames_.metas();
  typename Cursor<Way>::template Edits<Way> edits(cursor);
  const bool marks = way<Way>().processor_marks();
  u64 written = 0;
  for_each_entry(way<Way>(), cursor.leaf_meta(), cursor.leaf_table(), index + 1, index + step - 1,
                 [&](unsigned at, Entry entry) __attribute__((always_inline)) {
                   work::did(work::Unit::kPage);
                   if (!entry.present()) return true;
                   const FrameMeta& meta = metas(entry.frame());
                   if (meta.kind != FrameKind::kAnon || meta.refs != 1) return true;
                   Entry desired = entry.with_perm(region.perm);
                   if (!marks) desired = desired.with(Entry::kAccessed | Entry::kDirty);
                   if (desired == entry) return true;
                   edits.replace(at, entry, desired);
                   ++written;
                   return true;
                 });
  counters_.entries_written += written;
  return true;
}

// Around the cursor's page, which can be written now or is shared, aligned: rights to write come back for
// pages that nobody else has any more and that were written before; and pages that others have too are copied
// where they are likely to be written (ahead.h). Not where nobody knows what was written.
template <PageTableSink Sink>
template <class Way>
[[gnu::noinline]] void Engine<Sink>::write_around(Cursor<Way>& cursor, Space& space, const Promise& promise) {
  if (!way<Way>().processor_marks()) return;
  constexpr unsigned kPages = AheadPolicy::kWriteAround;
  const RegionSpec& region = promise.region;
  const bool again = space.copies.open();
  const auto candidate = again ? Entry::Marks::read_only_dirty() : Entry::Marks::read_only();
  const Gva begin(cursor.va().value() & ~(pages_to_bytes(kPages) - 1));
  const VaRange around = VaRange{begin, begin + pages_to_bytes(kPages)}.intersect(region.range);
  unsigned first = Format::table_index(around.begin, 1);
  const unsigned last = first + static_cast<unsigned>(around.pages()) - 1;
  while (!candidate.of(way<Way>().read(cursor.leaf_slot(first)))) {
    if (first++ == last) return;
  }
  const LazyUpdates lazy(way<Way>());
  const FrameTable::Metas metas = frames_.metas();
  Batch batch(sink_, frames_, counters_, space.root, FlushScope::kSpace);
  typename Cursor<Way>::template Edits<Way> edits(cursor);
  const bool copies =
      region.sharing == Sharing::kPrivate && frames_.free_frames() >= u64{kPages} * AheadPolicy::kFreeParts;
  u64 written = 0;
  for_each_entry(way<Way>(), cursor.leaf_meta(), cursor.leaf_table(), first, last,
                 [&](unsigned at, Entry entry) __attribute__((always_inline)) {
                   work::did(work::Unit::kPage);
                   if (!candidate.of(entry)) return true;
                   FrameMeta& meta = metas(entry.frame());
                   if (meta.kind != FrameKind::kAnon) return true;
                   const bool sole = meta.refs == 1;
                   if (sole      ? !entry.dirty()
                       : !copies ? true
                       : again   ? space.copies.pages() == 0
                                 : !CopyHistory(meta).likely()) {
                     return true;
                   }
                   const Entry desired = entry.with_perm(region.perm);
                   if (sole) {
                     edits.replace(at, entry, desired);
                   } else {
                     const auto copy = copied_frame(entry.frame());
                     if (!copy) return false;
                     ++counters_.pages_ahead;
                     if (again) {
                       space.copies.pay();
                       metas(*copy).live = meta.live;
                     } else {
                       metas(*copy).back = entry.frame().number() + 1;
                     }
                     --meta.refs;
                     batch.page(cursor.leaf_va(at));
                     cursor.replace_here(
                         at, entry,
                         desired.with_frame(*copy).without(Entry::kDirty).with(Entry::kCopiedAhead));
                   }
                   if (again && entry.dirty() && entry.copied_ahead()) space.copies.was_used();
                   ++written;
                   return true;
                 });
  batch.flush();
  counters_.entries_written += written;
}

}  // namespace nopte::pt
