// TableOps: how page tables are made true where that is more than a store. Reached by virtual calls, so that
// one engine, over TableOpsSink, serves every page-table interface. What is asked more often than something
// changes is a field.
//
// Two kinds: the tables are memory of our own and a hypervisor is told (told_tables.h), or they are its to
// check and name frames by another number (xen_tables.h): then entries are read through it too.
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
    bool completes = false;  // complete() has something to do
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
  // Where frames are translated. Before the table's entries are read, and before they are filled.
  virtual void settle(Frame) {}
  virtual void make_private(Frame) {}
  [[nodiscard]] virtual Entry read(Frame, unsigned) { NOPTE_PANIC("entries are as stored"); }
  virtual void walk(Frame, Gva, WalkPath<FourLevel>&) { NOPTE_PANIC("entries are as stored"); }
  // As PageTableSink says.
  virtual Entry exchange(const Slot& slot, Entry expected, Entry desired) = 0;
  // Not within a fault.
  virtual void edit(const LeafTable& table, std::span<const Edit> edits) = 0;
  virtual void set(const Slot& slot, Entry entry) = 0;
  virtual void link(const Slot& slot, Entry entry) = 0;
  virtual void unlink(const Slot& slot) = 0;
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
  // Memory is about to be written that may have been a table.
  void before_writing() {
    if (memory_waits_) make_writable();
  }

 protected:
  constexpr TableOps(FrameTable& frames, Kind kind) : frames_(frames), kind_(kind) {}
  ~TableOps() = default;

  // What a translation that was made before may not have any more.
  static bool loses(Entry before, Entry now) {
    return before.present() &&
           (!now.present() || now.frame() != before.frame() || now.lacks_rights_of(before));
  }

  virtual void load_root(Frame root) = 0;
  virtual void retired(Frame) {}
  virtual void lazy_ended() {}
  virtual void make_writable() {}

  FrameTable& frames_;
  Frame root_;
  Kind kind_;
  Numbers numbers_;
  bool before_reuse_ = false;  // retired() has something to do
  bool after_lazy_ = false;    // lazy_ended() has
  bool memory_waits_ = false;  // make_writable() has
  bool lazy_ = false;
  bool in_fault_ = false;
};

// One table's entries: as it holds them, with frames translated, and what decides at each.
struct PlainView {
  const u8* window;
  [[nodiscard]] Entry read(unsigned index) const { return load_entry(window, index); }
};
struct TranslatingView {
  const u8* window;
  const u64* numbers;
  [[nodiscard]] Entry read(unsigned index) const { return load_entry(window, index).translated(numbers); }
};
struct TableView {
  const u8* window;
  const u64* numbers;  // null: nothing is translated
  [[nodiscard]] Entry read(unsigned index) const {
    const Entry entry = load_entry(window, index);
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

  [[nodiscard]] Entry read(const Slot& slot) const {
    if (translates_) [[unlikely]]
      return ops_->read(slot.table, slot.index);
    return load_entry(frames_.window(slot.table), slot.index);
  }
  // Once for all that call it.
  [[gnu::noinline]] void walk(Frame root, Gva va, WalkPath<Format>& path) const {
    if (translates_) [[unlikely]]
      return ops_->walk(root, va, path);
    path.walk(root, va,
              [this](Frame table, unsigned index) { return load_entry(frames_.window(table), index); });
  }
  [[nodiscard]] TableView view(Frame table) {
    if (translates_) ops_->settle(table);
    return {frames_.window(table), ops_->numbers().ours};
  }
  template <class Use>
  [[gnu::always_inline]] void with_view(Frame table, const Use& use) {
    if (translates_) [[unlikely]] {
      ops_->settle(table);
      use(TranslatingView{frames_.window(table), ops_->numbers().ours});
    } else {
      use(PlainView{frames_.window(table)});
    }
  }
  Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    return ops_->exchange(slot, expected, desired);
  }
  class Edits {
   public:
    Edits(TableOps& ops, const LeafTable& table) : ops_(ops), table_(table) {}
    ~Edits() { flush(); }
    Edits(const Edits&) = delete;
    Edits& operator=(const Edits&) = delete;

    void replace(unsigned index, Entry expected, Entry desired) {
      if (count_ == kMost) flush();
      edits_[count_++] = {expected, desired, index};
    }

   private:
    static constexpr unsigned kMost = 32;  // three quarters of a KiB of stack
    [[gnu::noinline]] void flush() {
      if (count_ != 0) ops_.edit(table_, {edits_, count_});
      count_ = 0;
    }

    TableOps& ops_;
    LeafTable table_;
    unsigned count_ = 0;
    union {  // not zeroed
      TableOps::Edit edits_[kMost];
    };
  };
  [[nodiscard]] Edits edits(const LeafTable& table) { return {*ops_, table}; }
  void set(const Slot& slot, Entry entry) { ops_->set(slot, entry); }

  void table_new(Frame table, unsigned) { zero_page(frames_.window(table)); }
  struct Filler {
    u8* window = nullptr;
    const u64* numbers = nullptr;  // null: nothing is translated
    void fill(unsigned index, Entry entry) const {
      store_entry(window, index, numbers == nullptr ? entry : entry.translated(numbers));
    }
  };
  [[nodiscard]] Filler filler(Frame table) {
    if (translates_) ops_->make_private(table);
    return {frames_.window(table), ops_->numbers().theirs};
  }
  void publish(Frame, unsigned, Gva) {}
  void link(const Slot& slot, Entry entry) { ops_->link(slot, entry); }
  void unlink(const Slot& slot, Entry) { ops_->unlink(slot); }
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

  void zero_page(u8* page) {
    ops_->before_writing();
    processor_.zero_page(page);
  }
  void copy_page(u8* to, const u8* from) {
    ops_->before_writing();
    processor_.copy_page(to, from);
  }

 private:
  FrameTable& frames_;
  P& processor_;
  TableOps* ops_ = nullptr;
  bool translates_ = false;
};

}  // namespace nopte::pt
