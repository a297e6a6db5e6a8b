// Engine: making, copying, destroying and looking at spaces. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<void> Engine<Sink>::clone_tables(Space& parent, Space& child) {
  if (sink_.can_share_tables()) parent.shares = child.shares = true;
  child.ahead = parent.ahead.inherited();
  parent.copies.cloned();
  Batch batch(sink_, frames_, counters_, parent.root, FlushScope::kSpace);
  Copies left{.tables = sink_.can_share_tables() ? kCopiedTables : ~u64{0}, .pages = kCopiedPages};
  Cursor<Sink> from(tables_, parent.root);
  Cursor<Sink> to(tables_, child.root);
  const auto done = clone_below(from, to, parent.root, Format::kLevels, Gva(), left, batch);
  for (; left.used != 0; --left.used) parent.copies.was_used();
  batch.all_pages();
  batch.flush();
  return done;
}

// Gives the clone what the entries of a table lead to, which maps addresses from `begin` on. What both sides
// are likely to write soon is better copied at once than when they do: tables of few entries, `left` of them.
// The rest is shared, as high up as there is much of it. Errors: kNoMemory.
template <PageTableSink Sink>
Result<void> Engine<Sink>::clone_below(Cursor<Sink>& from, Cursor<Sink>& to, Frame table, unsigned level,
                                       Gva begin, Copies& left, Batch& batch) {
  std::optional<Frame> theirs;  // the clone's table of this level
  for (TableScan<Sink> scan(sink_, frames_.meta(table), table, 0, last_user_index(level)); scan.next();) {
    const Entry link = scan.entry();
    const Gva va = begin + scan.index() * Format::entry_bytes(level);
    if (kLargePages<Sink> && level == 2 && link.large()) [[unlikely]] {
      NOPTE_TRY(share_large(from.root(), to.root(), va));
      continue;
    }
    FrameMeta& below = frames_.meta(link.frame());
    const bool copies = level - 1 > Cursor<Sink>::kHighestShared || !sink_.can_share_tables() ||
                        (link.writable() && below.live <= kFewEntries && left.tables != 0);
    if (!copies) {
      if (!theirs) {
        to.walk(va);
        NOPTE_TRY(to.make_tables(level));
        theirs = to.table();
      }
      from.share_with(to, {table, from.root(), va, level, scan.index()}, link, *theirs);
      ++counters_.tables_shared;
    } else if (level > 2) {
      if (level - 1 <= Cursor<Sink>::kHighestShared) --left.tables;
      NOPTE_TRY(clone_below(from, to, link.frame(), level - 1, va, left, batch));
    } else {
      --left.tables;
      NOPTE_TRY(clone_leaf_table(from, to, va, left));
    }
  }
  // Made for tables that the clone has no need of. Where this came to none, the walk is another table's.
  if (level == 2 && level < Format::kLevels && to.level() == 2 &&
      VaRange{begin, begin + Format::table_bytes(2)}.contains(to.va())) {
    to.prune(batch);
  }
  return {};
}

// The private pages of one leaf table: both sides lose the right to write, and share. But where few can be
// written, those that were since the last clone are sooner copied now than by a fault of each side: nobody
// but what copies ahead asks D of anonymous memory, and begins it anew. Errors: kNoMemory.
template <PageTableSink Sink>
Result<void> Engine<Sink>::clone_leaf_table(Cursor<Sink>& from, Cursor<Sink>& to, Gva va, Copies& left) {
  using Writable = LeftOut<Format>;
  from.walk_here(va);
  const auto table = leaf_table_for(to, va, from.leaf_meta().live);
  if (!table) return Fail(table.error());
  LazyUpdates lazy(sink_);
  Writable writable(sink_.processor_marks() ? std::min(Writable::kMost, left.pages) : 0);
  from.copy_pages(from.leaf_table(), *table, Entry(Entry::kPresent), WhichPages::kAnonymous, writable);
  FrameMeta& copy = frames_.meta(*table);
  FillerOf<Sink> filler = sink_.filler(*table);
  for (unsigned i = 0; i < writable.count; ++i) {
    const auto& [index, entry] = writable.pages[i];
    const Result<Frame> frame =
        entry.dirty() && !writable.are_more ? copied_frame(entry.frame()) : Fail(Status::kInvalid);
    const Entry kept = entry.without(frame ? Entry::kDirty | Entry::kCopiedAhead : Entry::kWritable);
    from.replace_here(index, entry, kept);
    if (frame) {
      work::did(work::Unit::kPage);
      if (entry.copied_ahead()) ++left.used;
      filler.fill(index, kept.with_frame(*frame).with(Entry::kCopiedAhead));
      ++counters_.pages_ahead;
      --left.pages;
    } else {
      filler.fill(index, kept.without(Entry::kCopiedAhead));
      ++frames_.meta(entry.frame()).refs;
    }
    note_filled<Format>(copy, index);
    ++counters_.entries_written;
  }
  if (copy.live != 0) {
    to.link_table(*table, 1);
  } else {
    tables_.discard(*table);  // an object's pages alone: faults find them again
  }
  return {};
}

