// Engine: operations on what is installed in a range, leaf table by leaf table. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_unmapped(SpaceId id, VaRange range, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, range)) return Fail(Status::kInvalid);
  return zap(id, *space, range, Whose::kOwn, checkpoint);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::zap(SpaceId id, Space& space, VaRange range, Whose whose, Checkpoint* checkpoint) {
  return for_each_leaf_table(id, space, range, whose, checkpoint, Stops::kBehindChanges,
                             [this, whose, &space](Cursor<Sink>& cursor, VaRange part, Batch& batch) {
                               if (!cursor.mine() && whose == Whose::kOwn) [[unlikely]] {
                                 cursor.drop_shared(batch);
                                 ++counters_.entries_written;
                               } else if (cursor.level() != 1) [[unlikely]] {
                                 // An object's pages are small.
                                 if (whose == Whose::kOwn) zap_large(cursor, space, batch);
                               } else {
                                 // A step ends in a run of more pages than these.
                                 const bool steps = cursor.leaf_meta().live > 2 && space.ahead.paid();
                                 const unsigned unused = zap_leaf_table(cursor, part, batch);
                                 if (steps) [[unlikely]]
                                   note_gone(space, part, unused);
                               }
                             });
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::make_ready(SpaceId id, VaRange whole) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, whole)) return Fail(Status::kInvalid);
  if (!space->shares) return {};
  Batch batch(sink_, frames_, counters_, space->root, scope_of(id));
  const auto owned = own_edges(*space, whole, whole, batch);
  batch.flush();
  return owned;
}

// Makes this root's own the tables that an end of the whole lies amidst, and the range, a part of it, reaches
// into, and splits large pages there; others are inside the whole. Errors: kNoMemory.
template <PageTableSink Sink>
[[gnu::noinline]] Result<void> Engine<Sink>::own_edges(const Space& space, VaRange range, VaRange whole,
                                                       Batch& batch) {
  // Tables on the way to `va`, from the lowest that sticks out of the whole.
  const auto own_at = [&](Gva va, auto sticks_out) -> Result<void> {
    unsigned lowest = 1;
    while (lowest <= Cursor<Sink>::kHighestShared && !sticks_out(Format::table_bytes(lowest))) ++lowest;
    if (lowest > Cursor<Sink>::kHighestShared) return {};
    Cursor<Sink> cursor(tables_, space.root);
    cursor.walk(va);
    if (!cursor.mine() || cursor.kept()) NOPTE_TRY(cursor.own(lowest, batch));
    return lowest == 1 && cursor.at_large_page() ? split_large(cursor) : Result<void>();
  };
  NOPTE_TRY(own_at(range.begin,
                   [&](u64 bytes) { return (range.begin.value() & ~(bytes - 1)) < whole.begin.value(); }));
  return own_at(whole.end - 1, [&](u64 bytes) { return whole.end.value() % bytes != 0; });
}

// What there is of a range, from the leaf table where the cursor is. Not all tables without pages are looked
// through: behind many there may be some.
template <PageTableSink Sink>
auto Engine<Sink>::shown_of(Cursor<Sink>& cursor, VaRange range) const -> Shown {
  Shown shown = Shown::kNothing;
  for (u64 left = work::kMostAtOnce / 2; left != 0; --left) {
    work::did(work::Unit::kNode);
    const VaRange part = cursor.part_before(range.end);
    if (cursor.level() != 1) return Shown::kPages;
    if (cursor.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1)).next())
      return Shown::kPages;
    if (part.bytes() == Format::table_bytes(1)) shown = Shown::kTables;
    if (part.end == range.end || !cursor.seek_leaf_table(part.end, range.end)) return shown;
  }
  return Shown::kPages;
}

