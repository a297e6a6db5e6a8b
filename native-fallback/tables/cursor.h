// The cursor: walks to one address of one root and changes what is there, making and removing tables on the
// way. Everything that changes a reachable table in the engine goes through it; it keeps each table's count
// of live entries, its bitmap of used parts, and its count of parents.
//
//   root (4) -> (3) -> (2) -> leaf table (1) -> leaf entry
//   the cursor stops at the first level whose entry is not a present table: level() says where.
//
// New tables are filled while private and linked last, so that no walk sees a half-made one.
//
// Concurrency: the engine's.
#pragma once

#include "native-fallback/frames/block.h"
#include "native-fallback/tables/left_out.h"
#include "native-fallback/tables/table_memory.h"
#include "native-fallback/tables/tlb_batch.h"
#include "native-fallback/tables/walk_path.h"
#include "pvops/base/work.h"

namespace nopte::pt {

template <PageTableSink Sink>
class Cursor {
  using Format = typename Sink::Format;
  using Entry = typename Format::Entry;
  using Word = typename Entry::Word;

 public:
  using Memory = TableMemory<Sink>;

  [[gnu::always_inline]] Cursor(const Memory& memory, Frame root, Gva va)
      : memory_(memory), root_(root), va_(va) {
    memory.sink.walk(root, va, path_);
  }
  // Nowhere yet: walk() or seek_leaf_table() comes first.
  Cursor(const Memory& memory, Frame root) : memory_(memory), root_(root) {}
  // Where another is, over a sink that its is.
  template <class Other>
  [[gnu::always_inline]] Cursor(const Memory& memory, const Cursor<Other>& at)
      : memory_(memory), root_(at.root_), va_(at.va_), path_(at.path_) {}
  template <PageTableSink>
  friend class Cursor;
  // This, over the sink that its is (choose_way).
  template <class Way>
  [[gnu::always_inline]] decltype(auto) in() const {
    if constexpr (std::same_as<Way, Sink>) {
      return (*this);
    } else {
      return Cursor<Way>(memory_.template in<Way>(), *this);
    }
  }

  // The level of the table that the walk ended in: 1, or more where an entry is empty or a large leaf.
  [[nodiscard]] unsigned level() const { return path_.level; }
  [[nodiscard]] Frame root() const { return root_; }
  [[nodiscard]] Gva va() const { return va_; }
  [[nodiscard]] Frame table() const { return Frame(path_.tables[path_.level]); }
  [[nodiscard]] FrameMeta& meta() const { return memory_.frames.meta(table()); }
  // The entry where the walk ended, as it is now.
  [[nodiscard]] Slot slot() const { return Slot::of<Format>(table(), root_, va_, path_.level); }
  [[nodiscard, gnu::always_inline]] Entry entry() const { return memory_.sink.read(slot()); }
  // What the entries above allow together, whatever the leaf says.
  [[nodiscard]] Perm path_rights() const {
    return Entry(path_.rights).without(Entry::kNoExecute).with(path_.refused & Entry::kNoExecute).perm();
  }
  [[nodiscard]] bool path_user() const { return path_.rights & Entry::kUser; }
  // No other root leads to a table that the walk came through; else see unshare.h.
  [[nodiscard]] bool mine() const { return path_.rights & Entry::kWritable; }

  // One past the last address that the table maps; 0 at the top of the address space.
  [[nodiscard]] Gva table_end() const { return table_begin(path_.level) + Format::table_bytes(path_.level); }
  // At a leaf table or a large page: from the cursor's address to the end of what it maps, or to `end` if
  // that comes first.
  [[nodiscard]] VaRange part_before(Gva end) const {
    const Gva last = table_begin(1) + Format::table_bytes(1);
    return {va_, last < end ? last : end};
  }

  // What the next used entry of the table where the walk ended maps first, or past the table.
  [[nodiscard]] Gva next_address() const {
    const unsigned next = next_used(Format::table_index(va_, path_.level) + 1);
    return next < Format::kEntriesPerTable
               ? table_begin(path_.level) + next * Format::entry_bytes(path_.level)
               : table_end();
  }

