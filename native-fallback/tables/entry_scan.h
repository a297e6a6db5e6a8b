// What a table's metadata says of its entries, and reading those that are in use.
//
// Concurrency: the engine's.
#pragma once

#include <bit>
#include <utility>

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
inline void note_emptied(FrameMeta& table) { --table.live; }

// The entries of [first, last] of a table that are not empty, ascending; where none was ever used is skipped:
//   for (EntryScan<Sink> scan(meta, view, first, last); scan.next();) use(scan.index(), scan.entry());
// Entries at or below index() may be emptied meanwhile.
template <PageTableSink Sink>
class EntryScan {
  using Entry = typename Sink::Format::Entry;
  using View = decltype(std::declval<Sink&>().view(Frame()));
  static constexpr unsigned kPerMark = kEntriesPerMark<typename Sink::Format>;

 public:
  EntryScan(const FrameMeta& table, View view, unsigned first, unsigned last)
      : view_(view),
        first_(first),
        last_(last),
        marks_(table.back & (~u64{0} << (first / kPerMark)) & (~u64{0} >> (63 - (last / kPerMark)))) {}

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
  u64 marks_;
  unsigned next_ = 0;
  unsigned end_ = 0;
  Entry entry_;
};

}  // namespace nopte::pt