// work(cursor, part, batch) for every leaf table in the range; the cursor is at part.begin, part lies in the
// table; and for every large page, all of it. For kOwn, where other roots lead there too, part is all of what
// is shared (Cursor::shared_range), which is inside the whole that the range is a part of (Checkpoint).
// kBehindChanges: a table at the edge may hold others' entries alone, and who issues the whole range again
// would stop behind it for ever. What takes nothing out looks at entries there all the same: kAnywhere, for
// those who go on. Where tables may be shared, nobody begins again. Errors: kAgain; kNoMemory, nothing has
// been done.
template <PageTableSink Sink>
template <class Work>
Result<void> Engine<Sink>::for_each_leaf_table(SpaceId id, Space& space, VaRange range, Whose whose,
                                               Checkpoint* checkpoint, Stops stops, Work work) {
  Cursor<Sink> cursor(tables_, space.root);
  if (!cursor.seek_leaf_table(range.begin, range.end)) return {};  // nobody has touched it
  Batch batch(sink_, frames_, counters_, space.root, scope_of(id));
  if (space.shares && whose == Whose::kOwn) [[unlikely]] {
    const Shown shown = shown_of(cursor, range);
    if (shown == Shown::kNothing) return {};
    const auto owned =
        own_edges(space, range, checkpoint == nullptr ? range : checkpoint->whole_of(range), batch);
    batch.flush();
    // What shows nothing may stay.
    if (!owned) return shown == Shown::kPages ? owned : Result<void>();
    if (!cursor.seek_leaf_table(range.begin, range.end)) return {};
  }
  Result<void> done;
  Gva va;
  do {
    VaRange part = cursor.part_before(range.end);
    work::did(work::Unit::kNode);
    const bool shared = !cursor.mine();
    if (shared) [[unlikely]] {
      if (whose == Whose::kEverybodys) {
        batch.everywhere();
      } else {
        while (!cursor.mine() && cursor.take_back(part, batch)) {
        }
        if (!cursor.mine()) part = cursor.shared_range();
      }
    }
    const bool large = cursor.level() != 1;
    if (large && cursor.mine()) [[unlikely]]
      part = cursor.large_page();
    const bool last = part.end >= range.end;
    const bool whole =
        !last && part.bytes() == Format::table_bytes(1) && (large || cursor.leaf_meta().live != 0);
    const u64 written = counters_.entries_written;
    work(cursor, part, batch);
    if (last) break;
    va = part.end;
    const bool changed = whole || cursor.level() > 1 || shared || counters_.entries_written != written;
    if (checkpoint != nullptr && (changed || stops == Stops::kAnywhere) && checkpoint->should_stop(va)) {
      done = Fail(Status::kAgain);
      break;
    }
  } while (cursor.seek_next_leaf_table(va, range.end));
  batch.flush();
  return done;
}

// Counts a page that was installed ahead and goes, unless it was used; 1, if the space's account paid for it.
template <PageTableSink Sink>
[[gnu::noinline, gnu::cold]] unsigned Engine<Sink>::note_unused(Entry entry) {
  if (entry.accessed()) {
    if (entry.dirty() || frames_.meta(entry.frame()).refs != 1) return 0;  // or another may use it yet
    ++counters_.ahead_unused;
    ++counters_.ahead_wasted;
    return 0;
  }
  const unsigned wasted = frames_.meta(entry.frame()).kind == FrameKind::kAnon ? 1 : 0;
  ++counters_.ahead_unused;
  counters_.ahead_wasted += wasted;
  return wasted;
}

// How many of the pages were memory that nobody has touched.
template <PageTableSink Sink>
unsigned Engine<Sink>::zap_leaf_table(Cursor<Sink>& cursor, VaRange part, Batch& batch) {
  const unsigned first = Format::table_index(part.begin, 1);
  const unsigned last = Format::table_index(part.end - kPageBytes, 1);
  if (first == 0 && last == Format::kEntriesPerTable - 1 && cursor.mine() && cursor.can_unlink_table()) {
    // The whole table goes: its entries need no store of their own.
    unsigned unused = 0;
    cursor.for_each(0, Format::kEntriesPerTable - 1,
                    [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                      unused += take(cursor, index, entry, batch);
                      return true;
                    });
    cursor.unlink_table(batch);
    return unused;
  }
  const unsigned unused = choose_way(sink_, [&]<class Way>() __attribute__((always_inline)) {
    return zap_entries<Way>(cursor, first, last, batch);
  });
  if (cursor.mine()) cursor.prune(batch);
  return unused;
}

// The same of the entries [first, last].
template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline unsigned Engine<Sink>::zap_entries(Cursor<Sink>& cursor, unsigned first,
                                                                 unsigned last, Batch& batch) {
  const LazyUpdates lazy(way<Way>());
  typename Cursor<Sink>::template Edits<Way> edits(cursor);
  unsigned unused = 0;
  cursor.template for_each_edited<Way>(first, last,
                                       [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                                         edits.remove(index, entry);
                                         ++counters_.entries_written;
                                         unused += take(cursor, index, entry, batch);
                                         return true;
                                       });
  return unused;
}

