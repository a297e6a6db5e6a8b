// The sink of an image that runs on the bare machine and below hypervisors: the processor's own tables
// (store_sink.h), or operations that make them true (table_ops.h). Which it is, is decided once, before
// anything else. One engine over it serves both; where that is worth a copy for each, the engine goes the way
// of the sink that it is (choose_way). All else asks at each entry: a branch that is always the same.
//
// Concurrency: the engine's.
#pragma once

#include "native-fallback/sinks/store_sink.h"
#include "native-fallback/sinks/table_ops.h"

namespace nopte::pt {

template <Processor P>
class EitherSink {
 public:
  using Format = FourLevel;
  using Entry = pt::Entry;
  using Plain = StoreSink<P>;
  using Told = TableOpsSink<P>;

  constexpr EitherSink(FrameTable& frames, P& processor)
      : plain_(frames, processor), told_(frames, processor) {}
  EitherSink(FrameTable& frames, P& processor, TableOps& ops) : EitherSink(frames, processor) { use(ops); }
  // Before anything else; without it, the tables are the processor's.
  void use(TableOps& ops) {
    told_.use(ops);
    is_plain_ = false;
    translates_ = ops.kind().translates;
  }

  // choose_way()
  template <class Use, class... Arguments>
  [[gnu::always_inline]] decltype(auto) choose(const Use& use, Arguments... arguments) const {
    if (is_plain_) [[likely]]
      return use.template operator()<Plain>(arguments...);
    if constexpr (sizeof...(arguments) == 0) {
      return use.template operator()<Told>();
    } else {
      return apart<Use>(arguments...);
    }
  }
  template <class Way>
  [[nodiscard]] constexpr Way& way() {
    if constexpr (std::same_as<Way, Plain>) {
      return plain_;
    } else {
      return told_;
    }
  }

  [[nodiscard]] bool can_share_tables() const { return is_plain_ || told_.can_share_tables(); }
  [[nodiscard]] bool large_leaves() const { return is_plain_ || told_.large_leaves(); }
  static constexpr bool large_pages() { return true; }  // none is made where they are told
  [[nodiscard]] bool processor_marks() const { return is_plain_ || told_.processor_marks(); }
  [[nodiscard]] bool plain_tables() const { return !translates_; }

  [[nodiscard, gnu::always_inline]] Entry read(const Slot& slot) const {
    if (translates_) [[unlikely]]
      return told_.read_settled(slot.table, slot.index);
    return plain_.read(slot);
  }
  // Of programs' memory, of which what is told has no large leaves.
  [[nodiscard]] bool holds_large(const Slot& slot) const { return plain_.read(slot).large(); }
  [[gnu::always_inline]] void walk(Frame root, Gva va, WalkPath<Format>& path) const {
    if (translates_) [[unlikely]]
      return told_.walk_translated(root, va, path);
    plain_.walk(root, va, path);
  }
  [[nodiscard]] TableView view(Frame table) {
    if (translates_) [[unlikely]]
      return told_.view(table);
    return {plain_.view(table).window, nullptr};
  }
  template <class Use>
  [[gnu::always_inline]] void with_view(Frame table, const Use& use) {
    if (translates_) [[unlikely]] {
      use(told_.translating_view(table));
    } else {
      use(plain_.view(table));
    }
  }
  // Where there are many, the way is chosen.
  [[gnu::noinline]] Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    if (!is_plain_) [[unlikely]]
      return exchange_told(slot, expected, desired);
    return plain_.exchange(slot, expected, desired);
  }
  class Edits {
   public:
    Edits(EitherSink& sink, const LeafTable& table)
        : plain_(sink.is_plain_ ? sink.plain_.edits(table).window : nullptr),
          told_(sink.told_.edits(table)) {}
    Entry replace(unsigned index, Entry expected, Entry desired) {
      return plain_ != nullptr ? exchange_entry(plain_, index, expected, desired)
                               : told_.replace(index, expected, desired);
    }

   private:
    u8* plain_;  // or null
    typename Told::Edits told_;
  };
  [[nodiscard]] Edits edits(const LeafTable& table) { return {*this, table}; }
  [[gnu::always_inline]] void set(const Slot& slot, Entry entry) {
    if (!is_plain_) [[unlikely]]
      return set_told(slot, entry);
    plain_.set(slot, entry);
  }

  void table_new(Frame table, unsigned level) { plain_.table_new(table, level); }
  using Filler = typename Told::Filler;
  [[nodiscard]] Filler filler(Frame table) {
    if (translates_) [[unlikely]]
      return told_.filler(table);
    return {plain_.filler(table).window};
  }
  void publish(Frame, unsigned, Gva) {}
  void link(const Slot& slot, Entry entry) {
    if (!is_plain_) [[unlikely]]
      return link_told(slot, entry);
    plain_.link(slot, entry);
  }
  void relink(const Slot& slot, Entry entry) {
    if (!is_plain_) [[unlikely]]
      return relink_told(slot, entry);
    plain_.relink(slot, entry);
  }
  void unlink(const Slot& slot) {
    if (!is_plain_) [[unlikely]]
      return unlink_told(slot);
    plain_.unlink(slot);
  }
  void retire(Frame table, unsigned level) {
    if (!is_plain_) [[unlikely]]
      told_.retire(table, level);
  }

  void root_create(Frame root) {
    if (!is_plain_) told_.root_create(root);
  }
  void root_activate(Frame root) {
    if (!is_plain_) [[unlikely]]
      return told_.root_activate(root);
    plain_.root_activate(root);
  }
  void root_retire(Frame root) {
    if (!is_plain_) told_.root_retire(root);
  }
  [[nodiscard]] bool runs(Frame root) const { return is_plain_ ? plain_.runs(root) : told_.runs(root); }

  void flush_page(Frame root, Gva va, FlushScope scope) {
    if (!is_plain_) [[unlikely]]
      return told_.flush_page(root, va, scope);
    plain_.flush_page(root, va, scope);
  }
  void flush_all(Frame root, FlushScope scope) {
    if (!is_plain_) [[unlikely]]
      return told_.flush_all(root, scope);
    plain_.flush_all(root, scope);
  }

  void begin() {
    if (!is_plain_) told_.begin();
  }
  void end() {
    if (!is_plain_) told_.end();
  }
  void fault_begins() {
    if (!is_plain_) told_.fault_begins();
  }
  void fault_ends() {
    if (!is_plain_) told_.fault_ends();
  }
  void complete() {
    if (!is_plain_) told_.complete();
  }

  void zero_page(u8* page) { plain_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { plain_.copy_page(to, from); }

 private:
  template <class Use, class... Arguments>
  [[gnu::noinline]] static decltype(auto) apart(Arguments... arguments) {
    return Use().template operator()<Told>(arguments...);
  }
  // Once for all that call them. Slots are copied, so that where nothing is told they need not be made.
  [[gnu::noinline]] Entry exchange_told(const Slot& slot, Entry expected, Entry desired) {
    return told_.exchange(slot, expected, desired);
  }
  [[gnu::noinline]] void set_told(const Slot& slot, Entry entry) { told_.set(slot, entry); }
  [[gnu::noinline]] void link_told(Slot slot, Entry entry) { told_.link(slot, entry); }
  [[gnu::noinline]] void relink_told(Slot slot, Entry entry) { told_.relink(slot, entry); }
  [[gnu::noinline]] void unlink_told(Slot slot) { told_.unlink(slot); }

  Plain plain_;
  Told told_;
  bool is_plain_ = true;
  bool translates_ = false;
};

}  // namespace nopte::pt