  // One past the last address that the entry where the walk ended maps.
  [[nodiscard]] Gva entry_end() const {
    return Gva(va_.value() | (Format::entry_bytes(path_.level) - 1)) + 1;
  }

  // --- at a leaf table: level() == 1 ---
  [[nodiscard]] Frame leaf_table() const { return Frame(path_.tables[1]); }
  [[nodiscard]] FrameMeta& leaf_meta() const { return memory_.frames.meta(leaf_table()); }
  // The address that entry `index` maps, and its slot.
  [[nodiscard]] Gva leaf_va(unsigned index) const { return table_begin(1) + pages_to_bytes(index); }
  [[nodiscard]] LeafTable leaf() const { return {leaf_table(), root_, table_begin(1)}; }
  [[nodiscard]] Slot leaf_slot(unsigned index) const { return leaf().slot(index); }
  // Its entries in [first, last] that are not empty: for short work, and for long (entry_scan.h).
  [[nodiscard]] TableScan<Sink> scan(unsigned first = 0, unsigned last = Format::kEntriesPerTable - 1) const {
    return {memory_.sink, leaf_meta(), leaf_table(), first, last};
  }
  template <class Way = Sink, class Visit>
  [[gnu::always_inline]] void for_each(unsigned first, unsigned last, const Visit& visit) const {
    for_each_entry(way_of<Way>(memory_.sink), leaf_meta(), leaf_table(), first, last, visit);
  }
  // The same, in one loop for all kinds of views.
  template <class Way, class Visit>
  [[gnu::always_inline]] void for_each_edited(unsigned first, unsigned last, const Visit& visit) const {
    auto view = way_of<Way>(memory_.sink).view(leaf_table());
    for_each_entry<Format>(view, leaf_meta(), first, last, visit);
  }

  // Another address of the same root.
  void walk(Gva va) { walk_here(va); }
  // The same, where it is worth a copy.
  [[gnu::always_inline]] void walk_here(Gva va) {
    va_ = va;
    memory_.sink.walk(root_, va, path_);
  }

  // To the first leaf table, or large page, that may hold entries in [va, end), or false. The cursor's
  // address is then the lowest address >= va of that, and level() says which it is: above 1, a large page.
  [[gnu::noinline]] bool seek_leaf_table(Gva va, Gva end) {
    if (va >= end) return false;
    walk_here(va);
    return path_.level == 1 || at_large_page() || ((entry_end() <= end - 1 || kept()) && seek_further(end));
  }

  // The same from the end of the leaf table where the cursor was: when that is unlinked, the table above
  // mostly has the next. All tables of one half that nobody shares are linked with equal rights.
  bool seek_next_leaf_table(Gva va, Gva end) {
    if (path_.level == 2 && mine() && va < end && (va.value() ^ va_.value()) < Format::table_bytes(2)) {
      const Entry entry = memory_.sink.read(Slot::of<Format>(table(), root_, va, 2));
      if (entry.writable() && !entry.large()) {
        va_ = va;
        path_.level = 1;
        path_.tables[1] = entry.frame().number();
        return true;
      }
    }
    return seek_leaf_table(va, end);
  }

  // Puts a leaf (at leaf_level) where the entry is empty, making the tables that are missing. Precondition:
  // va is not covered by a large leaf. Errors: kNoMemory, nothing has changed. The cursor stays above tables
  // that were made.
  [[gnu::always_inline]] Result<void> install(Entry leaf, unsigned leaf_level = 1) {
    if (path_.level == leaf_level) {
      const unsigned index = Format::table_index(va_, leaf_level);
      const Frame table(path_.tables[leaf_level]);
      memory_.sink.set({table, root_, va_, leaf_level, index}, leaf);
      note_filled<Format>(memory_.frames.meta(table), index);
      return {};
    }
    return install_below(memory_, slot(), leaf, leaf_level);
  }
  // Makes the tables below `at`, an empty entry, down to `leaf_level`, and puts the leaf there. Not a
  // cursor's: one that a fault makes stays in registers. Errors: kNoMemory, nothing has changed.
  [[gnu::noinline]] static Result<void> install_below(const Memory& memory, const Slot& at, Entry leaf,
                                                      unsigned leaf_level);
  // Puts a leaf in the leaf table. Precondition: level() == 1, the entry is empty.
  void install_at(unsigned index, Entry leaf) {
    memory_.sink.set(leaf_slot(index), leaf);
    note_filled<Format>(leaf_meta(), index);
  }

