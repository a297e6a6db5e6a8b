// A toy of lguest's memory interface, for the concept only: the host never looks at a guest's tables except
// when it is told of a new one; it keeps its own translations, which the guest names by root and address.
// So no table can serve two roots, and hardware marks pages in the host's tables, not in the guest's.
// Source of the idea: LHCALL_SET_PTE and LHCALL_NEW_PGTABLE; no code is taken.
#pragma once

#include <absl/container/btree_map.h>
#include <absl/container/flat_hash_map.h>
#include <gtest/gtest.h>

#include "native-fallback/tables/page_table_sink.h"
#include "tests/model/kind.h"

namespace nopte::model {

inline bool is_kernel_address(Gva va) { return static_cast<i64>(va.value()) < 0; }

// The host: translations by root and page; kernel addresses are one set for all roots.
class ToyLguest : public Walker {
 public:
  explicit ToyLguest(Memory& memory) : memory_(memory) {}

  void new_root(Frame root) { roots_[root]; }
  void drop_root(Frame root) { EXPECT_EQ(roots_.erase(root), 1u); }
  [[nodiscard]] bool has_root(Frame root) const { return roots_.contains(root); }

  void set(Frame root, Gva va, Entry entry) {
    Pages& pages = pages_of(root, va);
    if (entry.present()) {
      pages[va.page()] = entry;
    } else {
      pages.erase(va.page());
    }
    ++updates;
  }
  // The guest linked a table of `level` for the addresses from `base` on: reads what it holds.
  void linked(Frame root, Frame table, unsigned level, Gva base) {
    for (unsigned i = 0; i < pt::kEntriesPerTable; ++i) {
      const Entry entry = pt::load_entry(memory_.alias(table), i);
      if (!entry.present()) continue;
      const Gva va = base + i * pt::entry_bytes(level);
      if (level == 1) {
        set(root, va, entry);
      } else {
        linked(root, entry.frame(), level - 1, va);
      }
    }
  }
  void unlinked(Frame root, Gva base, u64 bytes) {
    Pages& pages = pages_of(root, base);
    pages.erase(pages.lower_bound(base.page()), pages.lower_bound((base + bytes).page()));
  }

  Root load(PhysAddr root) override { return {root, {}}; }
  [[nodiscard]] unsigned leaf_table_shift() const override { return 21; }
  std::optional<Walk> walk(const Root& root, Gva va, Access access, Privilege privilege, Ways&) override {
    const auto found = roots_.find(Frame::at(root.address));
    if (found == roots_.end()) {
      ADD_FAILURE() << "a root that the host does not know";
      return std::nullopt;
    }
    Pages& pages = is_kernel_address(va) ? kernel_ : found->second;
    const auto page = pages.find(va.page());
    if (page == pages.end()) return std::nullopt;
    Entry& entry = page->second;
    Walk result{.frame = entry.frame(),
                .perm = entry.perm(),
                .user = entry.user(),
                .global = entry.global(),
                .dirty = entry.dirty()};
    if (permits(result, access, privilege) && access == Access::kWrite) {
      entry = entry.with(Entry::kDirty);
      result.dirty = true;
    }
    return result;
  }

  std::optional<Walk> look(const Root& root, Gva va, Ways& ways) override {
    return walk(root, va, Access::kRead, Privilege::kKernel, ways);
  }

  u64 updates = 0;

 private:
  using Pages = absl::btree_map<u64, Entry>;

  Pages& pages_of(Frame root, Gva va) {
    if (is_kernel_address(va)) return kernel_;
    EXPECT_TRUE(has_root(root)) << "an entry of a root that the host does not know";
    return roots_[root];
  }

  Memory& memory_;
  absl::btree_map<Frame, Pages> roots_;
  Pages kernel_;
};

class ToyLguestSink {
 public:
  using Format = pt::FourLevel;
  static constexpr bool can_share_tables() { return false; }
  static constexpr bool large_leaves() { return false; }
  static constexpr bool large_pages() { return false; }
  static constexpr bool processor_marks() { return false; }
  static constexpr bool plain_tables() { return true; }

  ToyLguestSink(pt::FrameTable& frames, Machine& machine, ToyLguest& host)
      : frames_(frames), machine_(machine), host_(host) {}

