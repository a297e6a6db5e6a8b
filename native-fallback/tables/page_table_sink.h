// PageTableSink: what the engine asks of whoever makes page tables true. It is about the life of tables, not
// only about storing: a sink may be plain stores, Xen's mmu_update, or a hypervisor that is told.
//
// The life of a table:
//   table_new -> fill (plain, private) -> publish -> link (or fill into a private parent)
//     -> set / exchange (reachable) -> unlink -> flush -> retire -> the frame is freed
// The life of a root:
//   root_create (after its kernel slots are filled) -> activate ... -> root_retire; below a retired root
//   every table is private again: tearing down is by fill, and each table is still retired before it is
//   freed.
//
// The engine speaks of its own frames; a sink whose machine frames differ translates in read, set, exchange,
// fill and link.
#pragma once

#include <concepts>
#include <utility>

#include "native-fallback/format/format.h"
#include "native-fallback/frames/frame_table.h"
#include "native-fallback/tables/walk_path.h"

namespace nopte::pt {

// One entry of a reachable table, by each of the names that some interface uses: table and index, or root
// and address. For kernel addresses the root is the kernel root. `va` is any address that the entry maps.
struct Slot {
  Frame table;
  Frame root;
  Gva va;
  unsigned level;
  unsigned index;  // the format's table_index(va, level)

  template <PageTableFormat Format>
  static constexpr Slot of(Frame table, Frame root, Gva va, unsigned level) {
    return {table, root, va, level, Format::table_index(va, level)};
  }
};

// A reachable leaf table, and the slots of its entries.
struct LeafTable {
  Frame table;
  Frame root;
  Gva begin;  // what its entry 0 maps