// A private leaf table for va and so many entries, with everything above it in place. Errors: kNoMemory.
template <PageTableSink Sink>
Result<Frame> Engine<Sink>::leaf_table_for(Cursor<Sink>& cursor, Gva va, u64 entries) {
  cursor.walk_here(va);
  if (const auto made = cursor.make_tables(2); !made) return Fail(made.error());
  return tables_.make(1, entries);
}

template <PageTableSink Sink>
bool Engine<Sink>::empty_tables(Space& space, Checkpoint* checkpoint) {
  if (!space.retired) sink_.root_retire(space.root);
  space.retired = true;  // its regions stay known to promised(), but no fault asks them
  Batch batch(sink_, frames_, counters_, space.root, FlushScope::kSpace);
  const bool done = free_below(space.root, Format::kLevels, batch, checkpoint);
  if (done) {
    // What it has of the kernel's is not counted.
    if (sink_.plain_tables()) fill_kernel_slots(space.root, Slots::kEmpty);
    batch.table(space.root);
  }
  batch.flush();
  return done;
}

template <PageTableSink Sink>
template <class Way>
[[gnu::noinline]] void Engine<Sink>::free_leaves(FrameMeta& meta, Frame table, Batch& batch) {
  const FrameTable::Metas metas = frames_.metas();
  u64 unused = 0;  // of objects' pages
  for_each_entry(way<Way>(), meta, table, 0, Format::kEntriesPerTable - 1,
                 [&](unsigned, Entry entry) __attribute__((always_inline)) {
                   work::did(work::Unit::kPage);
                   const Frame frame = entry.frame();
                   FrameMeta& page = metas(frame);
                   if (!entry.asked_for()) {
                     if (page.kind != FrameKind::kAnon) {
                       ++unused;
                     } else {
                       note_unused(entry);
                     }
                   }
                   if (--page.refs == 0) batch.frame(frame, page);
                   return true;
                 });
  counters_.ahead_unused += unused;
}

// Frees what the user entries of a table of a retired root lead to. False: stopped at the checkpoint, with
// what is gone taken out.
template <PageTableSink Sink>
bool Engine<Sink>::free_below(Frame table, unsigned level, Batch& batch, Checkpoint* checkpoint) {
  FrameMeta& meta = frames_.meta(table);
  if (level == 1) {
    choose_way(sink_,
               [&]<class Way>() __attribute__((always_inline)) { free_leaves<Way>(meta, table, batch); });
    return true;
  }
  for (TableScan<Sink> scan(sink_, meta, table, 0, last_user_index(level)); scan.next();) {
    if (kLargePages<Sink> && level == 2 && scan.entry().large()) [[unlikely]] {
      drop_large(scan.entry(), batch);
    } else {
      const Frame child = scan.entry().frame();
      FrameMeta& below = frames_.meta(child);
      // Others may have it too.
      if (below.refs == 1 && !free_below(child, level - 1, batch, checkpoint)) {
        forget_entries(table, scan.index());
        return false;
      }
      if (--below.refs == 0) batch.table(child);
    }
    work::did(work::Unit::kNode);
    if (checkpoint != nullptr && checkpoint->should_stop(Gva())) {
      forget_entries(table, scan.index() + 1);
      return false;
    }
  }
  return true;
}

// What the first `count` entries of a table of a retired root led to is gone.
template <PageTableSink Sink>
void Engine<Sink>::forget_entries(Frame table, unsigned count) {
  if (count == 0) return;
  FrameMeta& meta = frames_.meta(table);
  FillerOf<Sink> filler = sink_.filler(table);
  for (TableScan<Sink> scan(sink_, meta, table, 0, count - 1); scan.next();) {
    filler.fill(scan.index(), Entry());
    note_emptied(meta);
  }
}

// On the way of every switch between processes.
template <PageTableSink Sink>
inline Result<void> Engine<Sink>::space_activate(SpaceId id) {
  Space* space = find_space(id);
  if (space == nullptr || space->retired) return Fail(Status::kInvalid);
  activated_id_ = id;
  activated_ = space;
  sink_.root_activate(space->root);
  return {};
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::root(SpaceId id) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired) return Fail(Status::kInvalid);
  return space->root;
}