// A page that is not shown any more. 1: it was memory that nobody has touched.
template <PageTableSink Sink>
[[gnu::always_inline]] inline unsigned Engine<Sink>::take(const Cursor<Sink>& cursor, unsigned index,
                                                          Entry entry, Batch& batch) {
  unsigned unused = 0;
  work::did(work::Unit::kPage);
  if (entry.touched()) [[likely]] {
    batch.page(cursor.leaf_va(index));
  } else {
    if (!entry.asked_for()) unused = note_unused(entry);
    if (entry.present()) batch.page(cursor.leaf_va(index));
  }
  drop_reference(entry.frame(), frames_.metas(), batch);
  return unused;
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::move(SpaceId id, const Space& space, VaRange from, Gva to) {
  Batch batch(sink_, frames_, counters_, space.root, scope_of(id));
  const auto ready = make_way(space, from, to, batch);
  if (ready) {
    Cursor<Sink> source(tables_, space.root);
    Cursor<Sink> destination(tables_, space.root);
    for (Gva va = from.begin; source.seek_leaf_table(va, from.end);) {
      const VaRange part = source.part_before(from.end);
      va = part.end;
      const Gva there = to + (part.begin - from.begin);
      destination.walk(there);
      if (source.level() != 1) [[unlikely]] {
        batch.page(part.begin);
        destination.install_large_page(source.remove_large_page());
        counters_.entries_written += 2;
      } else if (goes_whole(part, there) && source.leaf_meta().live != 0 && destination.level() == 2) {
        source.move_table(destination);
        counters_.entries_written += 2;
        batch.all_pages();
      } else {
        move_entries(source, part, destination, batch);
      }
    }
  }
  // Only now: a table that lost all it had may have been where others arrive.
  prune_tables(space, ready ? from : VaRange::of_pages(to, from.pages()), batch);
  batch.flush();
  return ready;
}

// A leaf table all of whose addresses move to those of another.
template <PageTableSink Sink>
bool Engine<Sink>::goes_whole(VaRange part, Gva to) const {
  return sink_.can_share_tables() && part.bytes() == Format::table_bytes(1) &&
         to.value() % Format::table_bytes(1) == 0;
}

// What is below the way of the cursor down to this level becomes this root's own. Errors: kNoMemory.
template <PageTableSink Sink>
Result<void> Engine<Sink>::own(Cursor<Sink>& cursor, unsigned lowest, Batch& batch) {
  if (cursor.mine() && !cursor.kept()) [[likely]]
    return {};
  const auto owned = cursor.own(lowest, batch);
  batch.flush();
  return owned;
}

// All of a move that can fail: a leaf table wherever an entry will arrive, or the table above where one will;
// and that what changes is this root's own.
template <PageTableSink Sink>
Result<void> Engine<Sink>::make_way(const Space& space, VaRange from, Gva to, Batch& batch) {
  Cursor<Sink> source(tables_, space.root);
  Cursor<Sink> destination(tables_, space.root);
  // Up to the end of each table in turn: a leaf table's entries arrive in two at most.
  for (Gva va = from.begin; source.seek_leaf_table(va, from.end);) {
    const VaRange part = source.part_before(from.end);
    va = part.end;
    work::did(work::Unit::kNode);
    if (source.level() != 1) [[unlikely]] {
      const auto whole = make_large_way(source, part, destination, to + (part.begin - from.begin), batch);
      if (!whole) return Fail(whole.error());
      if (*whole) continue;
    }
    Gva there = to + (part.begin - from.begin);
    const bool whole = goes_whole(part, there);
    if (whole) {
      if (source.leaf_meta().live == 0) continue;
    } else {
      auto scan =
          source.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1));
      if (!scan.next()) continue;
      there = to + (source.leaf_va(scan.index()) - from.begin);
    }
    const unsigned lowest = whole ? 2 : 1;
    NOPTE_TRY(own(source, lowest, batch));
    destination.walk(there);
    NOPTE_TRY(own(destination, lowest, batch));
    NOPTE_TRY(destination.make_tables(lowest));
    if (whole && (destination.level() == 1 || destination.kept())) {  // a table is there already
      NOPTE_TRY(own(source, 1, batch));
      NOPTE_TRY(own(destination, 1, batch));
    }
    // What arrives in the next table is looked for from there.
    const Gva next = part.begin + (destination.table_end() - (to + (part.begin - from.begin)));
    if (!whole && next < va) va = next;
  }
  return {};
}

// The entries of `part` of the source's leaf table, to where the destination is and on. Precondition: the
// tables are there.
template <PageTableSink Sink>
void Engine<Sink>::move_entries(const Cursor<Sink>& source, VaRange part, Cursor<Sink>& destination,
                                Batch& batch) {
  const u64 distance = destination.va().value() - part.begin.value();
  Gva ready_to = part.begin;  // in the destination's table up to there, as the source counts
  LazyUpdates lazy(sink_);
  typename Cursor<Sink>::template Edits<> edits(source);
  for (auto scan =
           source.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1));
       scan.next();) {
    work::did(work::Unit::kPage);
    const Gva here = source.leaf_va(scan.index());
    const Gva there(here.value() + distance);
    if (here >= ready_to) {
      destination.walk(there);
      ready_to = Gva(destination.table_end().value() - distance);
    }
    destination.install_at(Format::table_index(there, 1), edits.remove(scan.index(), scan.entry()));
    counters_.entries_written += 2;
    if (scan.entry().present()) batch.page(here);
  }
}

// Frees the tables of the range that are empty.
template <PageTableSink Sink>
void Engine<Sink>::prune_tables(const Space& space, VaRange range, Batch& batch) {
  Cursor<Sink> cursor(tables_, space.root);
  for (Gva va = range.begin; va < range.end;) {
    cursor.walk(va);
    work::did(work::Unit::kNode);
    const Gva next = cursor.level() == 1 ? cursor.table_end() : cursor.next_address();
    if (cursor.mine()) cursor.prune(batch);
    if (next <= va) break;  // wrapped at the top of the address space
    va = next;
  }
}

}  // namespace nopte::pt
