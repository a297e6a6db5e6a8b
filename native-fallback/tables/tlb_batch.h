// What must happen before something taken away may be reused: translations are flushed, then frames and
// tables are freed. They are freed only through a batch; its destructor asserts that it was flushed.
//
// A space that no CPU runs has no cached translations, so its batch frees at once and flushes nothing. Where
// translations are kept by root it may have some, which are not used before it runs again: its batch has them
// forgotten, and still frees at once.
//
// Concurrency: the engine's; between construction and flush no CPU begins to run the root.
#pragma once

#include <utility>

#include "native-fallback/tables/counters.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

template <PageTableSink Sink>
class TlbBatch {
 public:
  // Translations are kept by root, and the kernel's under each. A page is flushed by INVLPGA then: for one
  // root, without the way there, and in no short time.
  static constexpr bool kByRoot = requires(Sink& sink, Frame root) { sink.forget(root); };
  // More single pages than this are flushed as a whole (Linux's threshold is 32, too).
  static constexpr unsigned kMaxPages = kByRoot ? 8 : 32;

  TlbBatch(Sink& sink, FrameTable& frames, EngineCounters& counters, Frame root, FlushScope scope)
      : sink_(sink),
        frames_(frames),
        counters_(counters),
        root_(root),
        scope_(scope),
        cached_(scope == FlushScope::kKernel || sink.runs(root)) {}
  ~TlbBatch() { NOPTE_ASSERT(count_ == 0 && dying_.empty() && dying_tables_.empty()); }
  TlbBatch(const TlbBatch&) = delete;
  TlbBatch& operator=(const TlbBatch&) = delete;

  // Tables on the way to va were unlinked. Flushing one address drops what is cached of the way there, so an
  // entry for va that was given just before is enough.
  void way_to(Gva va) {
    if constexpr (kByRoot) return all_pages();
    if (count_ != 0 && (count_ > kMaxPages || pages_[count_ - 1] == va.value())) return;
    page(va);
  }
  // Entries on the way to va gained rights, and one access is to be tried again: as a processor knows them it
  // would be refused once more. Where translations are kept by root, it walks again before it refuses (AMD).
  void way_gained(Gva va) {
    if constexpr (!kByRoot) way_to(va);
  }
  // A present entry for va lost rights.
  void page(Gva va) {
    if (!cached_) return forget();
    if (count_ > kMaxPages) return;
    pages_[count_++] = va.value();
  }
  // So many that a flush as a whole is due.
  void all_pages() {
    if (!cached_) return forget();
    count_ = kMaxPages + 1;
  }
  // The same, of every space: what was taken away was there for others too. Before anything else is given.
  void everywhere() {
    cached_ = true;
    scope_ = FlushScope::kKernel;
    count_ = kMaxPages + 1;
  }
  // A data frame without references; `meta` is its.
  void frame(Frame frame, FrameMeta& meta) {
    if (cached_) {
      dying_.push(frame, meta);
    } else {
      frames_.free(frame);
    }
  }
  // An unlinked table. Where no walk can see it any more, few entries are sooner emptied than a table zeroed
  // when it is next made.
  void table(Frame table) {
    if (cached_) {
      dying_tables_.push(table, frames_.meta(table));
    } else {
      free_unseen(table);
    }
  }

  // Afterwards no CPU uses what was taken away, and everything given to the batch is free. May be called
  // again; the batch goes on empty.
  [[gnu::always_inline]] void flush() {
    if (count_ == 0 && dying_.empty() && dying_tables_.empty()) return;
    choose_way(sink_, [&]<class Way> { flush_apart<Way>(); });
  }
  // The same, where there mostly is something.
  template <class Way>
  [[gnu::always_inline]] void flush_here() {
    if constexpr (kApart<Way>) {
      flush_apart<Way>();
    } else {
      flush_as<Way>();
    }
  }

 private:
  template <class Way>
  [[gnu::always_inline]] void flush_as() {
    Way& sink = way_of<Way>(sink_);
    const unsigned count = std::exchange(count_, 0);
    if (count > kMaxPages || (kByRoot && scope_ == FlushScope::kKernel && count != 0)) {
      sink.flush_all(root_, scope_);
      ++counters_.full_flushes;
    } else {
      for (unsigned i = 0; i < count; ++i) sink.flush_page(root_, Gva(pages_[i]), scope_);
      counters_.page_flushes += count;
    }
    frames_.free_all(dying_);
    while (!dying_tables_.empty()) free_flushed(dying_tables_.pop(frames_));
  }
  template <class Way>
  [[gnu::noinline]] void flush_apart() {
    flush_as<Way>();
  }

  // What is known of a root that no CPU runs.
  void forget() {
    if constexpr (kByRoot) sink_.forget(root_);
  }

  [[gnu::noinline]] void free_unseen(Frame table) {
    FrameMeta& meta = frames_.meta(table);
    if (meta.live <= kSoonerEmptied && sink_.plain_tables())
      empty_entries<typename Sink::Format>(frames_.pointer(table), meta);
    free_in_place(table);
  }
  [[gnu::noinline]] void free_flushed(Frame table) { free_in_place(table); }
  [[gnu::always_inline]] void free_in_place(Frame table) {
    if (sink_.retires()) [[unlikely]]
      return retire(table);
    free_plain(table);
  }
  [[gnu::noinline]] void retire(Frame table) {
    sink_.retire(table, frames_.meta(table).level);
    if (sink_.plain_tables()) return free_plain(table);
    // Others nobody keeps as they are.
    frames_.free_table(table);
    ++counters_.tables_freed;
  }
  [[gnu::always_inline]] void free_plain(Frame table) {
    if (frames_.meta(table).live == 0) {
      frames_.free_zeroed(table);
    } else {
      frames_.free(table);
    }
    ++counters_.tables_freed;
  }

  Sink& sink_;
  FrameTable& frames_;
  EngineCounters& counters_;
  Frame root_;
  FlushScope scope_;
  bool cached_;
  unsigned count_ = 0;
  FrameChain<FrameKind::kFree> dying_;
  FrameChain<FrameKind::kDying> dying_tables_;
  u64 pages_[kMaxPages + 1];  // addresses
};

}  // namespace nopte::pt
