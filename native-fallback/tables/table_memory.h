// Where tables come from, and go when nobody has seen them.
//
// Concurrency: the engine's.
#pragma once

#include "native-fallback/tables/counters.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

template <PageTableSink Sink>
struct TableMemory;

// The same memory, over each of the sinks that a sink may be (choose_way).
template <PageTableSink Sink>
struct TableMemories {
  constexpr TableMemories(Sink&, FrameTable&, EngineCounters&) {}
};
template <PageTableSink Sink>
  requires requires { typename Sink::Told; }
struct TableMemories<Sink> {
  using Plain = typename Sink::Plain;
  using Told = typename Sink::Told;

  constexpr TableMemories(Sink& sink, FrameTable& frames, EngineCounters& counters)
      : plain(sink.template way<Plain>(), frames, counters),
        told(sink.template way<Told>(), frames, counters) {}
  template <class Way>
  [[nodiscard]] const TableMemory<Way>& in() const {
    if constexpr (std::same_as<Way, Plain>) {
      return plain;
    } else {
      return told;
    }
  }

  TableMemory<Plain> plain;
  TableMemory<Told> told;
};

// Makes and frees tables: what cursors of one engine share.
template <PageTableSink Sink>
struct TableMemory {
  using Format = typename Sink::Format;
  using Entry = typename Format::Entry;

  constexpr TableMemory(Sink& from, FrameTable& pool, EngineCounters& counts)
      : sink(from), frames(pool), counters(counts), ways(from, pool, counts) {}

  // Over the sink that this one is.
  template <class Way>
  [[nodiscard]] const TableMemory<Way>& in() const {
    if constexpr (std::same_as<Way, Sink>) {
      return *this;
    } else {
      return ways.template in<Way>();
    }
  }

  Sink& sink;
  FrameTable& frames;
  EngineCounters& counters;
  [[no_unique_address]] TableMemories<Sink> ways;

  // An empty private table without parents, for so many entries. Errors: kNoMemory.
  Result<Frame> make(unsigned level, u64 entries = 1) const {
    if (const Frame kept = entries <= kSoonerEmptied ? frames.take_kept(level) : Frame(); kept != Frame())
        [[unlikely]] {
      ++counters.tables_allocated;
      return kept;
    }
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
    frames.free_table(table);
    ++counters.tables_freed;
  }
};

}  // namespace nopte::pt
