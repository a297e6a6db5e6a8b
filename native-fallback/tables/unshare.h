// Tables with several parents. Included by cursor.h.
//
// A clone links what its original has, and both entries lose the right to write; nothing below is touched:
//
//   root A   root B           root A    root B
//       \-   -/                  |  W     | -
//        (3)          A writes  (3)'     (3)
//      W / \ W        ------>   W| \-   -/ |-
//      (2) (2)                  (2)' (2) (2)
//
// A table that several entries lead to does not change, but for A and D, for rights to write that its copies
// take from both, and where an object is cut for all. Whether a table is a root's own is decided along the
// way: it is where every entry above can be written. Where one cannot, the table below has other parents, or
// had: then it is the root's again at the next change of something below.
//
// Rights that one root takes from all that lies below a shared table are taken in the entry above
// (X86Entry::restricted_to), and in the table itself when it is the root's own.
//
// Where another side checks each change of an entry (not plain_tables()), one entry above is cheaper than
// many below. A leaf table that is a root's own is restricted like a shared one there (restrict_own), and one
// that was copied keeps its rights to write, which count for nothing while the entry above has none: they are
// looked at when that gets its own back (keep_what_it_may).
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
void Cursor<Sink>::walk_on() {
  for (unsigned level = path_.level; level > 1; --level) {
    const Entry link = memory_.sink.read(Slot::of<Format>(table(), root_, va_, level));
    if (ends_way(link)) return;
    path_.rights &= link.word();
    path_.refused |= link.word();
    path_.level = level - 1;
    path_.tables[path_.level] = link.frame().number();
  }
}

template <PageTableSink Sink>
u32 Cursor<Sink>::most_parents() const {
  u32 most = 1;
  for (unsigned level = path_.level; level < Format::kLevels; ++level) {
    const u32 parents = memory_.frames.meta(Frame(path_.tables[level])).refs;
    if (parents > most) most = parents;
  }
  return most;
}

template <PageTableSink Sink>
unsigned Cursor<Sink>::shared_level() const {
  unsigned level = kHighestShared;
  while (memory_.sink.read(above(level)).writable()) --level;
  return level;
}

// The table of this level has no parent but `link`: gives that full rights. What it had taken is taken below;
// a shadow that shows entries one by one must know that before it shows more of the way.
template <PageTableSink Sink>
void Cursor<Sink>::regain(unsigned level, Entry link, VaRange decided, TlbBatch<Sink>& batch) {
  const Frame table = link.frame();
  const Entry full = Format::table_entry(table, privilege(), level + 1);
  if (level == 1 && !memory_.sink.plain_tables()) [[unlikely]] {
    keep_what_it_may(table, link, decided, batch);
  } else if (link != full.without(Entry::kWritable)) {
    work::did(work::Unit::kTable);
    batch.all_pages();
    for (auto scan = TableScan<Sink>(memory_.sink, memory_.frames.meta(table), table, 0,
                                     Format::kEntriesPerTable - 1);
         scan.next();) {
      const Entry less = scan.entry().restricted_by(link, level);
      if (less == scan.entry()) continue;
      const Gva va = table_begin(level) + scan.index() * Format::entry_bytes(level);
      memory_.sink.exchange({table, root_, va, level, scan.index()}, scan.entry(), less);
    }
  }
  memory_.sink.exchange(above(level), link, full);
}

// The entries of a leaf table lose what the entry above it had taken, but for those of `decided`, and the
// right to write to pages that others have too.
template <PageTableSink Sink>
[[gnu::noinline, gnu::cold]] void Cursor<Sink>::keep_what_it_may(Frame table, Entry link, VaRange decided,
                                                                 TlbBatch<Sink>& batch) {
  work::did(work::Unit::kTable);
  const bool restricted = link != Format::table_entry(table, privilege(), 2).without(Entry::kWritable);
  if (restricted) batch.all_pages();
  const typename Entry::Restriction restriction(link);
  const FrameTable::Metas metas = memory_.frames.metas();
  auto edits = memory_.sink.edits({table, root_, table_begin(1)});
  for_each_entry(memory_.sink, memory_.frames.meta(table), table, 0, Format::kEntriesPerTable - 1,
                 [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                   if (!restricted && !entry.writable()) return true;
                   Entry kept = entry;
                   if (restricted && !decided.contains(leaf_va(index))) kept = restriction.leaf(entry);
                   if (kept.writable()) {
                     const FrameMeta& page = metas(entry.frame());
                     if (page.kind == FrameKind::kAnon && page.refs != 1)
                       kept = kept.without(Entry::kWritable);
                   }
                   if (kept != entry) edits.replace(index, entry, kept);
                   return true;
                 });
}

