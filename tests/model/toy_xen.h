// A toy of Xen's memory interface, for the concept only: machine frames differ from the guest's, tables are
// read-only to the guest while they are linked, every update is validated by type and reference rules, roots
// are pinned, updates may be batched. What breaks a rule fails the test.
// Source of the rules: Xen's public/xen.h (mmu_update, mmuext_op) and its page types; no code is taken.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "native-fallback/sinks/page_table_sink.h"
#include "tests/model/kind.h"
#include "tests/model/walkers.h"

namespace nopte::model {

// Guest frame <-> machine frame.
inline Frame machine_frame(Frame frame) { return Frame(frame.number() ^ 0x0030'0155); }

// The hypervisor: owns the truth of what may be a table.
class ToyXen {
 public:
  explicit ToyXen(Memory& memory) : memory_(memory) {}

  // The guest's own mapping of a frame turns read-only or writable.
  void set_alias_writable(Frame frame, bool writable) {
    Page& page = pages_[frame];
    EXPECT_TRUE(!writable || page.uses == 0) << "a table in use would be writable: " << frame.number();
    page.writable = writable;
    memory_.set_access(pt::FrameRange::of(frame, 1),
                       writable ? Memory::Allowed::kAll : Memory::Allowed::kLoads);
  }
  // A store into a linked table. Keeps A and D that hardware set when `preserve`.
  void mmu_update(Frame table, unsigned index, Entry value, bool preserve) {
    const Page& page = pages_[table];
    if (page.uses == 0) {
      ADD_FAILURE() << "mmu_update of a frame that is no table: " << table.number();
      return;
    }
    u8* window = memory_.alias(table);
    const Entry old = pt::load_entry(window, index);
    if (preserve) value = value.with(old.word() & (Entry::kAccessed | Entry::kDirty));
    get_target(value, page.level);
    pt::exchange_entry(window, index, old, value);
    put_target(old, page.level);
    ++updates;
  }
  void pin_root(Frame root) { get_type(root, pt::kLevels); }
  void unpin_root(Frame root) { put_type(root); }
  [[nodiscard]] bool is_root(Frame root) const {
    const auto page = pages_.find(root);
    return page != pages_.end() && page->second.uses != 0 && page->second.level == pt::kLevels;
  }
  [[nodiscard]] bool in_use(Frame table) const {
    const auto page = pages_.find(table);
    return page != pages_.end() && page->second.uses != 0;
  }

  u64 updates = 0;
  u64 batches = 0;

 private:
  struct Page {
    unsigned level = 0;  // type while uses != 0
    u64 uses = 0;
    bool writable = true;
  };

  void get_target(Entry entry, unsigned level) {
    if (!entry.present()) return;
    const Frame target = machine_frame(entry.frame());
    if (level > 1) {
      get_type(target, level - 1);
    } else if (entry.writable()) {
      EXPECT_EQ(pages_[target].uses, 0u) << "a writable mapping of a table: " << target.number();
    }
  }
  void put_target(Entry entry, unsigned level) {
    if (entry.present() && level > 1) put_type(machine_frame(entry.frame()));
  }
  void get_type(Frame frame, unsigned level) {
    Page& page = pages_[frame];
    if (page.uses++ != 0) {
      EXPECT_EQ(page.level, level) << "one frame at two levels: " << frame.number();
      return;
    }
    EXPECT_FALSE(page.writable) << "a table that its guest can write: " << frame.number();
    page.level = level;
    for (unsigned i = 0; i < pt::kEntriesPerTable; ++i) {
      get_target(pt::load_entry(memory_.alias(frame), i), level);
    }
  }
  void put_type(Frame frame) {
    Page& page = pages_[frame];
    ASSERT_NE(page.uses, 0u);
    if (--page.uses != 0) return;
    for (unsigned i = 0; i < pt::kEntriesPerTable; ++i) {
      put_target(pt::load_entry(memory_.alias(frame), i), page.level);
    }
  }

  Memory& memory_;
  std::map<Frame, Page> pages_;
};

// The guest's side: the sink.
class ToyXenSink {
 public:
  using Format = pt::FourLevel;
  static constexpr bool kCanShareTables = true;
  static constexpr bool kLargeLeaves = false;
  static constexpr bool kNeedsAliasRemoval = true;

  ToyXenSink(pt::FrameTable& frames, Machine& machine, ToyXen& xen)
      : frames_(frames), machine_(machine), xen_(xen) {}

  [[nodiscard]] Entry read(const pt::Slot& slot) const {
    EXPECT_FALSE(pending_.contains({slot.table, slot.index})) << "read back inside a batch";
    return decode(pt::load_entry(frames_.window(slot.table), slot.index));
  }
  struct View {
    u8* window;
    [[nodiscard]] Entry read(unsigned index) const { return decode(pt::load_entry(window, index)); }
    void fill(unsigned index, Entry entry) const { pt::store_entry(window, index, encode(entry)); }
  };
  [[nodiscard]] View view(Frame table) { return {frames_.window(table)}; }
  Entry exchange(const pt::Slot& slot, Entry, Entry desired) {
    const Entry old = read(slot);
    update({slot.table, slot.index}, {desired, desired.holds_frame()});
    return old;
  }
  void set(const pt::Slot& slot, Entry entry) { update({slot.table, slot.index}, {entry, false}); }

  void table_new(Frame table, unsigned) { machine_.zero_page(frames_.window(table)); }
  void fill(Frame table, unsigned index, Entry entry) { view(table).fill(index, entry); }
  void publish(Frame table, unsigned, Gva) { xen_.set_alias_writable(table, false); }
  void link(const pt::Slot& slot, Entry entry) { set(slot, entry); }
  void unlink(const pt::Slot& slot, Entry) { set(slot, Entry()); }
  void retire(Frame table, unsigned) {
    EXPECT_FALSE(machine_.caches_table(machine_frame(table))) << "not flushed: " << table.number();
    xen_.set_alias_writable(table, true);
  }

  void root_create(Frame root) {
    xen_.set_alias_writable(root, false);
    xen_.pin_root(root);
  }
  void root_activate(Frame root) {
    EXPECT_TRUE(xen_.is_root(root)) << "a root that is not pinned: " << root.number();
    machine_.load_root(machine_frame(root).address());
  }
  void root_retire(Frame root) {
    xen_.unpin_root(root);
    make_writable(root);
  }
  [[nodiscard]] bool runs(Frame root) const { return machine_.runs(machine_frame(root).address()); }

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

  void begin() { ++depth_; }
  void end() {
    if (--depth_ != 0) return;
    if (!order_.empty()) ++xen_.batches;
    for (const Place& place : order_) apply(place, pending_.at(place));
    order_.clear();
    pending_.clear();
  }
  void fault_begins() {}
  void fault_ends() {}
  void complete() {}

  void zero_page(u8* page) { machine_.zero_page(page); }
  void copy_page(u8* to, const u8* from) { machine_.copy_page(to, from); }

 private:
  using Place = std::pair<Frame, unsigned>;
  struct Update {
    Entry value;
    bool preserve;
  };

  static Entry decode(Entry entry) {
    return entry.holds_frame() ? entry.with_frame(machine_frame(entry.frame())) : entry;
  }
  static Entry encode(Entry entry) { return decode(entry); }  // the exchange is its own inverse

  void update(Place place, Update update) {
    if (depth_ == 0) {
      apply(place, update);
      return;
    }
    EXPECT_TRUE(pending_.emplace(place, update).second) << "one entry twice in a batch";
    order_.push_back(place);
  }
  void apply(const Place& place, const Update& update) {
    xen_.mmu_update(place.first, place.second, encode(update.value), update.preserve);
  }
  // Tables that are no longer in use become ordinary memory for the guest.
  void make_writable(Frame table, unsigned level = pt::kLevels) {
    if (xen_.in_use(table)) return;
    xen_.set_alias_writable(table, true);
    if (level == 1) return;
    for (unsigned i = 0; i < pt::kEntriesPerTable; ++i) {
      const Entry entry = view(table).read(i);
      if (entry.present()) make_writable(entry.frame(), level - 1);
    }
  }

  pt::FrameTable& frames_;
  Machine& machine_;
  ToyXen& xen_;
  unsigned depth_ = 0;
  std::map<Place, Update> pending_;
  std::vector<Place> order_;
};

struct XenLike : KindBase {
  static constexpr const char* kName = "Xen-like";
  static constexpr bool kDirectMap = false;
  using Sink = ToyXenSink;

  XenLike(u64 frames_count, unsigned cpus)
      : KindBase(16, frames_count),
        xen(memory),
        walker(memory, machine_frame),
        machine(memory, walker, cpus),
        sink(frames, machine, xen) {}

  ToyXen xen;
  LongModeWalker walker;
  Machine machine;
  Sink sink;
};

static_assert(pt::PageTableSink<XenLike::Sink>);

}  // namespace nopte::model
