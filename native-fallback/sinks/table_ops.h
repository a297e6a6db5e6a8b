// TableOps: how page tables are made true where that is more than a store. Reached by virtual calls, so that
// one engine, over TableOpsSink, serves every page-table interface. What is asked more often than something
// changes is a field.
//
// Two kinds: the tables are memory of our own, which the sink writes and a hypervisor is told of
// (told_tables.h), or they are its to check and name frames by another number (xen_tables.h).
//
// Concurrency: the engine's.
#pragma once

#include <span>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/sinks/store_sink.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

class TableOps {
 public:
  struct Edit {
    Entry expected;
    Entry desired;
    unsigned index;
  };

  struct Kind {
    bool shares_tables = true;  // a table may be reachable by two paths, and move
    bool translates = false;    // what a table holds is not what the engine wrote
    bool large_leaves = true;
    bool processor_marks = true;  // as PageTableSink says
    bool completes = false;       // complete() has something to do
  };
  [[nodiscard]] const Kind& kind() const { return kind_; }
  // The root in use.
  [[nodiscard]] bool runs(Frame root) const { return root == root_; }

  // The other side's number of each of the engine's frames, and back; null where nothing is translated.
  struct Numbers {
    const u64* theirs = nullptr;
    const u64* ours = nullptr;
  };
  [[nodiscard]] const Numbers& numbers() const { return numbers_; }
  // A field, so that what is not told needs no call.
  [[nodiscard]] bool in_fault() const { return in_fault_; }
  // Entries of some table wait.
  [[nodiscard]] bool unsettled() const { return unsettled_; }
  // FrameMeta::index of a table, where frames are translated: bit 63, it is live, which is to say the other
  // side's to check; bit 62, the sink's; bits 32-61, a number: when it is the present one, entries of the
  // table wait.
  [[nodiscard]] bool live(Frame table) const { return (frames_.meta(table).index & kLive) != 0; }
  [[nodiscard]] bool has_waiting(const FrameMeta& table) const {
    return (table.index >> 32 & (kNumbers - 1)) == number_;
  }

  // Leaves of one table, where nothing is translated: they were made, and all took something away. Otherwise:
  // makes them. Within a fault, what takes rights away.
  virtual void edit(const LeafTable& table, std::span<const Edit> edits) = 0;

  // --- where nothing is translated: what was stored ---
  // A present entry became this.
  virtual void lost(const Slot&, Entry) { NOPTE_PANIC("it is asked to change entries"); }
  // Likewise or an empty one, within a fault, and took nothing away. Between begin and end it is not what the
  // access needs.
  virtual void gained(const Slot&, Entry) { NOPTE_PANIC("it is asked to change entries"); }

  // --- where frames are translated ---
  // Before `count` entries are read, of a table that has some that wait.
  virtual void settle(Frame, unsigned, unsigned) {}
  // Into a live one, which nothing may lead to.
  virtual void fill(Frame, unsigned, Entry) { NOPTE_PANIC("tables are plain memory"); }
  // As PageTableSink says.
  virtual Entry exchange(const Slot&, Entry, Entry) { NOPTE_PANIC("entries are as stored"); }
  virtual void set(const Slot&, Entry) { NOPTE_PANIC("entries are as stored"); }
  virtual void link(const Slot&, Entry) { NOPTE_PANIC("entries are as stored"); }
  virtual void relink(const Slot&, Entry) { NOPTE_PANIC("entries are as stored"); }
  virtual void unlink(const Slot&) { NOPTE_PANIC("entries are as stored"); }

  // --- always ---
  virtual void root_create(Frame root) = 0;
  virtual void root_retire(Frame root) = 0;
  virtual void flush_page(Gva va, FlushScope scope) = 0;
  virtual void flush_all(FlushScope scope) = 0;
  virtual void complete() {}

  void retire(Frame table) {
    if (before_reuse_) retired(table);
  }
  void root_activate(Frame root) {
    if (root == root_) return;
    root_ = root;
    load_root(root);
  }
  void begin() { lazy_ = true; }
  void end() {
    lazy_ = false;
    if (after_lazy_) lazy_ended();
  }
  void fault_begins() { in_fault_ = true; }
  void fault_ends() {
    in_fault_ = false;
    if (kind_.completes) complete();
  }

  // What a translation that was made before may not have any more.
  static bool loses(Entry before, Entry now) {
    const u64 changed = before.word() ^ now.word();
    const u64 lossy = Entry::kFrameMask | (before.word() & (Entry::kPresent | Entry::kWritable)) |
                      (now.word() & Entry::kNoExecute);
    return before.present() && (changed & lossy) != 0;
  }

 protected:
  constexpr TableOps(FrameTable& frames, Kind kind) : frames_(frames), kind_(kind) {}
  ~TableOps() = default;

  virtual void load_root(Frame root) = 0;
  virtual void retired(Frame) {}
  virtual void lazy_ended() {}