  // Makes the tables down to `leaf_level` that are missing, empty. Errors: kNoMemory, nothing has changed.
  Result<void> make_tables(unsigned leaf_level = 1) {
    if (path_.level <= leaf_level) return {};
    NOPTE_TRY(install_below(memory_, slot(), Entry(), leaf_level));
    walk(va_);
    return {};
  }

  // Publishes a complete private table and links it where the walk ended. Precondition: level() is one above
  // the table's, and the entry is empty.
  void link_table(Frame table, unsigned table_level) {
    memory_.sink.publish(table, table_level, va_);
    memory_.frames.meta(table).refs = 1;
    memory_.sink.link(slot(), Format::table_entry(table, privilege(), path_.level));
    note_filled<Format>(meta(), Format::table_index(va_, path_.level));
  }

  // Replaces a leaf, `expected` as it was read, by another; returns what was there. An empty one is not
  // counted: note_emptied() comes after, and prune(). Precondition: level() == 1.
  [[gnu::always_inline]] Entry replace(unsigned index, Entry expected, Entry desired) {
    return memory_.sink.exchange(leaf_slot(index), expected, desired);
  }
  // The same in a loop.
  [[gnu::always_inline]] Entry replace_here(unsigned index, Entry expected, Entry desired) {
    return exchange_in_loop(memory_.sink, leaf_slot(index), expected, desired);
  }

  // Changes of many leaves, as EditsOf says; prune() comes after. Precondition: level() == 1.
  template <class Way = Sink>
  class Edits {
   public:
    explicit Edits(const Cursor& at)
        : meta_(at.leaf_meta()), edits_(way_of<Way>(at.memory_.sink).edits(at.leaf())) {}
    void replace(unsigned index, Entry expected, Entry desired) { edits_.replace(index, expected, desired); }
    Entry remove(unsigned index, Entry expected) {
      note_emptied(meta_);
      return edits_.replace(index, expected, Entry());
    }

   private:
    FrameMeta& meta_;
    EditsOf<Way> edits_;
  };

  // False where leaf tables lie below slots of the root that never change.
  [[nodiscard]] bool can_unlink_table() const { return 1 < lowest_fixed(); }
  // Unlinks the table that the walk ended in whatever it holds, and what becomes empty above it.
  // Precondition: level() == 1, mine() and can_unlink_table().
  void unlink_table(TlbBatch<Sink>& batch) { unlink_at(path_.level, batch); }

  // Moves the leaf table that the walk ended in, whole, to where `to` ended; returns with this cursor above
  // it: prune() comes after. What was reachable through it is the caller's to flush. Precondition: level() ==
  // 1, the tables above it have one parent, and so have those above to.level() == 2 with an empty entry, both
  // of one root; the sink can share tables.
  void move_table(Cursor& to) {
    path_.level = 2;
    const Entry moving = entry();
    // In this order it is linked throughout: who counts its uses has nothing to check again.
    u32& parents = memory_.frames.meta(moving.frame()).refs;
    ++parents;
    memory_.sink.link(to.slot(), moving);
    note_filled<Format>(to.meta(), Format::table_index(to.va_, 2));
    memory_.sink.unlink(slot());
    note_emptied(meta());
    --parents;
  }

  // --- large leaves (large_leaf.h): level() > 1 and the entry holds a frame ---
  // Where they lie in the root itself (two-level), kernel slots are copied to other roots: there all this is
  // for the time before there are any. Not inside begin/end.

