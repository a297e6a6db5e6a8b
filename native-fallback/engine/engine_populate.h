// Engine: what a program wants installed before it touches it (EngineCore::populate), and leaf tables that
// are filled before they are linked. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<Gva> Engine<Sink>::install_promised(Space& space, SpaceId id, const Promise& promise, VaRange pages,
                                           Access access) {
  Gva va = pages.begin;
  while (va < pages.end) {
    if (promise.object == nullptr && !sink_.plain_tables()) [[unlikely]] {
      const Entry model = Entry::leaf(Frame(), promise.region.perm, privilege_of(id), access);
      if (const u64 made = install_new_table(space, {va, pages.end}, promise, 0, model); made != 0) {
        va += pages_to_bytes(made);
        continue;
      }
    }
    work::did(work::Unit::kPage);
    NOPTE_TRY(choose_way(sink_, [&]<class Way> { return resolve<Way>(space, id, promise, va, access); }));
    va += kPageBytes;
    if (promise.object != nullptr) continue;
    const Cursor<Sink> cursor(tables_, space.root, va - kPageBytes);
    if (cursor.at_large_page()) va = cursor.large_page().end;
    const VaRange left{va, std::min(cursor.table_end(), pages.end)};
    if (cursor.level() != 1 || !cursor.mine() || left.begin >= left.end) continue;
    const Entry model = Entry::leaf(Frame(), promise.region.perm, privilege_of(id), access);
    va += pages_to_bytes(choose_way(sink_, [&]<class Way> {
      return install_run<Way>(cursor.leaf(), Format::table_index(va, 1), static_cast<unsigned>(left.pages()),
                              promise, 0, model);
    }));
  }
  return va;
}

// Where a run of touches goes on in a table that is not there yet, and tables are checked whole for less than
// entry by entry: installs all that the object has there, or what the space's account pays for, where that is
// more than a step. False: nothing has changed.
template <PageTableSink Sink>
[[gnu::noinline, gnu::cold]] bool Engine<Sink>::fill_next_table(Space& space, SpaceId id,
                                                                const Promise& promise, Gva va, u64 page,
                                                                Access access) {
  const RegionSpec& region = promise.region;
  const u64 before = VaRange{region.range.begin, va}.pages();
  if (promise.pattern == AccessPattern::kRandom || before < AheadPolicy::kMost) return false;
  const bool pays = promise.object == nullptr;
  if (!pays && region.sharing == Sharing::kPrivate) return false;
  const Cursor<Sink> run(tables_, space.root, va - kPageBytes);
  if (run.level() != 1 || AheadPolicy::step_at(Format::kEntriesPerTable, [&](unsigned at) {
                            return sink_.read(run.leaf_slot(at)).touched();
                          }) < AheadPolicy::kMost) {
    return false;
  }
  u64 pages = std::min<u64>(VaRange{va, region.range.end}.pages(), Format::kEntriesPerTable);
  if (pays) {
    if (space.ahead.step_before(va) != 0) space.ahead.fault_at(va, 1);
    pages = std::min({pages, u64{space.ahead.pages()} + 1, frames_.free_frames() / AheadPolicy::kFreeParts});
  } else {
    pages = std::min(pages, promise.object->pages - page);
  }
  if (pages <= AheadPolicy::kMost) return false;
  const Entry model =
      Entry::leaf(Frame(), region.perm, privilege_of(id), access).without(Entry::kAccessed | Entry::kDirty);
  const u64 made = install_new_table(space, VaRange::of_pages(va, pages), promise, page, model);
  if (made <= 1) return made != 0;
  if (pays) space.ahead.pay(va + pages_to_bytes(made), static_cast<unsigned>(made - 1));
  counters_.pages_ahead += made - 1;
  return true;
}

// Makes the leaf table of the first of these pages, if there is none, and fills it, with as many of them as
// it maps, before it is linked: whoever checks a change of an entry checks a whole table for less. How many
// it made, as install_run(); 0, and nothing has changed: few are wanted, there is a table, or no memory.
template <PageTableSink Sink>
[[gnu::noinline, gnu::cold]] u64 Engine<Sink>::install_new_table(const Space& space, VaRange pages,
                                                                 const Promise& promise, u64 page,
                                                                 Entry model) {
  Cursor<Sink> cursor(tables_, space.root, pages.begin);
  if (cursor.level() == 1 || !cursor.mine() || cursor.kept()) return 0;
  const Gva begin(pages.begin.value() & ~(Format::table_bytes(1) - 1));
  const u64 count = VaRange{pages.begin, std::min(pages.end, begin + Format::table_bytes(1))}.pages();
  if (count <= kSoonerEmptied || !cursor.make_tables(2)) return 0;
  u64 made = 0;
  const auto table = tables_.make(1, count);
  if (table) {
    made = choose_way(sink_, [&]<class Way> {
      return install_run<Way>({*table, space.root, begin}, Format::table_index(pages.begin, 1),
                              static_cast<unsigned>(count), promise, page, model);
    });
    if (made == 0) tables_.discard(*table);
  }
  if (made == 0) {
    Batch batch(sink_, frames_, counters_, space.root, FlushScope::kSpace);
    cursor.prune(batch);
    batch.flush();
    return 0;
  }
  cursor.link_table(*table, 1);
  return made;
}

}  // namespace nopte::pt