template <PageTableSink Sink>
bool Cursor<Sink>::take_back(VaRange decided, TlbBatch<Sink>& batch) {
  const unsigned level = shared_level();
  if (memory_.frames.meta(Frame(path_.tables[level])).refs != 1) return false;
  regain(level, memory_.sink.read(above(level)), decided, batch);
  walk(va_);
  if (kept()) walk_on();
  return true;
}

template <PageTableSink Sink>
void Cursor<Sink>::drop_shared(TlbBatch<Sink>& batch) {
  path_.level = shared_level();
  batch.all_pages();
  unlink_at(path_.level, batch);
}

template <PageTableSink Sink>
bool Cursor<Sink>::restrict_shared(Perm perm, TlbBatch<Sink>& batch) {
  const Slot slot = above(shared_level());
  const Entry link = memory_.sink.read(slot);
  const Entry less = link.restricted_to(perm);
  if (less == link) return false;
  memory_.sink.exchange(slot, link, less);
  if (link.present() && less.lacks_rights_of(link)) batch.all_pages();
  return true;
}

template <PageTableSink Sink>
void Cursor<Sink>::restrict_own(Perm perm, TlbBatch<Sink>& batch) {
  const Slot slot = above(1);
  const Entry link = memory_.sink.read(slot);
  memory_.sink.exchange(slot, link, link.without(Entry::kWritable).restricted_to(perm));
  batch.all_pages();
}

template <PageTableSink Sink>
void Cursor<Sink>::share_with(const Cursor& to, const Slot& ours, Entry link, Frame theirs) const {
  const Entry shared = link.without(Entry::kWritable);
  if (link.writable()) memory_.sink.exchange(ours, link, shared);
  ++memory_.frames.meta(link.frame()).refs;
  memory_.sink.link({theirs, to.root_, ours.va, ours.level, ours.index}, shared);
  note_filled<Format>(memory_.frames.meta(theirs), ours.index);
}

template <PageTableSink Sink>
template <class Way>
void Cursor<Sink>::copy_pages_as(Frame table, Frame copy, Entry above, WhichPages which,
                                 LeftOut<Format>& writable) const {
  work::did(work::Unit::kTable);
  Way& sink = way_of<Way>(memory_.sink);
  FrameMeta& to = memory_.frames.meta(copy);
  FillerOf<Way> filler = sink.filler(copy);
  auto edits = sink.edits({table, root_, table_begin(1)});
  const FrameMeta& from = memory_.frames.meta(table);
  const FrameTable::Metas metas = memory_.frames.metas();
  const typename Entry::Restriction restriction(above);
  // None of the entries that lead to it can be written then.
  const bool keeps_rights = which == WhichPages::kAll && !sink.plain_tables();
  u16 copied = 0;
  for_each_entry(sink, from, table, 0, Format::kEntriesPerTable - 1,
                 [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                   // Nobody has touched it: the first fault finds it again, or another zero page.
                   if (!entry.accessed()) return true;
                   FrameMeta& page = metas(entry.frame());
                   Entry same = restriction.leaf(entry);
                   if (page.kind == FrameKind::kAnon) {
                     if (entry.writable() && !keeps_rights) [[unlikely]] {
                       if (writable.count != writable.most) {
                         writable.pages[writable.count++] = {index, entry};
                         return true;
                       }
                       writable.are_more = true;
                       if constexpr (kApart<Way>) {
                         replace_apart(edits, index, entry, entry.without(Entry::kWritable));
                       } else {
                         edits.replace(index, entry, entry.without(Entry::kWritable));
                       }
                     }
                     same = same.without(Entry::kWritable);
                   } else if (which == WhichPages::kAnonymous) {
                     return true;
                   }
                   ++page.refs;
                   ++copied;
                   filler.fill(index, same);
                   return true;
                 });
  to.live = copied;
  to.back = from.back;
  memory_.counters.entries_written += copied;
}