  static constexpr u64 kLive = u64{1} << 63;
  static constexpr u32 kNumbers = u32{1} << 30;

  FrameTable& frames_;
  Frame root_;
  Kind kind_;
  Numbers numbers_;
  bool before_reuse_ = false;  // retired() has something to do
  bool after_lazy_ = false;    // lazy_ended() has
  bool unsettled_ = false;
  u32 number_ = 1;  // tables begin with 0
  bool lazy_ = false;
  bool in_fault_ = false;
};

// One table's entries: as it holds them, with frames translated, and what decides at each.
struct PlainView {
  const u8* entries;
  [[nodiscard]] Entry read(unsigned index) const { return load_entry(entries, index); }
};
struct TranslatingView {
  const u8* entries;
  const u64* numbers;
  [[nodiscard]] Entry read(unsigned index) const { return load_entry(entries, index).translated(numbers); }
};
struct TableView {
  const u8* entries;
  const u64* numbers;  // null: nothing is translated
  [[nodiscard]] Entry read(unsigned index) const {
    const Entry entry = load_entry(entries, index);
    return numbers == nullptr ? entry : entry.translated(numbers);
  }
};

// `P` zeroes and copies pages; all else is the operations'.
template <Processor P>
class TableOpsSink {
 public:
  using Format = FourLevel;
  using Entry = pt::Entry;

  constexpr TableOpsSink(FrameTable& frames, P& processor) : frames_(frames), processor_(processor) {}
  TableOpsSink(FrameTable& frames, P& processor, TableOps& ops) : frames_(frames), processor_(processor) {
    use(ops);
  }
  // Before anything else, when the constructor had none.
  void use(TableOps& ops) {
    ops_ = &ops;
    translates_ = ops.kind().translates;
  }

  [[nodiscard]] bool can_share_tables() const { return ops_->kind().shares_tables; }
  [[nodiscard]] bool large_leaves() const { return ops_->kind().large_leaves; }
  static constexpr bool large_pages() { return false; }  // what is told are small leaves and tables
  static constexpr bool kApart = true;
  [[nodiscard]] bool processor_marks() const { return ops_->kind().processor_marks; }
  [[nodiscard]] bool plain_tables() const { return !translates_; }

