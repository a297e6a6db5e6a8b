// Engine: rights of what is installed in a range. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_protected(SpaceId id, VaRange range, Perm perm, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, range)) return Fail(Status::kInvalid);
  return for_each_leaf_table(id, *space, range, Whose::kOwn, checkpoint, Stops::kAnywhere,
                             [this, perm](Cursor<Sink>& cursor, VaRange part, Batch& batch) {
                               if (cursor.at_large_page() && cursor.mine()) [[unlikely]] {
                                 protect_large(cursor, perm, batch);
                               } else {
                                 protect_leaf_table(cursor, part, perm, batch);
                               }
                             });
}

template <PageTableSink Sink>
void Engine<Sink>::protect_leaf_table(Cursor<Sink>& cursor, VaRange part, Perm perm, Batch& batch) {
  if (!cursor.mine()) [[unlikely]] {
    if (cursor.restrict_shared(perm, batch)) ++counters_.entries_written;
    return;
  }
  const unsigned first = Format::table_index(part.begin, 1);
  const unsigned last = Format::table_index(part.end - kPageBytes, 1);
  // One page that is not there needs no loop.
  if (first != last || !cursor.entry().empty()) {
    if (first != last && !sink_.plain_tables() && restrict_table(cursor, first, last, perm, batch))
        [[unlikely]] {
      ++counters_.entries_written;
    } else if (perm.none()) {
      hide_pages(cursor, first, last, batch);
    } else {
      choose_way(sink_, [&]<class Way>() __attribute__((always_inline)) {
        const LazyUpdates lazy(way<Way>());
        if constexpr (kApart<Way>) {
          give_rights<Way>(cursor, first, last, perm, perm.write(), batch);
        } else if (perm.write()) {
          give_rights<Way>(cursor, first, last, perm, std::true_type(), batch);
        } else {
          give_rights<Way>(cursor, first, last, perm, std::false_type(), batch);
        }
      });
    }
  }
  cursor.prune(batch);
}

// Where each change of an entry is checked: if [first, last] is all that a table of programs' memory has, and
// none of it gets a right by this, the entry above takes what many would lose. False: it is for the entries.
template <PageTableSink Sink>
[[gnu::noinline, gnu::cold]] bool Engine<Sink>::restrict_table(Cursor<Sink>& cursor, unsigned first,
                                                               unsigned last, Perm perm, Batch& batch) {
  constexpr unsigned kFew = 4;
  const unsigned end = Format::kEntriesPerTable;
  if (perm.write() || !Format::kUserRange.contains(cursor.va())) return false;
  if (first != 0 && cursor.scan(0, first - 1).next()) return false;
  if (last != end - 1 && cursor.scan(last + 1, end - 1).next()) return false;
  unsigned lose = 0;
  bool gain = false;
  cursor.for_each(first, last, [&](unsigned, Entry entry) {
    work::did(work::Unit::kPage);
    const Perm had = entry.perm();
    gain = (had & perm) != perm;
    if ((had & perm) != had) ++lose;
    return !gain;
  });
  if (gain || lose < kFew) return false;
  cursor.restrict_own(perm, batch);
  return true;
}

// No access to the pages of the entries [first, last] any more. An object's go: its index finds them again.
template <PageTableSink Sink>
[[gnu::noinline]] void Engine<Sink>::hide_pages(Cursor<Sink>& cursor, unsigned first, unsigned last,
                                                Batch& batch) {
  choose_way(sink_, [&]<class Way>()
                        __attribute__((always_inline)) { hide_entries<Way>(cursor, first, last, batch); });
}

template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline void Engine<Sink>::hide_entries(Cursor<Sink>& cursor, unsigned first,
                                                              unsigned last, Batch& batch) {
  const LazyUpdates lazy(way<Way>());
  const FrameTable::Metas metas = frames_.metas();
  typename Cursor<Sink>::template Edits<Way> edits(cursor);
  cursor.template for_each_edited<Way>(first, last,
                                       [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                                         work::did(work::Unit::kPage);
                                         const Frame frame = entry.frame();
                                         if (metas(frame).kind == FrameKind::kAnon) {
                                           if (!entry.present()) return true;
                                           batch.page(cursor.leaf_va(index));
                                           edits.replace(index, entry, entry.with_perm(kPermNone));
                                         } else {
                                           if (entry.present()) batch.page(cursor.leaf_va(index));
                                           edits.remove(index, entry);
                                           drop_reference(frame, metas, batch);
                                         }
                                         ++counters_.entries_written;
                                         return true;
                                       });
}

// The pages of the entries [first, last] get these rights, or all but writing where a write copies. `write`:
// whether they allow writing.
template <PageTableSink Sink>
template <class Way, class Write>
[[gnu::always_inline]] inline void Engine<Sink>::give_rights(Cursor<Sink>& cursor, unsigned first,
                                                             unsigned last, Perm perm, Write write,
                                                             Batch& batch) {
  const typename Entry::Rights rights(perm);
  const FrameTable::Metas metas = frames_.metas();
  unsigned written = 0;
  // Behind so many all is flushed.
  unsigned noted = rights.refuse_something() ? Batch::kMaxPages + 1 : 0;
  {
    typename Cursor<Sink>::template Edits<Way> edits(cursor);
    const auto give = [&](unsigned index, Entry entry) __attribute__((always_inline)) {
      work::did(work::Unit::kPage);
      Entry desired = rights.of(entry);
      if (!entry.writable() && write) {
        const FrameMeta& meta = metas(entry.frame());
        if (meta.kind != FrameKind::kAnon || meta.refs != 1) [[unlikely]]
          desired = desired.without(Entry::kWritable);
      }
      if (desired == entry) return true;
      edits.replace(index, entry, desired);
      ++written;
      if (noted != 0 && rights.taken_from(entry)) {
        batch.page(cursor.leaf_va(index));
        --noted;
      }
      return true;
    };
    if constexpr (kApart<Way>) {
      cursor.template for_each<Way>(first, last, give);
    } else {
      cursor.template for_each_edited<Way>(first, last, give);
    }
  }
  counters_.entries_written += written;
}

}  // namespace nopte::pt
