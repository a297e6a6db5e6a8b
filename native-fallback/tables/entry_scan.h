// What a table's metadata says of its entries, and reading those that are in use.
//
// Concurrency: the engine's.
#pragma once

#include <algorithm>
#include <bit>
#include <utility>

#include "native-fallback/tables/entry.h"
#include "native-fallback/tables/page_table_sink.h"

namespace nopte::pt {

// FrameMeta::back of a table has 64 bits: as many of its entries share one.
template <PageTableFormat Format>
inline constexpr unsigned kEntriesPerMark = Format::kEntriesPerTable / 64;

// Counts an entry of `table` that became non-empty / empty.
template <PageTableFormat Format>
inline void note_filled(FrameMeta& table, unsigned index) {
  ++table.live;
  table.back |= u64{1} << (index / kEntriesPerMark<Format>);
}
// Counts `filled` entries of [first, first + count). Precondition: count != 0.
template <PageTableFormat Format>
inline void note_filled_run(FrameMeta& table, unsigned first, unsigned count, unsigned filled) {
  const unsigned last = first + count - 1;
  table.live = static_cast<u16>(table.live + filled);
  table.back |=
      (~u64{0} << (first / kEntriesPerMark<Format>)) & (~u64{0} >> (63 - (last / kEntriesPerMark<Format>)));
}
inline void note_emptied(FrameMeta& table) { --table.live; }

// A table of so many entries is sooner emptied, one by one, than zeroed, or checked, when one is next made.
inline constexpr u64 kSoonerEmptied = 24;

// Empties all that a private table has in use. Precondition: tables are plain.
template <PageTableFormat Format>
inline void empty_entries(u8* table, FrameMeta& meta) {
  for (u64 marks = meta.back; marks != 0; marks &= marks - 1) {
    const unsigned first = static_cast<unsigned>(std::countr_zero(marks)) * kEntriesPerMark<Format>;
    for (unsigned i = 0; i < kEntriesPerMark<Format>; ++i)
      store_entry(table, first + i, typename Format::Entry());
  }
  meta.live = 0;
  meta.back = 0;
}

// The entries of [first, last] of a table that are not empty, ascending; where none was ever used is skipped:
//   for (EntryScan<Format, View> scan(view, meta, first, last); scan.next();) use(scan.index(),
//   scan.entry());
// Entries at or below index() may be emptied meanwhile.
template <PageTableFormat Format, class View>
class EntryScan {
  using Entry = typename Format::Entry;
  static constexpr unsigned kPerMark = kEntriesPerMark<Format>;

 public:
  // Both of one table.
  EntryScan(const View& view, const FrameMeta& meta, unsigned first, unsigned last)
      : view_(view), first_(first), last_(last) {
    if (const unsigned mark = first / kPerMark; mark == last / kPerMark) {
      next_ = first;
      if ((meta.back >> mark & 1) != 0) end_ = last + 1;
    } else {
      marks_ = meta.back & (~u64{0} << mark) & (~u64{0} >> (63 - (last / kPerMark)));
    }
  }

  [[gnu::always_inline]] bool next() {
    for (;;) {
      while (next_ < end_) {
        entry_ = view_.read(next_++);
        if (!entry_.empty()) return true;
      }
      if (marks_ == 0) return false;
      next_ = static_cast<unsigned>(std::countr_zero(marks_)) * kPerMark;
      marks_ &= marks_ - 1;
      end_ = next_ + (kPerMark - 1) < last_ ? next_ + kPerMark : last_ + 1;
      if (next_ < first_) next_ = first_;
    }
  }
  [[nodiscard]] unsigned index() const { return next_ - 1; }
  [[nodiscard]] Entry entry() const { return entry_; }

 private:
  View view_;
  unsigned first_;
  unsigned last_;
  u64 marks_ = 0;
  unsigned next_ = 0;
  unsigned end_ = 0;
  Entry entry_;
};

// The same, for short work.
template <PageTableSink Sink>
class TableScan : public EntryScan<typename Sink::Format, ViewOf<Sink>> {
 public:
  TableScan(Sink& sink, const FrameMeta& meta, Frame table, unsigned first, unsigned last)
      : EntryScan<typename Sink::Format, ViewOf<Sink>>(sink.view(table), meta, first, last) {}
};

// And for long work: visit(index, entry) until it answers false. Parts in use that are neighbours are one
// run.
template <PageTableFormat Format, class View, class Visit>
[[gnu::always_inline]] inline void for_each_entry(const View& view, const FrameMeta& meta, unsigned first,
                                                  unsigned last, const Visit& visit) {
  constexpr unsigned kPerMark = kEntriesPerMark<Format>;
  u64 marks = 0;
  unsigned index = first;
  unsigned stop = last + 1;
  const auto next_run = [&]() __attribute__((always_inline)) {
    const unsigned begin = static_cast<unsigned>(std::countr_zero(marks));
    const u64 behind = marks + (u64{1} << begin);  // the run's marks are carried into the one behind it
    const unsigned end = behind == 0 ? 64 : static_cast<unsigned>(std::countr_zero(behind));
    marks &= behind;
    index = std::max(begin * kPerMark, first);
    stop = std::min(end * kPerMark, last + 1);
  };
  if (first / kPerMark != last / kPerMark) {
    marks = meta.back & (~u64{0} << (first / kPerMark)) & (~u64{0} >> (63 - (last / kPerMark)));
    if (marks == 0) return;
    next_run();
  }
  for (;;) {
    do {
      const auto entry = view.read(index);
      if (!entry.empty() && !visit(index, entry)) return;
    } while (++index < stop);
    if (marks == 0) return;
    next_run();
  }
}
// Where a loop is worth a copy for each kind of view.
template <PageTableSink Sink, class Visit>
[[gnu::always_inline]] inline void for_each_entry(Sink& sink, const FrameMeta& meta, Frame table,
                                                  unsigned first, unsigned last, const Visit& visit) {
  sink.with_view(table, [&](const auto& view) __attribute__((always_inline)) {
    for_each_entry<typename Sink::Format>(view, meta, first, last, visit);
  });
}

}  // namespace nopte::pt
