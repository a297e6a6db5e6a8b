// The sink of an image that runs on the bare machine and below hypervisors: the processor's own tables
// (store_sink.h), or operations that make them true (table_ops.h). Which it is, is decided once, before
// anything else. One engine over it serves both, by sites: places that are as the bare machine wants them
// until operations are used (tables/entry_sites.h). Where that would cost either of them a register in a long
// loop, the engine goes the way of the sink that it is (choose_way).
//
// Concurrency: the engine's.
#pragma once

#include <memory>
#include <utility>

#include "native-fallback/sinks/store_sink.h"
#include "native-fallback/sinks/table_ops.h"
#include "native-fallback/tables/entry_sites.h"

namespace nopte::pt {

template <Processor P>
class EitherSink {
 public:
  using Plain = StoreSink<P>;
  using Told = TableOpsSink<P>;
  using Format = FourLevel;
  using Entry = pt::Entry;

  constexpr EitherSink(FrameTable& frames, P& processor)
      : frames_(frames), plain_(frames, processor), told_(frames, processor) {}
  EitherSink(FrameTable& frames, P& processor, TableOps& ops) : EitherSink(frames, processor) { use(ops); }
  // Before anything else; without it, the tables are the processor's.
  void use(TableOps& ops) {
    told_.use(ops);
    sites_.use(ops.kind().translates);
  }

  // choose_way()
  template <class Use, class... Arguments>
  [[gnu::always_inline]] decltype(auto) choose(const Use& use, Arguments... arguments) const {
    if (!is_told()) [[likely]]
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

  [[nodiscard]] bool can_share_tables() const { return !is_told() || told_.can_share_tables(); }
  [[nodiscard]] bool large_leaves() const { return !is_told() || told_.large_leaves(); }
  static constexpr bool large_pages() { return true; }
  [[nodiscard]] bool processor_marks() const { return !is_told() || told_.processor_marks(); }
  [[nodiscard]] bool plain_tables() const { return !translates(); }

  [[nodiscard, gnu::always_inline]] Entry read(const Slot& slot) const {
    Entry entry;
    if (sites_.template load<Site::kTranslated>(frames_.pointer(slot.table), slot.index, entry)) [[likely]]
      return entry;
    return told_.read_settled(Frame(slot.table.number()), slot.index);
  }
  // Of programs' memory, of which what is told has no large leaves.
  [[nodiscard]] bool holds_large(const Slot& slot) const { return plain_.read(slot).large(); }
  [[gnu::always_inline]] void walk(Frame root, Gva va, WalkPath<Format>& path) const {
    Entry top;
    if (!sites_.template load<Site::kTranslated>(frames_.pointer(root),
                                                 Format::table_index(va, Format::kLevels), top)) [[unlikely]]
      return told_.walk_translated(root, va, path);
    bool first = true;
    path.walk(root, va, [&](Frame table, unsigned index) __attribute__((always_inline)) {
      return std::exchange(first, false) ? top : load_entry(frames_.pointer(table), index);
    });
  }
  class View {
   public:
    [[gnu::always_inline]] View(const EitherSink& sink, Frame table)
        : entries_(sink.frames_.pointer(table)), sites_(sink.sites_) {
      if (sink.translates()) [[unlikely]]
        std::construct_at(&numbers_, sink.told_.settled(table));
    }
    [[nodiscard, gnu::always_inline]] Entry read(unsigned index) const {
      Entry entry;
      if (sites_.template load<Site::kTranslated>(entries_, index, entry)) [[likely]]
        return entry;
      return load_entry(entries_, index).translated(numbers_);
    }

   private:
    const u8* entries_;
    [[no_unique_address]] EntrySites sites_;
    union {  // where frames are translated
      const u64* numbers_;
    };
  };
  [[nodiscard, gnu::always_inline]] View view(Frame table) { return {*this, table}; }
  template <class Use>
  [[gnu::always_inline]] void with_view(Frame table, const Use& use) {
    if (translates()) [[unlikely]] {
      use(told_.translating_view(table));
    } else {
      use(plain_.view(table));
    }
  }
  [[gnu::always_inline]] Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    Entry old;
    if (sites_.template exchange<Site::kTold>(frames_.pointer(slot.table), slot.index, expected, desired,
                                              old)) [[likely]]
      return old;
    return Entry(exchange_told(slot.table.number(), slot.root.number(), slot.va.value(), slot.level,
                               expected.word(), desired.word()));
  }
  class Edits {
   public:
    [[gnu::always_inline]] Edits(EitherSink& sink, const LeafTable& table)
        : sink_(sink), entries_(sink.frames_.pointer(table.table)) {
      if (sink.is_told()) [[unlikely]]
        std::construct_at(&told_, sink.told_, table);
    }
    [[gnu::always_inline]] ~Edits() {
      if (sink_.is_told()) [[unlikely]]
        std::destroy_at(&told_);
    }
    Edits(const Edits&) = delete;
    Edits& operator=(const Edits&) = delete;
    [[gnu::always_inline]] Entry replace(unsigned index, Entry expected, Entry desired) {
      Entry old;
      if (sink_.sites_.template exchange<Site::kTold>(entries_, index, expected, desired, old)) [[likely]]
        return old;
      return told_.replace_here(index, expected, desired);
    }

   private:
    EitherSink& sink_;
    u8* entries_;
    union {  // where it is told
      typename Told::Edits told_;
    };
  };
  [[nodiscard, gnu::always_inline]] Edits edits(const LeafTable& table) { return {*this, table}; }
  [[gnu::always_inline]] void set(const Slot& slot, Entry entry) {
    if (!stored<Site::kTold>(slot, entry)) [[unlikely]]
      set_told(slot.table.number(), slot.root.number(), slot.va.value(), slot.level, entry.word());
  }

