// The store sink: page tables that a processor (or a shadow of one) walks where we store them. Used natively
// and by the hypervisor for the tables that a vma guest runs on.
//
// What only an instruction can do is the Processor's, which arch code supplies.
#pragma once

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"
#include "native-fallback/tables/page_table_sink.h"

namespace nopte::pt {

template <class P>
concept Processor = requires(P p, const P& view, PhysAddr root, Gva va, u8* to, const u8* from) {
  // This CPU runs on the root from now on and uses no user translation of the one before. Loading the root
  // that is loaded already may do nothing.
  { p.load_root(root) } -> std::same_as<void>;
  // Some CPU has it loaded.
  { view.runs(root) } -> std::convertible_to<bool>;
  // On every CPU: the page of va, global or not; all that is not global; everything.
  { p.flush_page(va) } -> std::same_as<void>;
  { p.flush_user() } -> std::same_as<void>;
  { p.flush_everything() } -> std::same_as<void>;
  // 4 KiB, aligned.
  { p.zero_page(to) } -> std::same_as<void>;
  { p.copy_page(to, from) } -> std::same_as<void>;
};

// It keeps translations by root, and finds them there when it loads the root again. flush_page() is about
// user addresses, and takes nothing of the way there.
template <class P>
concept KeepsByRoot = Processor<P> && requires(P p, PhysAddr root) {
  // Those of a root that no CPU has loaded are not used any more.
  { p.forget(root) } -> std::same_as<void>;
};

template <Processor P, PageTableFormat F = FourLevel>
class StoreSink {
 public:
  using Format = F;
  using Entry = typename F::Entry;

  constexpr StoreSink(FrameTable& frames, P& processor) : frames_(frames), processor_(processor) {}

  static constexpr bool can_share_tables() { return true; }
  static constexpr bool large_leaves() { return true; }
  static constexpr bool large_pages() { return true; }
  static constexpr bool processor_marks() { return true; }
  static constexpr bool plain_tables() { return true; }

  [[nodiscard]] Entry read(const Slot& slot) const {
    return load_entry<Entry>(frames_.pointer(slot.table), slot.index);
  }
  [[gnu::always_inline]] void walk(Frame root, Gva va, WalkPath<Format>& path) const {
    path.walk(root, va, [this](Frame table, unsigned index) {
      return load_entry<Entry>(frames_.pointer(table), index);
    });
  }
  // One table's entries.
  struct View {
    u8* entries;
    [[nodiscard]] Entry read(unsigned index) const { return load_entry<Entry>(entries, index); }
  };
  [[nodiscard]] View view(Frame table) { return {frames_.pointer(table)}; }
  template <class Use>
  [[gnu::always_inline]] void with_view(Frame table, const Use& use) {
    use(view(table));
  }
  Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    return exchange_entry(frames_.pointer(slot.table), slot.index, expected, desired);
  }
  struct Edits {
    u8* entries;
    Entry replace(unsigned index, Entry expected, Entry desired) const {
      return exchange_entry(entries, index, expected, desired);
    }
  };
  [[nodiscard]] Edits edits(const LeafTable& table) { return {frames_.pointer(table.table)}; }
  void set(const Slot& slot, Entry entry) { store_entry(frames_.pointer(slot.table), slot.index, entry); }

  void table_new(Frame table, unsigned) { processor_.zero_page(frames_.pointer(table)); }
  struct Filler {
    u8* entries = nullptr;
    void fill(unsigned index, Entry entry) const { store_entry(entries, index, entry); }
  };
  [[nodiscard]] Filler filler(Frame table) { return {frames_.pointer(table)}; }
  void publish(Frame, unsigned, Gva) {}
  void link(const Slot& slot, Entry entry) { set(slot, entry); }
  void relink(const Slot& slot, Entry entry) { set(slot, entry); }
  // A table entry's A bit says nothing, so a plain store will do.
  void unlink(const Slot& slot) { set(slot, Entry()); }
  static constexpr bool retires() { return false; }
  void retire(Frame, unsigned) {}

  void root_create(Frame) {}
  void root_activate(Frame root) { processor_.load_root(root.address()); }
  // Its frame may be another root's soon.
  void root_retire(Frame root) {
    if constexpr (KeepsByRoot<P>) processor_.forget(root.address());
  }
  [[nodiscard]] bool runs(Frame root) const { return processor_.runs(root.address()); }
  void forget(Frame root)
    requires KeepsByRoot<P>
  {
    processor_.forget(root.address());
  }

  void flush_page(Frame root, Gva va, FlushScope scope) {
    if (scope == FlushScope::kKernel || runs(root)) processor_.flush_page(va);
  }
  void flush_all(Frame root, FlushScope scope) {
    if (scope == FlushScope::kKernel) {
      processor_.flush_everything();
    } else if (runs(root)) {
      processor_.flush_user();
    }
  }

  // Stores are seen at once.
  void begin() {}
  void end() {}
  void fault_begins() {}
  void fault_ends() {}
  void complete() {}

  void zero_page(u8* page) { processor_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { processor_.copy_page(to, from); }

 private:
  FrameTable& frames_;
  P& processor_;
};

}  // namespace nopte::pt