  [[nodiscard]] Entry read(const Slot& slot) const {
    if (translates_) [[unlikely]]
      return read_settled(slot.table, slot.index);
    return load_entry(frames_.pointer(slot.table), slot.index);
  }
  // Once for all that call it.
  [[gnu::noinline]] void walk(Frame root, Gva va, WalkPath<Format>& path) const {
    if (translates_) [[unlikely]]
      return walk_translated(root, va, path);
    path.walk(root, va,
              [this](Frame table, unsigned index) { return load_entry(frames_.pointer(table), index); });
  }
  // All of the table can be read; answers with our number of each frame of the other side's.
  [[nodiscard]] const u64* settled(Frame table) const {
    settle(table, 0, kEntriesPerTable);
    return ops_->numbers().ours;
  }
  [[nodiscard]] TableView view(Frame table) {
    settle(table, 0, kEntriesPerTable);
    return {frames_.pointer(table), ops_->numbers().ours};
  }
  // Where frames are translated.
  [[nodiscard]] TranslatingView translating_view(Frame table) {
    settle(table, 0, kEntriesPerTable);
    return {frames_.pointer(table), ops_->numbers().ours};
  }
  template <class Use>
  [[gnu::always_inline]] void with_view(Frame table, const Use& use) {
    if (translates_) [[unlikely]] {
      use(translating_view(table));
    } else {
      use(PlainView{frames_.pointer(table)});
    }
  }
  // Once for all that call it, and a copy for a loop.
  [[gnu::noinline]] Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    return exchange_here(slot, expected, desired);
  }
  [[gnu::always_inline]] Entry exchange_here(const Slot& slot, Entry expected, Entry desired) {
    if (translates_) [[unlikely]]
      return ops_->exchange(slot, expected, desired);
    const Entry old = exchange_entry(frames_.pointer(slot.table), slot.index, expected, desired);
    if (TableOps::loses(expected, desired)) {
      ops_->lost(slot, desired);
    } else if (ops_->in_fault() && desired.present()) {
      ops_->gained(slot, desired);
    }
    return old;
  }
  class Edits {
   public:
    Edits(const TableOpsSink& sink, const LeafTable& table)
        : ops_(sink.ops_),
          table_(table),
          entries_(sink.translates_ ? nullptr : sink.frames_.pointer(table.table)) {}
    ~Edits() {
      if (count_ != 0) flush();
    }
    Edits(const Edits&) = delete;
    Edits& operator=(const Edits&) = delete;

    Entry replace(unsigned index, Entry expected, Entry desired) {
      return replace_here(index, expected, desired);
    }
    [[gnu::always_inline]] Entry replace_here(unsigned index, Entry expected, Entry desired) {
      Entry old = expected;
      if (entries_ != nullptr) {
        old = exchange_entry(entries_, index, expected, desired);
        if (!TableOps::loses(expected, desired)) {
          if (ops_->in_fault() && desired.present()) ops_->gained(table_.slot(index), desired);
          return old;
        }
      }
      edits_[count_++] = {expected, desired, index};
      if (count_ == kMost) flush();
      return old;
    }

   private:
    static constexpr unsigned kMost = 32;  // three quarters of a KiB of stack
    [[gnu::noinline]] void flush() {
      const unsigned count = count_;
      count_ = 0;
      ops_->edit(table_, {edits_, count});
    }

    TableOps* ops_;
    LeafTable table_;
    u8* entries_;  // null where frames are translated
    unsigned count_ = 0;
    union {  // not zeroed
      TableOps::Edit edits_[kMost];
    };
  };
  [[nodiscard]] Edits edits(const LeafTable& table) { return {*this, table}; }
  void set(const Slot& slot, Entry entry) {
    if (translates_) [[unlikely]]
      return ops_->set(slot, entry);
    store_entry(frames_.pointer(slot.table), slot.index, entry);
    if (ops_->in_fault()) ops_->gained(slot, entry);
  }

  void table_new(Frame table, unsigned) { processor_.zero_page(frames_.pointer(table)); }
  struct Filler {
    u8* entries = nullptr;
    const u64* numbers = nullptr;  // null: nothing is translated
    TableOps* ops = nullptr;       // null: it is private
    Frame table{};
    void fill(unsigned index, Entry entry) const {
      if (numbers == nullptr) return store_entry(entries, index, entry);
      if (ops != nullptr) return ops->fill(table, index, entry);
      store_entry(entries, index, entry.translated(numbers).without(Entry::kGlobal));
    }
  };
  [[nodiscard]] Filler filler(Frame table) const {
    const bool is_live = translates_ && ops_->live(table);
    return {frames_.pointer(table), ops_->numbers().theirs, is_live ? ops_ : nullptr, table};
  }
  void publish(Frame, unsigned, Gva) {}
  [[gnu::noinline]] void link(const Slot& slot, Entry entry) {
    if (translates_) return ops_->link(slot, entry);
    set(slot, entry);
  }
  void relink(const Slot& slot, Entry entry) {
    if (translates_) return ops_->relink(slot, entry);
    store_entry(frames_.pointer(slot.table), slot.index, entry);
    ops_->lost(slot, entry);
  }
  // A table entry's A bit says nothing, so a plain store will do.
  void unlink(const Slot& slot) {
    if (translates_) [[unlikely]]
      return ops_->unlink(slot);
    store_entry(frames_.pointer(slot.table), slot.index, Entry());
    ops_->lost(slot, Entry());
  }
  static constexpr bool retires() { return true; }
  void retire(Frame table, unsigned) { ops_->retire(table); }

  void root_create(Frame root) { ops_->root_create(root); }
  void root_activate(Frame root) { ops_->root_activate(root); }
  void root_retire(Frame root) { ops_->root_retire(root); }
  [[nodiscard]] bool runs(Frame root) const { return ops_->runs(root); }

  void flush_page(Frame, Gva va, FlushScope scope) { ops_->flush_page(va, scope); }
  void flush_all(Frame, FlushScope scope) { ops_->flush_all(scope); }

  void begin() { ops_->begin(); }
  void end() { ops_->end(); }
  void fault_begins() { ops_->fault_begins(); }
  void fault_ends() { ops_->fault_ends(); }
  void complete() {
    if (ops_->kind().completes) ops_->complete();
  }

  void zero_page(u8* page) { processor_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { processor_.copy_page(to, from); }

  // --- where frames are translated ---
  // Only what is followed is translated.
  [[gnu::noinline]] void walk_translated(Frame root, Gva va, WalkPath<Format>& path) const {
    path.walk(
        root, va,
        [this](Frame table, unsigned index) {
          settle(table, index, 1);
          return load_entry(frames_.pointer(table), index);
        },
        [ours = ops_->numbers().ours](Entry entry) { return Frame(ours[entry.frame().number()]); });
  }
  [[gnu::noinline]] Entry read_settled(Frame table, unsigned index) const {
    settle(table, index, 1);
    return load_entry(frames_.pointer(table), index).translated(ops_->numbers().ours);
  }

 private:
  void settle(Frame table, unsigned first, unsigned count) const {
    if (ops_->unsettled() && ops_->has_waiting(frames_.meta(table))) [[unlikely]]
      ops_->settle(table, first, count);
  }

  FrameTable& frames_;
  P& processor_;
  TableOps* ops_ = nullptr;
  bool translates_ = false;
};

}  // namespace nopte::pt