  void table_new(Frame table, unsigned level) { plain_.table_new(table, level); }
  class Filler {
   public:
    [[gnu::always_inline]] Filler(const EitherSink& sink, Frame table)
        : entries_(sink.frames_.pointer(table)), sites_(sink.sites_) {
      if (sink.translates()) [[unlikely]]
        std::construct_at(&told_, sink.told_.filler(table));
    }
    [[gnu::always_inline]] void fill(unsigned index, Entry entry) const {
      if (!sites_.template store<Site::kTranslated>(entries_, index, entry)) [[unlikely]]
        told_.fill(index, entry);
    }

   private:
    u8* entries_;
    [[no_unique_address]] EntrySites sites_;
    union {  // where frames are translated
      typename Told::Filler told_;
    };
  };
  [[nodiscard, gnu::always_inline]] Filler filler(Frame table) { return {*this, table}; }
  void publish(Frame, unsigned, Gva) {}
  [[gnu::always_inline]] void link(const Slot& slot, Entry entry) {
    if (!stored<Site::kTold>(slot, entry)) [[unlikely]]
      link_told(slot.table.number(), slot.root.number(), slot.va.value(), slot.level, entry.word());
  }
  void relink(const Slot& slot, Entry entry) {
    if (!stored<Site::kTold>(slot, entry)) [[unlikely]]
      relink_told(slot.table.number(), slot.root.number(), slot.va.value(), slot.level, entry.word());
  }
  [[gnu::always_inline]] void unlink(const Slot& slot) {
    if (!stored<Site::kTold>(slot, Entry())) [[unlikely]]
      unlink_told(slot.table.number(), slot.root.number(), slot.va.value(), slot.level);
  }
  [[nodiscard]] bool retires() const { return is_told(); }
  void retire(Frame table, unsigned level) { told_.retire(table, level); }

  void root_create(Frame root) {
    if (is_told()) [[unlikely]]
      told_.root_create(root);
  }
  void root_activate(Frame root) {
    if (is_told()) [[unlikely]]
      return told_.root_activate(root);
    plain_.root_activate(root);
  }
  void root_retire(Frame root) {
    if (is_told()) [[unlikely]]
      told_.root_retire(root);
  }
  [[nodiscard]] bool runs(Frame root) const {
    if (is_told()) [[unlikely]]
      return told_.runs(root);
    return plain_.runs(root);
  }

  void flush_page(Frame root, Gva va, FlushScope scope) {
    if (is_told()) [[unlikely]]
      return told_.flush_page(root, va, scope);
    plain_.flush_page(root, va, scope);
  }
  void flush_all(Frame root, FlushScope scope) {
    if (is_told()) [[unlikely]]
      return told_.flush_all(root, scope);
    plain_.flush_all(root, scope);
  }

  void begin() {
    if (is_told()) [[unlikely]]
      told_.begin();
  }
  void end() {
    if (is_told()) [[unlikely]]
      told_.end();
  }
  void fault_begins() {
    if (is_told()) [[unlikely]]
      told_.fault_begins();
  }
  void fault_ends() {
    if (is_told()) [[unlikely]]
      told_.fault_ends();
  }
  void complete() {
    if (is_told()) [[unlikely]]
      told_.complete();
  }

  void zero_page(u8* page) { plain_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { plain_.copy_page(to, from); }

 private:
  template <class Use, class... Arguments>
  [[gnu::noinline]] static decltype(auto) apart(Arguments... arguments) {
    return Use().template operator()<Told>(arguments...);
  }
  [[nodiscard, gnu::always_inline]] bool is_told() const { return sites_.template is<Site::kTold>(); }
  [[nodiscard, gnu::always_inline]] bool translates() const {
    return sites_.template is<Site::kTranslated>();
  }
  template <Site site>
  [[gnu::always_inline]] bool stored(const Slot& slot, Entry entry) const {
    return sites_.template store<site>(frames_.pointer(slot.table), slot.index, entry);
  }
  // Once for all that call them. What makes a slot goes in registers, as numbers, so that the compiler makes
  // it here alone.
  [[gnu::noinline]] u64 exchange_told(u64 table, u64 root, u64 va, unsigned level, u64 expected,
                                      u64 desired) {
    return told_.exchange_here(slot_of(table, root, va, level), Entry(expected), Entry(desired)).word();
  }
  [[gnu::noinline]] void set_told(u64 table, u64 root, u64 va, unsigned level, u64 entry) {
    told_.set(slot_of(table, root, va, level), Entry(entry));
  }
  [[gnu::noinline]] void link_told(u64 table, u64 root, u64 va, unsigned level, u64 entry) {
    told_.link(slot_of(table, root, va, level), Entry(entry));
  }
  [[gnu::noinline]] void relink_told(u64 table, u64 root, u64 va, unsigned level, u64 entry) {
    told_.relink(slot_of(table, root, va, level), Entry(entry));
  }
  [[gnu::noinline]] void unlink_told(u64 table, u64 root, u64 va, unsigned level) {
    told_.unlink(slot_of(table, root, va, level));
  }
  static Slot slot_of(u64 table, u64 root, u64 va, unsigned level) {
    return Slot::of<Format>(Frame(table), Frame(root), Gva(va), level);
  }

  FrameTable& frames_;
  Plain plain_;
  Told told_;
  [[no_unique_address]] EntrySites sites_;
};

}  // namespace nopte::pt
