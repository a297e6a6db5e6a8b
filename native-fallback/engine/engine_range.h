// Engine: operations on what is installed in a range, leaf table by leaf table. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_unmapped(SpaceId id, VaRange range, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, range)) return Fail(Status::kInvalid);
  return zap(id, *space, range, checkpoint);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_protected(SpaceId id, VaRange range, Perm perm, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, range)) return Fail(Status::kInvalid);
  return for_each_leaf_table(id, *space, range, checkpoint,
                             [this, perm](Cursor<Sink>& cursor, VaRange part, Batch& batch) {
                               protect_leaf_table(cursor, part, perm, batch);
                             });
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::zap(SpaceId id, Space& space, VaRange range, Checkpoint* checkpoint) {
  return for_each_leaf_table(
      id, space, range, checkpoint,
      [this](Cursor<Sink>& cursor, VaRange part, Batch& batch) { zap_leaf_table(cursor, part, batch); });
}

// work(cursor, part, batch) for every leaf table in the range; the cursor is at part.begin, part lies in the
// table. Errors: kAgain.
template <PageTableSink Sink>
template <class Work>
Result<void> Engine<Sink>::for_each_leaf_table(SpaceId id, Space& space, VaRange range,
                                               Checkpoint* checkpoint, Work work) {
  Cursor<Sink> cursor(tables_, space.root);
  if (!cursor.seek_leaf_table(range.begin, range.end)) return {};  // nobody has touched it
  Batch batch(sink_, frames_, counters_, space.root, scope_of(id));
  Gva va;
  do {
    const VaRange part{cursor.va(), cursor.table_end() < range.end ? cursor.table_end() : range.end};
    work::did(work::Unit::kNode);
    const bool last = part.end == range.end;
    const bool whole = !last && part.bytes() == Format::table_bytes(1) && cursor.leaf_meta().live != 0;
    const u64 written = counters_.entries_written;
    work(cursor, part, batch);
    if (last) break;
    va = part.end;
    // A table at the edge may hold others' entries alone: to stop behind it, again and again, is no progress.
    if (checkpoint != nullptr && (whole || counters_.entries_written != written) &&
        checkpoint->should_stop(va)) {
      batch.flush();
      return Fail(Status::kAgain);
    }
  } while (cursor.seek_next_leaf_table(va, range.end));
  batch.flush();
  return {};
}

template <PageTableSink Sink>
void Engine<Sink>::zap_leaf_table(Cursor<Sink>& cursor, VaRange part, Batch& batch) {
  const unsigned first = Format::table_index(part.begin, 1);
  const unsigned last = Format::table_index(part.end - kPageBytes, 1);
  if (first == 0 && last == Format::kEntriesPerTable - 1 && cursor.can_unlink_table()) {
    // The whole table goes: its entries need no store of their own.
    cursor.for_each(0, Format::kEntriesPerTable - 1,
                    [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                      work::did(work::Unit::kPage);
                      if (entry.present()) batch.page(cursor.leaf_va(index));
                      drop_reference(entry.frame(), batch);
                      return true;
                    });
    cursor.unlink_table(batch);
    return;
  }
  {
    LazyUpdates lazy(sink_);
    typename Cursor<Sink>::Edits edits(cursor);
    cursor.for_each(first, last, [&](unsigned index, Entry entry) __attribute__((always_inline)) {
      work::did(work::Unit::kPage);
      edits.remove(index, entry);
      ++counters_.entries_written;
      if (entry.present()) batch.page(cursor.leaf_va(index));
      drop_reference(entry.frame(), batch);
      return true;
    });
  }
  cursor.prune(batch);
}