  // At one of level 2 that is programs' memory: a large page.
  [[nodiscard]] bool at_large_page() const {
    if constexpr (!kLargePages<Sink>) return false;
    return path_.level == 2 && large_entry();
  }
  // What it maps.
  [[nodiscard]] VaRange large_page() const {
    const Gva begin = table_begin(1);
    return {begin, begin + Format::table_bytes(1)};
  }
  // As replace(), and install_at() with level() == 2. Of a large page that is removed, prune() comes after.
  Entry replace_large_page(Entry expected, Entry desired);
  Entry remove_large_page();
  void install_large_page(Entry leaf);
  // Puts a table in the leaf's place, of leaves of the level below that show the same frames with the same
  // rights and marks; the cursor is then at one of them. No translation changes, so nothing needs a flush.
  // Errors: kNoMemory, nothing has changed.
  [[gnu::cold]] Result<void> split();
  // The other way: when all that the table where the walk ended holds is what one leaf of the level above
  // would show, with equal rights, puts that leaf in the table's place. The leaf is dirty if one of them was,
  // or if they are writable: the processor may be marking one. True if it did; the cursor is then at the
  // leaf.
  bool merge(TlbBatch<Sink>& batch);

  // Unlinks the table that the walk ended in if it is empty, and so on upwards. The tables below the root
  // that kernel addresses use stay: every root names them; and so do all below a root that is fixed.
  // Precondition: mine().
  void prune(TlbBatch<Sink>& batch) {
    if (meta().live == 0) unlink_at(path_.level, batch);
  }

  // --- tables with several parents (unshare.h) ---
  // Tables of this level and those below can have several.
  static constexpr unsigned kHighestShared = Format::kLevels - (Format::kFixedRoot ? 2 : 1);

  // The walk ended above tables that refuse all access.
  [[nodiscard, gnu::always_inline]] bool kept() const {
    if (path_.level == 1) [[likely]]
      return false;
    const Entry there = entry();
    return !there.present() && !there.empty() && !there.large();
  }
  // Of the tables on the way, below the root: how many parents the one has that has the most.
  [[nodiscard, gnu::cold]] u32 most_parents() const;
  // Goes on through them: to look, and to take out.
  void walk_on();
  // What the highest table that may have several parents maps. Precondition: !mine() or the walk went on.
  [[nodiscard]] VaRange shared_range() const {
    const Gva begin = table_begin(shared_level());
    return {begin, begin + Format::table_bytes(shared_level())};
  }
  // Makes every table on the way, down to this level or as far as there are, this root's alone; the cursor is
  // then at the same address. Errors: kNoMemory; no page is shown otherwise than before.
  Result<void> own(unsigned lowest, TlbBatch<Sink>& batch);
  // The same of the highest shared table: true, if it has no other parent any more. Its pages lose what the
  // way there had taken, but for those of `decided`, whose rights are about to be given.
  bool take_back(VaRange decided, TlbBatch<Sink>& batch);
  // Drops the highest shared table, and what becomes empty above it. Precondition: it has other parents.
  void drop_shared(TlbBatch<Sink>& batch);
  // The pages below the highest shared table keep at most these rights, for this root. True: that was a
  // change.
  bool restrict_shared(Perm perm, TlbBatch<Sink>& batch);
  // The same of a leaf table that is mine() and not plain; its entries have all that `perm`, no write, gives.
  [[gnu::cold]] void restrict_own(Perm perm, TlbBatch<Sink>& batch);
  // Links in another root's table `theirs`, at the same address, the table that entry `link` of this root, at
  // `ours`, leads to: both lose the right to write.
  void share_with(const Cursor& to, const Slot& ours, Entry link, Frame theirs) const;
  // Makes `copy`, private, show the pages of leaf table `table` of this cursor, which it came through by
  // `above`, or the anonymous ones of them: those are shared, and both sides lose the right to write. The
  // first pages that this root can write are left out.
  [[gnu::always_inline]] void copy_pages(Frame table, Frame copy, Entry above, WhichPages which,
                                         LeftOut<Format>& writable) const {
    choose_way(memory_.sink, [&]<class Way>() __attribute__((always_inline)) {
      copy_pages_as<Way>(table, copy, above, which, writable);
    });
  }
  template <class Way>
  [[gnu::noinline]] void copy_pages_as(Frame table, Frame copy, Entry above, WhichPages which,
                                       LeftOut<Format>& writable) const;
  // Makes `copy`, private, the same as `table` of this level, which the walk came through by `above`: all
  // that both lead to is shared. But for entry `skipped`, if it is one: that is not filled.
  void copy_table(Frame table, Frame copy, unsigned level, Entry above,
                  unsigned skipped = Format::kEntriesPerTable);

