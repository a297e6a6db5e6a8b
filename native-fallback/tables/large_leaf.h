// Leaves above level 1, which show as much as a table of the level below. Included by cursor.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
auto Cursor<Sink>::replace_large_page(Entry expected, Entry desired) -> Entry {
  return memory_.sink.exchange(slot(), expected, desired);
}

template <PageTableSink Sink>
auto Cursor<Sink>::remove_large_page() -> Entry {
  note_emptied(meta());
  return memory_.sink.exchange(slot(), entry(), Entry());
}

template <PageTableSink Sink>
void Cursor<Sink>::install_large_page(Entry leaf) {
  memory_.sink.set(slot(), leaf);
  note_filled<Format>(meta(), Format::table_index(va_, 2));
}

template <PageTableSink Sink>
Result<void> Cursor<Sink>::split() {
  constexpr Word kMarks = Entry::kAccessed | Entry::kDirty;
  const unsigned lower = path_.level - 1;
  const auto table = memory_.make(lower);
  if (!table) return Fail(table.error());
  const Entry whole = entry();
  const Frame first = Format::leaf_frame(whole, path_.level);
  FillerOf<Sink> filler = memory_.sink.filler(*table);
  for (unsigned i = 0; i < Format::kEntriesPerTable; ++i) {
    filler.fill(i, Format::leaf_at(whole, first + i * frames_of(lower), lower));
  }
  note_filled_run<Format>(memory_.frames.meta(*table), 0, Format::kEntriesPerTable, Format::kEntriesPerTable);
  memory_.sink.publish(*table, lower, va_);
  memory_.frames.meta(*table).refs = 1;
  const Entry old =
      memory_.sink.exchange(slot(), whole, Format::table_entry(*table, privilege(), path_.level));
  walk(va_);
  // What the processor marked until the exchange.
  if (const Word missed = old.word() & ~whole.word() & kMarks; missed != 0) {
    for (unsigned i = 0; i < Format::kEntriesPerTable; ++i) {
      const Slot part{*table, root_, table_begin(lower) + i * Format::entry_bytes(lower), lower, i};
      const Entry unmarked = memory_.sink.read(part);
      memory_.sink.exchange(part, unmarked, unmarked.with(missed));
    }
  }
  return {};
}

template <PageTableSink Sink>
bool Cursor<Sink>::merge(TlbBatch<Sink>& batch) {
  constexpr Word kMarks = Entry::kAccessed | Entry::kDirty;
  const unsigned upper = path_.level + 1;
  if (upper > Format::kLargestLeaf || meta().live != Format::kEntriesPerTable) return false;
  const auto view = memory_.sink.view(table());
  const Entry model = view.read(0).without(kMarks);
  const Frame first = Format::leaf_frame(model, path_.level);
  if (!model.holds_frame() || first.number() % frames_of(upper) != 0) return false;
  Word marks = Entry::kAccessed | (model.writable() ? Entry::kDirty : 0);
  for (unsigned i = 0; i < Format::kEntriesPerTable; ++i) {
    const Entry part = view.read(i);
    if (part.without(kMarks) != Format::leaf_at(model, first + i * frames_of(path_.level), path_.level))
      return false;
    marks |= part.word() & kMarks;
  }
  const Frame gone = table();
  path_.level = upper;
  memory_.sink.exchange(slot(), entry(), Format::leaf_at(model, first, upper).with(marks));
  --memory_.frames.meta(gone).refs;
  batch.way_to(va_);
  batch.table(gone);
  return true;
}

}  // namespace nopte::pt