template <PageTableSink Sink>
void Engine<Sink>::protect_leaf_table(Cursor<Sink>& cursor, VaRange part, Perm perm, Batch& batch) {
  const unsigned first = Format::table_index(part.begin, 1);
  const unsigned last = Format::table_index(part.end - kPageBytes, 1);
  {
    LazyUpdates lazy(sink_);
    typename Cursor<Sink>::Edits edits(cursor);
    cursor.for_each(first, last, [&](unsigned index, Entry entry) __attribute__((always_inline)) {
      work::did(work::Unit::kPage);
      const FrameMeta& meta = frames_.meta(entry.frame());
      const bool anonymous = meta.kind == FrameKind::kAnon;
      if (perm.none() && !anonymous) {
        // The object's index finds it again.
        edits.remove(index, entry);
        ++counters_.entries_written;
        batch.page(cursor.leaf_va(index));
        drop_reference(entry.frame(), batch);
        return true;
      }
      const bool may_write = entry.writable() || (anonymous && meta.refs == 1);
      const Entry desired = entry.with_perm(may_write ? perm : without_write(perm));
      if (desired == entry) return true;
      edits.replace(index, entry, desired);
      ++counters_.entries_written;
      if (entry.present() && desired.lacks_rights_of(entry)) batch.page(cursor.leaf_va(index));
      return true;
    });
  }
  cursor.prune(batch);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_moved(SpaceId id, VaRange from, Gva to) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, from)) return Fail(Status::kInvalid);
  const VaRange target = VaRange::of_pages(to, from.pages());
  if (!valid_range(id, target)) return Fail(Status::kInvalid);
  if (target.overlaps(from)) return Fail(Status::kOverlap);
  const auto moved = [&](Gva va) { return to + (va - from.begin); };
  const auto part_of = [&](const Cursor<Sink>& cursor) {
    return VaRange{cursor.va(), cursor.table_end() < from.end ? cursor.table_end() : from.end};
  };
  Cursor<Sink> source(tables_, space->root);
  Cursor<Sink> destination(tables_, space->root);
  // A leaf table all of whose addresses move to those of another goes as a whole.
  const bool same_offsets =
      sink_.can_share_tables() && (from.begin.value() - to.value()) % Format::table_bytes(1) == 0;
  const auto goes_whole = [&](VaRange part) {
    return same_offsets && part.bytes() == Format::table_bytes(1);
  };

  // First all that can fail: a leaf table wherever an entry will arrive, or the table above where one will.
  Gva ready_to = target.begin;
  for (Gva va = from.begin; source.seek_leaf_table(va, from.end);) {
    const VaRange part = part_of(source);
    va = part.end;
    const bool whole = goes_whole(part);
    for (auto scan =
             source.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1));
         scan.next();) {
      work::did(work::Unit::kPage);
      const Gva there = moved(source.leaf_va(scan.index()));
      if (there < ready_to) continue;
      destination.walk(there);
      if (!destination.make_tables(whole ? 2 : 1)) {
        Batch unused(sink_, frames_, counters_, space->root, scope_of(id));
        prune_tables(*space, target, unused);
        unused.flush();
        return Fail(Status::kNoMemory);
      }
      ready_to = whole ? moved(part.end) : destination.table_end();
    }
  }

  Batch batch(sink_, frames_, counters_, space->root, scope_of(id));
  ready_to = target.begin;
  for (Gva va = from.begin; source.seek_leaf_table(va, from.end);) {
    const VaRange part = part_of(source);
    va = part.end;
    if (goes_whole(part) && source.leaf_meta().live != 0) {
      destination.walk(moved(part.begin));
      if (destination.level() == 2) {
        source.move_table(destination);
        counters_.entries_written += 2;
        batch.all_pages();
        continue;
      }
    }
    {
      LazyUpdates lazy(sink_);
      for (auto scan =
               source.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1));
           scan.next();) {
        work::did(work::Unit::kPage);
        const Gva here = source.leaf_va(scan.index());
        const Gva there = moved(here);
        if (there >= ready_to) {
          destination.walk(there);
          ready_to = destination.table_end();
        }
        destination.install_at(Format::table_index(there, 1), source.remove(scan.index(), scan.entry()));
        counters_.entries_written += 2;
        if (scan.entry().present()) batch.page(here);
      }
    }
  }
  // Only now: a table that lost all it had may have been where others arrive.
  prune_tables(*space, from, batch);
  batch.flush();
  return {};
}

// Frees the tables of the range that are empty.
template <PageTableSink Sink>
void Engine<Sink>::prune_tables(const Space& space, VaRange range, Batch& batch) {
  Cursor<Sink> cursor(tables_, space.root);
  for (Gva va = range.begin; va < range.end;) {
    cursor.walk(va);
    work::did(work::Unit::kNode);
    const Gva next = cursor.level() == 1 ? cursor.table_end() : cursor.next_address();
    cursor.prune(batch);
    if (next <= va) break;  // wrapped at the top of the address space
    va = next;
  }
}

}  // namespace nopte::pt