  [[nodiscard]] Entry read(const pt::Slot& slot) const {
    return pt::load_entry(frames_.pointer(slot.table), slot.index);
  }
  void walk(Frame root, Gva va, pt::WalkPath<Format>& path) const {
    path.walk(root, va,
              [this](Frame table, unsigned index) { return pt::load_entry(frames_.pointer(table), index); });
  }
  struct Edits {
    ToyLguestSink& sink;
    pt::LeafTable table;
    Entry replace(unsigned index, Entry expected, Entry desired) const {
      return sink.exchange(table.slot(index), expected, desired);
    }
  };
  [[nodiscard]] Edits edits(const pt::LeafTable& table) { return {*this, table}; }
  struct View {
    u8* entries;
    [[nodiscard]] Entry read(unsigned index) const { return pt::load_entry(entries, index); }
  };
  [[nodiscard]] View view(Frame table) { return {frames_.pointer(table)}; }
  template <class Use>
  void with_view(Frame table, const Use& use) {
    use(view(table));
  }
  Entry exchange(const pt::Slot& slot, Entry expected, Entry desired) {
    const Entry old = pt::exchange_entry(frames_.pointer(slot.table), slot.index, expected, desired);
    host_.set(slot.root, slot.va.page_base(), desired);
    return old;
  }
  void set(const pt::Slot& slot, Entry entry) {
    pt::store_entry(frames_.pointer(slot.table), slot.index, entry);
    host_.set(slot.root, slot.va.page_base(), entry);
  }

  void table_new(Frame table, unsigned) { machine_.zero_page(frames_.pointer(table)); }
  struct Filler {
    u8* entries = nullptr;
    void fill(unsigned index, Entry entry) const { pt::store_entry(entries, index, entry); }
  };
  [[nodiscard]] Filler filler(Frame table) { return {frames_.pointer(table)}; }
  void publish(Frame, unsigned, Gva) {}
  void link(const pt::Slot& slot, Entry entry) {
    pt::store_entry(frames_.pointer(slot.table), slot.index, entry);
    host_.linked(slot.root, entry.frame(), slot.level - 1, below(slot));
  }
  void relink(const pt::Slot&, Entry) { ADD_FAILURE() << "tables are not shared"; }
  void unlink(const pt::Slot& slot) {
    pt::store_entry(frames_.pointer(slot.table), slot.index, Entry());
    host_.unlinked(slot.root, below(slot), pt::entry_bytes(slot.level));
  }
  static constexpr bool retires() { return false; }
  void retire(Frame, unsigned) {}

  void root_create(Frame root) { host_.new_root(root); }
  void root_activate(Frame root) {
    EXPECT_TRUE(host_.has_root(root));
    machine_.load_root(root.address());
  }
  void root_retire(Frame root) {
    // Kernel pages stay known, so a CPU that runs nothing else goes on.
    if (!machine_.runs(root.address())) host_.drop_root(root);
  }
  [[nodiscard]] bool runs(Frame root) const { return machine_.runs(root.address()); }

  void flush_page(Frame root, Gva va, pt::FlushScope scope) {
    if (scope == pt::FlushScope::kKernel || runs(root)) machine_.flush_page(va);
  }
  void flush_all(Frame root, pt::FlushScope scope) {
    if (scope == pt::FlushScope::kKernel) {
      machine_.flush_everything();
    } else if (runs(root)) {
      machine_.flush_user();
    }
  }
  void begin() {}
  void end() {}
  void fault_begins() {}
  void fault_ends() {}
  void complete() {}

  void zero_page(u8* page) { machine_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { machine_.copy_page(to, from); }

 private:
  // The first address below the entry.
  static Gva below(const pt::Slot& slot) { return Gva(slot.va.value() & ~(pt::entry_bytes(slot.level) - 1)); }

  pt::FrameTable& frames_;
  Machine& machine_;
  ToyLguest& host_;
};

struct LguestLike : KindBase {
  static constexpr const char* kName = "lguest-like";
  static constexpr bool kDirectMap = false;
  using Sink = ToyLguestSink;

  LguestLike(u64 frames_count, unsigned cpus)
      : KindBase(16, frames_count), host(memory), machine(memory, host, cpus), sink(frames, machine, host) {}

  ToyLguest host;
  Machine machine;
  Sink sink;
};

static_assert(pt::PageTableSink<LguestLike::Sink>);

}  // namespace nopte::model