  [[nodiscard]] constexpr Slot slot(unsigned index) const {
    return {table, root, begin + pages_to_bytes(index), 1, index};
  }
};

// Whose translations a flush is about.
enum class FlushScope : u8 {
  kSpace,   // one root's user addresses
  kKernel,  // kernel addresses, of every root
};

template <class S>
using EntryOf = typename S::Format::Entry;

// Programs get large leaves: of level 2, below a root that is not one, and as large as a block.
template <class S>
inline constexpr bool kLargePages =
    S::large_pages() && S::Format::kLevels > 2 && S::Format::kEntriesPerTable == kBlockFrames;

// Changes of leaves of one table, each entry once and ascending, as exchange() makes them; the last is made
// at the latest when the object ends. Until then nothing of them is read.
template <class S>
using EditsOf = decltype(std::declval<S&>().edits(LeafTable()));

template <class S>
using ViewOf = decltype(std::declval<S&>().view(Frame()));

// Writes into one private table. Default-constructed: of none.
template <class S>
using FillerOf = decltype(std::declval<S&>().filler(Frame()));

template <class S>
concept PageTableSink = requires(S sink, const S& view, Frame frame, const Slot& slot, EntryOf<S> entry,
                                 Gva va, unsigned index, unsigned level, FlushScope scope, u8* bytes,
                                 WalkPath<typename S::Format>& path, EditsOf<S>& edits, FillerOf<S> filler) {
  // What the tables that it makes true look like.
  { typename S::Format() } -> PageTableFormat;
  // Level-2 leaves work: those of the kernel that stay; those of programs, which come, split and go.
  { view.large_leaves() } -> std::same_as<bool>;
  { std::bool_constant<S::large_pages()>() };
  // Private tables are memory like any other, and a table whose entries were all taken out holds only zeros.
  { view.plain_tables() } -> std::same_as<bool>;
  // A leaf may be made without A and D: who walks the tables sets them, at no fault.
  { view.processor_marks() } -> std::same_as<bool>;

  // A table may be reachable by two paths, and move (lguest names entries by root and address: no).
  { view.can_share_tables() } -> std::same_as<bool>;

  // A reachable entry's value now. Not inside begin/end for a slot written there.
  { view.read(slot) } -> std::same_as<EntryOf<S>>;
  // Walks to va.
  { view.walk(frame, va, path) } -> std::same_as<void>;
  // For reading many entries of one table; with_view calls back with a view that may be of another type, for
  // loops that are worth a copy for each.
  { sink.view(frame).read(index) } -> std::same_as<EntryOf<S>>;
  {
    sink.with_view(frame, [](const auto& seen) { (void)seen.read(0); })
  } -> std::same_as<void>;
  // Replaces `entry` as read by another; returns what was there. The way to change a present leaf.
  { sink.exchange(slot, entry, entry) } -> std::same_as<EntryOf<S>>;
  { edits.replace(index, entry, entry) } -> std::same_as<EntryOf<S>>;
  // Writes a leaf where the entry was not present. May be delayed until end().
  { sink.set(slot, entry) } -> std::same_as<void>;

  // `frame` becomes a zeroed private table.
  { sink.table_new(frame, level) } -> std::same_as<void>;
  // Writes into a private table; a table entry there refers to a published table.
  { filler.fill(index, entry) } -> std::same_as<void>;
  // The private table is complete and will be linked where it maps va.
  { sink.publish(frame, level, va) } -> std::same_as<void>;
  // Makes a published table reachable / unreachable.
  { sink.link(slot, entry) } -> std::same_as<void>;
  { sink.unlink(slot) } -> std::same_as<void>;
  // Puts a published table in the place of another that shows the same, with fewer rights: no access is lost
  // but by what the engine flushes.
  { sink.relink(slot, entry) } -> std::same_as<void>;
  // After the flush, where it has something to do: the frame is an ordinary one again.
  { view.retires() } -> std::same_as<bool>;
  { sink.retire(frame, level) } -> std::same_as<void>;

  { sink.root_create(frame) } -> std::same_as<void>;
  { sink.root_activate(frame) } -> std::same_as<void>;
  { sink.root_retire(frame) } -> std::same_as<void>;
  // Some CPU has the root loaded, so translations of its user addresses may be cached. A CPU that loads
  // another root forgets the user translations of the one it leaves; or, where the sink has forget(frame),
  // uses none before it loads that root again, and none made before forget().
  { view.runs(frame) } -> std::convertible_to<bool>;

  // After return no CPU uses a translation of the page (of anything in scope) made before.
  { sink.flush_page(frame, va, scope) } -> std::same_as<void>;
  { sink.flush_all(frame, scope) } -> std::same_as<void>;

  // Between begin and end set, exchange, link and unlink may be gathered; nothing written is read back.
  { sink.begin() } -> std::same_as<void>;
  { sink.end() } -> std::same_as<void>;

  // Around the engine's work on a fault: when it ends, the access that faulted finds what was made for it.
  { sink.fault_begins() } -> std::same_as<void>;
  { sink.fault_ends() } -> std::same_as<void>;
  // What was asked so far has happened: where pages were made that no fault will look for (populated ahead,
  // kernel memory).
  { sink.complete() } -> std::same_as<void>;

  // The one zeroing and the one copying routine (pointers to frames).
  { sink.zero_page(bytes) } -> std::same_as<void>;
  { sink.copy_page(bytes, static_cast<const u8*>(bytes)) } -> std::same_as<void>;
};

// A sink may be one of several, chosen before anything else (EitherSink): what it leads to then is worth a
// copy for each where loops are long and calls are many. use.operator()<S>(arguments...) of the one that it
// is; with arguments, which are copied, `use` captures nothing, and only the likely one is part of the
// caller.
template <class Sink, class Use, class... Arguments>
[[gnu::always_inline]] inline decltype(auto) choose_way(const Sink& sink, const Use& use,
                                                        Arguments... arguments) {
  if constexpr (requires { sink.choose(use, arguments...); }) {
    return sink.choose(use, arguments...);
  } else {
    return use.template operator()<Sink>(arguments...);
  }
}
template <class Way, class Sink>
[[nodiscard]] constexpr Way& way_of(Sink& sink) {
  if constexpr (std::same_as<Way, Sink>) {
    return sink;
  } else {
    return sink.template way<Way>();
  }
}

// This way's loops are there once, and long work is in functions of their own: most of it is calls.
template <class Way>
inline constexpr bool kApart = requires { Way::kApart; };

// exchange() for a loop, where the sink has a copy of it for those.
template <class Sink>
[[gnu::always_inline]] inline EntryOf<Sink> exchange_in_loop(Sink& sink, const Slot& slot,
                                                             EntryOf<Sink> expected, EntryOf<Sink> desired) {
  if constexpr (requires { sink.exchange_here(slot, expected, desired); }) {
    return sink.exchange_here(slot, expected, desired);
  } else {
    return sink.exchange(slot, expected, desired);
  }
}

// begin/end as a guard.
template <PageTableSink Sink>
class LazyUpdates {
 public:
  explicit LazyUpdates(Sink& sink) : sink_(sink) { sink_.begin(); }
  ~LazyUpdates() { sink_.end(); }
  LazyUpdates(const LazyUpdates&) = delete;
  LazyUpdates& operator=(const LazyUpdates&) = delete;

 private:
  Sink& sink_;
};

// fault_begins/fault_ends as a guard.
template <PageTableSink Sink>
class FaultWork {
 public:
  explicit FaultWork(Sink& sink) : sink_(sink) { sink_.fault_begins(); }
  ~FaultWork() { sink_.fault_ends(); }
  FaultWork(const FaultWork&) = delete;
  FaultWork& operator=(const FaultWork&) = delete;

 private:
  Sink& sink_;
};

// complete() at the end of what makes pages ahead.
template <PageTableSink Sink>
class Completion {
 public:
  explicit Completion(Sink& sink) : sink_(sink) {}
  ~Completion() { sink_.complete(); }
  Completion(const Completion&) = delete;
  Completion& operator=(const Completion&) = delete;

 private:
  Sink& sink_;
};

}  // namespace nopte::pt
