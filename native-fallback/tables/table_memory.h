// Where tables come from, and go when nobody has seen them.
//
// Concurrency: the engine's.
#pragma once

#include "native-fallback/tables/counters.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

// Makes and frees tables: what cursors of one engine share.
template <PageTableSink Sink>
struct TableMemory {
  using Format = typename Sink::Format;
  using Entry = typename Format::Entry;

  Sink& sink;
  FrameTable& frames;
  EngineCounters& counters;

  // A zeroed private table without parents. Errors: kNoMemory.
  Result<Frame> make(unsigned level) const {
    const bool zeroed = frames.next_table_is_zeroed();
    const auto frame = frames.alloc(FrameKind::kTable);
    if (!frame) return frame;
    FrameMeta& meta = frames.meta(*frame);
    meta.level = static_cast<u8>(level);
    meta.refs = 0;
    if (!zeroed) {
      sink.table_new(*frame, level);
      ++counters.tables_zeroed;
    }
    ++counters.tables_allocated;
    return frame;
  }
  // Writes into a private table.
  void fill(Frame table, unsigned index, Entry entry) const {
    sink.filler(table).fill(index, entry);
    note_filled<Format>(frames.meta(table), index);
  }
  // Frees a private table that was never published.
  void discard(Frame table) const {
    frames.free(table);
    ++counters.tables_freed;
  }
};

}  // namespace nopte::pt