template <PageTableSink Sink>
auto Engine<Sink>::peek(SpaceId id, Gva va) const -> std::optional<Installed> {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired || !Format::canonical(va)) return std::nullopt;
  Cursor<Sink> cursor(tables_, Format::kernel_half(va) ? kernel_.root : space->root);
  cursor.walk(va);
  if (cursor.kept()) cursor.walk_on();
  return installed_at(cursor, cursor.entry());
}

template <PageTableSink Sink>
auto Engine<Sink>::installed_at(const Cursor<Sink>& cursor, Entry entry) const -> std::optional<Installed> {
  const bool large = cursor.level() > 1 && entry.holds_frame() && entry.large();
  if (entry.empty() || (cursor.level() > 1 && !large)) return std::nullopt;
  return Installed{entry, cursor.level(), entry.perm() & cursor.path_rights(),
                   entry.user() && cursor.path_user()};
}

template <PageTableSink Sink>
InstalledPages Engine<Sink>::count_first(const Space& space, VaRange& range) const {
  Cursor<Sink> cursor(tables_, space.root);
  cursor.walk(range.begin);
  if (cursor.kept()) cursor.walk_on();
  const auto to = [&](Gva end) {
    const VaRange part{range.begin, range.begin < end && end < range.end ? end : range.end};
    range.begin = part.end;
    return part;
  };
  if (cursor.level() > 1) {
    const Entry entry = cursor.entry();
    if (!entry.holds_frame() || !entry.large()) return to(cursor.next_address()), InstalledPages();
    const u64 pages = to(cursor.entry_end()).pages();
    return {pages, pages};
  }
  // A table knows how many entries it has; some of them are counted, a few at once.
  if (cursor.part_before(range.end).bytes() == Format::table_bytes(1)) {
    return to(cursor.table_end()), InstalledPages{cursor.leaf_meta().live, 0};
  }
  InstalledPages found;
  const VaRange part = to(std::min(cursor.table_end(), range.begin + pages_to_bytes(kPagesPerCheck)));
  for (auto scan =
           cursor.scan(Format::table_index(part.begin, 1), Format::table_index(part.end - kPageBytes, 1));
       scan.next();) {
    work::did(work::Unit::kPage);
    ++found.pages;
  }
  return found;
}

template <PageTableSink Sink>
void Engine<Sink>::draw_installed(const Space& space, PictureWriter& picture) const {
  InstalledRun run;
  // False: the picture is full.
  const auto add = [&](Gva va, Entry entry, const Cursor<Sink>& cursor) {
    const auto installed = installed_at(cursor, entry);
    const InstalledRun next{{va, va + Format::entry_bytes(cursor.level())},
                            cursor.level(),
                            installed->rights,
                            cursor.most_parents()};
    if (run.take(next)) return true;
    const bool more = run.range.empty() || picture.run(run);
    run = next;
    return more;
  };
  Cursor<Sink> cursor(tables_, space.root);
  const VaRange half = Format::kUserRange;
  for (Gva va = half.begin; cursor.seek_leaf_table(va, half.end); va = cursor.part_before(half.end).end) {
    if (!picture.look(cursor.level() == 1 ? Format::kEntriesPerTable : 1)) break;
    if (cursor.level() != 1) {
      if (!add(cursor.va(), cursor.entry(), cursor)) return;
      continue;
    }
    for (auto scan = cursor.scan(); scan.next();) {
      if (!add(cursor.leaf_va(scan.index()), scan.entry(), cursor)) return;
    }
  }
  if (!run.range.empty()) picture.run(run);
}

template <PageTableSink Sink>
template <class Visit>
void Engine<Sink>::for_each_installed(SpaceId id, Visit visit) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired) return;
  const VaRange half = id == SpaceId::kKernel ? Format::kWindowRange : Format::kUserRange;
  Cursor<Sink> cursor(tables_, space->root);
  for (Gva va = half.begin; cursor.seek_leaf_table(va, half.end); va = cursor.part_before(half.end).end) {
    if (cursor.level() != 1) {
      visit(cursor.va(), *installed_at(cursor, cursor.entry()));
      continue;
    }
    for (auto scan = cursor.scan(); scan.next();) {
      visit(cursor.leaf_va(scan.index()), *installed_at(cursor, scan.entry()));
    }
  }
}

}  // namespace nopte::pt