 private:
  // Where the walk ended above level 1.
  [[nodiscard, gnu::always_inline]] bool large_entry() const {
    if constexpr (requires { memory_.sink.holds_large(slot()); }) {
      return memory_.sink.holds_large(slot());
    } else {
      return entry().large();
    }
  }
  // No table lies below this entry of a level above 1.
  static bool ends_way(Entry entry) { return entry.empty() || (kLargePages<Sink> && entry.large()); }
  // The entry for the table of this level on the way.
  [[nodiscard]] Slot above(unsigned level) const {
    return Slot::of<Format>(Frame(path_.tables[level + 1]), root_, va_, level + 1);
  }
  [[nodiscard]] unsigned shared_level() const;
  void regain(unsigned level, Entry link, VaRange decided, TlbBatch<Sink>& batch);
  void keep_what_it_may(Frame table, Entry link, VaRange decided, TlbBatch<Sink>& batch);
  void take_write(Frame table, unsigned level, unsigned index, Entry entry) const;
  // For what is rare and long.
  template <class Edits>
  [[gnu::noinline]] static void replace_apart(Edits& edits, unsigned index, Entry expected, Entry desired) {
    edits.replace(index, expected, desired);
  }

  // The first address that the table of this level on the path maps.
  [[nodiscard]] Gva table_begin(unsigned level) const {
    return Gva(va_.value() & ~(Format::table_bytes(level) - 1));
  }
  [[nodiscard]] bool kernel_address() const { return Format::kernel_half(va_); }
  static constexpr Privilege privilege_of(Gva va) {
    return Format::kernel_half(va) ? Privilege::kKernel : Privilege::kUser;
  }

  // 4 KiB frames that a leaf of this level shows.
  static constexpr u64 frames_of(unsigned level) { return Format::entry_bytes(level) >> kPageShift; }
  [[nodiscard]] Privilege privilege() const { return privilege_of(va_); }

  // The first non-empty entry at or after `index` of the table that the walk ended in; one past the last
  // index if there is none.
  [[nodiscard]] unsigned next_used(unsigned index) const {
    if (index >= Format::kEntriesPerTable) return Format::kEntriesPerTable;
    TableScan<Sink> scan(memory_.sink, meta(), table(), index, Format::kEntriesPerTable - 1);
    return scan.next() ? scan.index() : Format::kEntriesPerTable;
  }

  // The walk ended above a leaf table.
  [[gnu::noinline]] bool seek_further(Gva end);

  // Tables of this level and above stay linked for ever.
  [[nodiscard]] unsigned lowest_fixed() const {
    return Format::kFixedRoot || kernel_address() ? Format::kLevels - 1 : Format::kLevels;
  }

  // Takes path_.tables[level] out of its parent, and the parent out of its own if that emptied it.
  [[gnu::always_inline]] void unlink_at(unsigned level, TlbBatch<Sink>& batch) {
    choose_way(memory_.sink, [&]<class Way> { unlink_as<Way>(level, batch); });
  }
  template <class Way>
  [[gnu::noinline]] void unlink_as(unsigned level, TlbBatch<Sink>& batch);

  const Memory& memory_;
  Frame root_;
  Gva va_;
  WalkPath<Format> path_;
};

}  // namespace nopte::pt

#include "native-fallback/tables/large_leaf.h"
#include "native-fallback/tables/seek_further.h"
#include "native-fallback/tables/table_life.h"
#include "native-fallback/tables/unshare.h"