template <PageTableSink Sink>
void Cursor<Sink>::take_write(Frame table, unsigned level, unsigned index, Entry entry) const {
  const Gva va = table_begin(level) + index * Format::entry_bytes(level);
  memory_.sink.exchange({table, root_, va, level, index}, entry, entry.without(Entry::kWritable));
}

template <PageTableSink Sink>
void Cursor<Sink>::copy_table(Frame table, Frame copy, unsigned level, Entry above, unsigned skipped) {
  if (level == 1) {
    LeftOut<Format> none(0);
    return copy_pages(table, copy, above, WhichPages::kAll, none);
  }
  work::did(work::Unit::kTable);
  const FrameMeta& from = memory_.frames.meta(table);
  FrameMeta& to = memory_.frames.meta(copy);
  FillerOf<Sink> filler = memory_.sink.filler(copy);
  to.live = from.live;
  to.back = from.back;
  const FrameTable::Metas metas = memory_.frames.metas();
  const typename Entry::Restriction restriction(above);
  for (TableScan<Sink> scan(memory_.sink, from, table, 0, Format::kEntriesPerTable - 1); scan.next();) {
    const Entry entry = scan.entry();
    if (scan.index() == skipped) {
      if (level == 2 && entry.writable() && !memory_.sink.plain_tables()) [[unlikely]] {
        take_write(table, level, skipped, entry);
      }
      continue;
    }
    Entry same = restriction.table(entry);
    if (kLargePages<Sink> && level == 2 && entry.large()) [[unlikely]] {
      Blocks(memory_.frames).add_large(entry.large_frame());
      same = restriction.leaf(entry);
    } else {
      ++metas(entry.frame()).refs;
    }
    if (entry.writable()) take_write(table, level, scan.index(), entry);
    filler.fill(scan.index(), same.without(Entry::kWritable));
  }
}

template <PageTableSink Sink>
Result<void> Cursor<Sink>::own(unsigned lowest, TlbBatch<Sink>& batch) {
  // What has no other parent any more.
  bool regained = false;
  unsigned top = kHighestShared;
  Entry links[Format::kLevels];  // by the level of the table that they lead to
  for (; top >= lowest; --top) {
    links[top] = memory_.sink.read(above(top));
    if (ends_way(links[top])) break;
    path_.tables[top] = links[top].frame().number();
    if (links[top].writable()) continue;
    if (memory_.frames.meta(links[top].frame()).refs != 1) break;
    regain(top, links[top], VaRange(), batch);
    regained = true;
  }
  if (top < lowest || ends_way(links[top])) {
    if (regained) batch.way_gained(va_);
    walk(va_);
    return {};
  }
  // A copy of each table from there down.
  unsigned low = top;
  Frame copies[Format::kLevels];
  for (;; --low) {
    const auto copy = memory_.make(low, memory_.frames.meta(links[low].frame()).live);
    if (!copy) {
      while (low++ < top) memory_.discard(copies[low]);
      walk(va_);
      return Fail(copy.error());
    }
    copies[low] = *copy;
    if (low == lowest) break;
    links[low - 1] = memory_.sink.read(Slot::of<Format>(links[low].frame(), root_, va_, low));
    if (ends_way(links[low - 1])) break;
  }
  for (unsigned level = top; level > low; --level) {
    copy_table(links[level].frame(), copies[level], level, links[level], Format::table_index(va_, level));
    links[level - 1] = links[level - 1].restricted_by(links[level], level);
  }
  copy_table(links[low].frame(), copies[low], low, links[low]);
  for (unsigned level = low;; ++level) {
    memory_.sink.publish(copies[level], level, va_);
    memory_.frames.meta(copies[level]).refs = 1;
    const Entry link = Format::table_entry(copies[level], privilege(), level + 1);
    if (level == top) {
      memory_.sink.relink(above(top), link);
      break;
    }
    memory_.sink.filler(copies[level + 1]).fill(Format::table_index(va_, level + 1), link);
  }
  --memory_.frames.meta(links[top].frame()).refs;
  // Another root may run that still has the tables, and knows of more rights than their entries have now: it
  // must not before it has the way back.
  if (!memory_.sink.runs(root_)) batch.everywhere();
  memory_.counters.tables_unshared += top - low + 1;
  batch.way_to(va_);
  walk(va_);
  return {};
}

}  // namespace nopte::pt
