// The tables of Xen's interface (pvops/interfaces/xen.h): the tables that the processor walks are ours to
// read and Xen's to check. Machine frames differ from the engine's; the direct map has 4 KiB leaves.
//
// A table is private or live. Private: memory like any other, written by plain stores, whatever it is linked
// to. A tree goes live when it is linked to a live table, or when its root is first activated (pinned): then
// each table's leaf in the direct map turns read-only, and every change of it is a call. So a child's address
// space is made by plain stores, and a root that never runs is never checked. Live tables go private again at
// retire(); those below a retired root when they are next filled.
//
// Calls wait in a queue, in order, over as many operations as it takes: until what was written is read back,
// a flush is due, a root is loaded, memory is needed that is read-only still, or the end (complete()). Xen
// carries them out in order, so that what is freed meanwhile and used again comes behind its removal.
//
// Xen itself shows user mode another root, for our kernel is at its programs' ring, and what Xen calls a
// kernel's page is one that this root does not lead to. There are some (xen_user_roots.h), made once, each of
// which follows a root, slot by slot: a space that has run lately has its own still, which is only loaded,
// and one that comes and goes has no second root to be checked.
//
// FrameMeta::index of a table, besides what TableOps says: bits 16-31 and 0-15, one past the last, and the
// first entry that waits.
#pragma once

#include "native-fallback/sinks/table_ops.h"
#include "native-fallback/sinks/xen_queue.h"
#include "native-fallback/sinks/xen_user_roots.h"

namespace nopte::pt {

// What the domain builder said.
struct XenMemory {
  const u64* to_machine = nullptr;   // by frame
  const u64* to_physical = nullptr;  // by machine frame
  Frame direct_table;                // level 3 of the direct map
  Frame direct_leaves;               // its leaf tables, contiguous
  Frame user_roots;                  // user mode's, where it has roots of its own; else 0
};

template <auto call>
class XenTables final : public TableOps, FrameTable::TableKeeper {
  using Mmuext = abi::xen::Mmuext;

 public:
  constexpr XenTables(FrameTable& frames, XenQueueMemory& memory)
      : TableOps(frames, {.translates = true, .large_leaves = false, .completes = true}), queue_(memory) {}
  // Before anything else.
  [[gnu::cold]] void start(const XenMemory& memory) {
    memory_ = memory;
    numbers_ = {memory.to_machine, memory.to_physical};
    user_roots_.start(memory.user_roots);
    frames_.let_keep(*this);
  }

  void settle(Frame table, unsigned first, unsigned count) override {
    if (waits(table, first, count)) issue();
  }
  void fill(Frame table, unsigned index, Entry entry) override {
    FrameMeta& meta = frames_.meta(table);
    const Entry wanted = encode_new(entry);
    // What a root has of the kernel's stays while it is kept.
    if (meta.level == FourLevel::kLevels && !waits(table, index, 1) &&
        same_but_accessed(load_entry(frames_.pointer(table), index), wanted)) {
      return;
    }
    if (meta.level > 1 && entry.present()) make_live(entry.frame(), meta.level - 1u);
    change(table, index, wanted);
  }

  Entry exchange(const Slot& slot, Entry expected, Entry desired) override {
    if (!live(slot.table)) {
      return decode(
          exchange_entry(frames_.pointer(slot.table), slot.index, encode(expected), encode(desired)));
    }
    if (unsettled_ && waits(slot.table, slot.index, 1)) issue();
    const Entry old = decode(load_entry(frames_.pointer(slot.table), slot.index));
    // Xen keeps both marks or none: one that is taken back here is not set by another processor meanwhile.
    constexpr u64 kMarks = Entry::kAccessed | Entry::kDirty;
    const bool takes_marks = (expected.word() & ~desired.word() & kMarks) != 0;
    // A table that is refused for a while stays one, or all of it would be counted out, and checked again.
    if (slot.level > 1 && expected.present() && !desired.present()) pin(expected.frame());
    change(slot, desired, takes_marks ? abi::xen::kNormalUpdate : command_for(desired),
           takes_marks || loses(expected, desired));
    followed(slot, desired);
    return old;
  }
  void edit(const LeafTable& table, std::span<const Edit> edits) override {
    if (!live(table.table)) {
      u8* const entries = frames_.pointer(table.table);
      for (const Edit& each : edits) {
        exchange_entry(entries, each.index, encode(each.expected), encode(each.desired));
      }
      return;
    }
    // None of them waits: they were read.
    const u64 at = pages_to_bytes(machine(table.table));
    FrameMeta& meta = frames_.meta(table.table);
    u64 first = edits.front().index;
    make_room();
    for (const Edit& each : edits) {
      if (queue_.full()) [[unlikely]] {
        note_waiting(meta, first, each.index);
        issue();
        first = each.index;
      }
      queue_.update(at + each.index * sizeof(u64) + command_for(each.desired), encode(each.desired).word());
      if (loses(each.expected, each.desired)) ++losses_;
    }
    note_waiting(meta, first, edits.back().index + 1);
    single_ = queue_.updates() == 1
                  ? single_address(table.slot(edits.back().index), command_for(edits.back().desired))
                  : kNoSingle;
  }
  void set(const Slot& slot, Entry entry) override {
    if (live(slot.table)) {
      change_here(slot, entry, abi::xen::kNormalUpdate, false);
    } else {
      store_entry(frames_.pointer(slot.table), slot.index, encode_new(entry));
    }
  }

  void link(const Slot& slot, Entry entry) override {
    if (live(slot.table)) make_live(entry.frame(), slot.level - 1);
    set(slot, entry);
    followed(slot, entry);
  }
  [[gnu::cold]] void relink(const Slot& slot, Entry entry) override {
    if (live(slot.table)) {
      make_live(entry.frame(), slot.level - 1);
      change(slot, entry, abi::xen::kNormalUpdate, true);
      followed(slot, entry);
    } else {
      set(slot, entry);
    }
  }
  void unlink(const Slot& slot) override {
    if (live(slot.table)) {
      const Frame table = read_below(slot);
      if (is_soon_emptied(frames_.meta(table))) prepare_to_keep(table);
      change(slot, Entry(), abi::xen::kNormalUpdate, true);
      followed(slot, Entry());
    } else {
      set(slot, Entry());
    }
  }

  [[gnu::cold]] void root_create(Frame root) override {
    if (kernel_root_ == Frame()) kernel_root_ = root;
  }
  // A small tree is taken apart table by table, and those of few entries are kept. Of another the root is
  // unpinned first: what it led to is ordinary memory when that is next filled or freed.
  void root_retire(Frame root) override {
    if (XenUserRoots::Root* const user = follower_of(root)) follow(*user, Frame());
    if (live(root) && !pin_below(root)) unpin(root);
  }

  void flush_page(Gva va, FlushScope) override {
    if (losses_ == 0 && !unflushed_) return;  // flushed with what was lost
    if (losses_ == 1 && !unflushed_) {
      if (queue_.is_single() && single_ == va.page_base().value()) {
        update_single(abi::xen::kFlushPage | abi::xen::kFlushLocal);
        return;
      }
      operation(Mmuext::kInvlpgLocal, va.page_base().value());
      losses_ = 0;
      issue();
      return;
    }
    flush_all(FlushScope::kKernel);
  }
  // All of Xen's flushes drop global translations too.
  void flush_all(FlushScope) override {
    if (losses_ == 0 && !unflushed_) return;
    operation(Mmuext::kTlbFlushLocal, 0);
    queue_.issue();
    issued(true);
  }

  void complete() override {
    if (queue_.is_single() && single_ != kNoSingle) {
      update_single(abi::xen::kFlushNone);
    } else if (!queue_.empty()) {
      issue();
    }
  }
  // A root that is not ours (the domain builder's) and does not run is pinned no longer.
  [[gnu::cold]] void unpin_foreign(Frame root) {
    operation(Mmuext::kUnpin, machine(root));
    issue();
  }

 private:
  static constexpr u64 kNoSingle = 1;  // no page address

  [[nodiscard]] u64 machine(Frame frame) const { return numbers_.theirs[frame.number()]; }
  [[nodiscard]] Entry encode(Entry entry) const { return entry.translated(numbers_.theirs); }
  // Of an entry that may be new. None of ours is global: at ring 3 a kernel's page that were would be user
  // mode's too, and what is a program's Xen makes global itself.
  [[nodiscard]] Entry encode_new(Entry entry) const { return encode(entry).without(Entry::kGlobal); }
  static bool same_but_accessed(Entry a, Entry b) { return ((a.word() ^ b.word()) & ~Entry::kAccessed) == 0; }
  [[nodiscard]] Entry decode(Entry entry) const { return entry.translated(numbers_.ours); }

  // --- what waits ---
  // One of the `count` entries from `first` on.
  [[nodiscard]] bool waits(Frame frame, unsigned first, unsigned count) const {
    const FrameMeta& table = frames_.meta(frame);
    return has_waiting(table) && first + count > (table.index & 0xffff) &&
           first < (table.index >> 16 & 0xffff);
  }
  // Entries [first, end) wait, or some of them.
  [[gnu::always_inline]] void note_waiting(FrameMeta& table, u64 first, u64 end) {
    unsettled_ = true;
    if (has_waiting(table) && (table.index >> 16 & 0xffff) != 0) {
      const u64 known_first = table.index & 0xffff, known_end = table.index >> 16 & 0xffff;
      if (known_first < first) first = known_first;
      if (known_end > end) end = known_end;
    }
    table.index = (table.index & (kLive | kPinned)) | u64{number_} << 32 | end << 16 | first;
  }

  // For an entry that was there.
  static u64 command_for(Entry desired) {
    return desired.holds_frame() ? abi::xen::kPreserveAd : abi::xen::kNormalUpdate;
  }
  // Of an update that is the only one that waits.
  [[nodiscard]] u64 single_address(const Slot& slot, u64 command) const {
    return slot.level == 1 && command == abi::xen::kNormalUpdate &&
                   (FourLevel::kernel_half(slot.va) || runs(slot.root))
               ? slot.va.page_base().value()
               : kNoSingle;
  }
  // Replaces an entry of a live table, sooner or later.
  [[gnu::noinline]] void change(const Slot& slot, Entry entry, u64 command, bool loses) {
    change_here(slot, entry, command, loses);
  }
  [[gnu::always_inline]] void change_here(const Slot& slot, Entry entry, u64 command, bool loses) {
    make_room();
    single_ = queue_.updates() == 0 ? single_address(slot, command) : kNoSingle;
    queue_.update(pages_to_bytes(machine(slot.table)) + slot.index * sizeof(u64) + command,
                  encode_new(entry).word());
    note_waiting(frames_.meta(slot.table), slot.index, slot.index + 1);
    if (loses) ++losses_;
  }
  // The same of one that nothing may lead to, or that is the user's.
  void change(Frame table, unsigned index, Entry encoded) {
    make_room();
    single_ = kNoSingle;
    queue_.update(pages_to_bytes(machine(table)) + index * sizeof(u64), encoded.word());
    note_waiting(frames_.meta(table), index, index + 1);
  }
  // The table that an entry leads to.
  [[nodiscard]] Frame read_below(const Slot& slot) {
    if (unsettled_ && waits(slot.table, slot.index, 1)) issue();
    return decode(load_entry(frames_.pointer(slot.table), slot.index)).frame();
  }
  // An entry that is not a leaf has changed.
  void followed(const Slot& slot, Entry entry) {
    if (slot.level == FourLevel::kLevels && user_roots_.any()) [[unlikely]]
      follow_slot(slot.table, slot.index, encode(entry));
  }

  // --- user mode's roots ---
  [[nodiscard]] XenUserRoots::Root* follower_of(Frame root) {
    return user_roots_.any() ? user_roots_.follower_of(root) : nullptr;
  }
  [[gnu::noinline]] void follow_slot(Frame root, unsigned index, Entry encoded) {
    if (XenUserRoots::Root* const user = follower_of(root)) change_user_slot(*user, index, encoded);
  }
  void change_user_slot(XenUserRoots::Root& user, unsigned index, Entry encoded);
  // User mode's root gets the user slots of `root`, or of none.
  [[gnu::cold]] void follow(XenUserRoots::Root& user, Frame root);
  // The kernel's own root has no user slots: none follows it.
  void run_user_on(Frame root);
  // The leaf that shows the frame in the direct map.
  void change_alias(Frame frame, Perm perm) {
    make_room();
    single_ = kNoSingle;
    const Frame table = memory_.direct_leaves + frame.number() / FourLevel::kEntriesPerTable;
    queue_.update(pages_to_bytes(machine(table)) + frame.number() % FourLevel::kEntriesPerTable * sizeof(u64),
                  Entry::kernel_leaf(Frame(machine(frame)), perm).without(Entry::kGlobal).word());
  }
  void operation(Mmuext command, u64 argument) {
    if (queue_.operations_full()) issue();
    queue_.operation(command, argument);
  }
  // For an update: operations that wait come first.
  void make_room() {
    if (queue_.full() || queue_.operation_waits()) issue();
  }
  // Memory that turned writable is flushed too: a processor may still refuse to write to it.
  [[gnu::noinline]] void issue() {
    if (memory_waits_) queue_.operation(Mmuext::kTlbFlushLocal, 0);
    queue_.issue();
    issued(memory_waits_);
  }
  void issued(bool flushed) {
    if (flushed) unflushed_ = false;
    if (losses_ != 0 && !flushed) unflushed_ = true;
    losses_ = 0;
    memory_waits_ = unsettled_ = false;
    if (++number_ == kNumbers) number_ = 1;
  }
  // One change of the space that runs needs no list.
  void update_single(u64 flags) {
    const u64 value = queue_.take_back();
    while (!queue_.ask(abi::xen::kUpdateVaMapping, single_, value, flags)) {
    }
    issued(flags != abi::xen::kFlushNone);
  }

  // --- the life of tables, and those that were freed (xen_table_life.h) ---
  void load_root(Frame root) override;
  // The private tree of `table`: read-only for us, as Xen wants it.
  void make_live(Frame table, unsigned level);
  // A table that nothing live leads to when all that waits has happened: writable again, before its memory is
  // next used. Until then FrameMeta::index links those.
  void end_life(Frame table);
  void make_writable() override;

  static constexpr u64 kPinned = u64{1} << 62;
  static constexpr u64 kMostKept = 256;  // of a level
  static constexpr u64 kLeastFree = 32;  // besides, or none is kept: it would be given up soon
  static constexpr u64 kMostOfSmallTree = 24;
  static constexpr unsigned kSlotsOfGroup = 8;  // FrameMeta::back
  static constexpr unsigned kLastUserSlot = 255;
  struct Kept {
    u64 first = 0;  // linked by FrameMeta::back, number + 1
    u64 count = 0;
  };

  [[nodiscard]] bool is_soon_emptied(const FrameMeta& table) const {
    return table.refs <= 1 && table.live <= kSoonerEmptied && kept_[table.level].count < kMostKept &&
           frames_.free_frames() >= all_kept_ + kLeastFree;
  }
  // One that has been live for longer than what waits.
  void pin(Frame table);
  void unpin(Frame table) {
    frames_.meta(table).index &= ~kPinned;
    operation(Mmuext::kUnpin, machine(table));
  }
  // Pins those of few entries in the tree of a root, where it is small. False: it is not.
  bool pin_below(Frame root) {
    u64 left = kMostOfSmallTree;
    return is_soon_emptied(frames_.meta(root)) && visit_own<Visit::kCount>(root, left) &&
           visit_own<Visit::kPin>(root, left);
  }
  enum class Visit : u8 { kCount, kPin };
  template <Visit does>
  bool visit_own(Frame table, u64& left);
  bool keep(Frame table) override;
  void empty(Frame table, FrameMeta& meta);
  // Before it is unlinked, for the last time: when it is freed, its marks are lost.
  [[gnu::noinline]] void prepare_to_keep(Frame table) {
    pin(table);
    empty(table, frames_.meta(table));
  }
  Frame take(unsigned level) override;
  bool give_up() override;
  static constexpr u64 kGivenUpAtOnce = XenQueueMemory::kPins;

  XenMemory memory_;
  XenUserRoots user_roots_;
  Frame kernel_root_;
  XenQueue<call> queue_;
  bool memory_waits_ = false;          // a frame of ours was read-only
  u64 ended_ = 0;                      // the last that is to be writable again: its number + 1
  Kept kept_[FourLevel::kLevels + 1];  // by level
  u64 all_kept_ = 0;
  u64 losses_ = 0;          // of the updates that wait, those that took something away
  bool unflushed_ = false;  // such a one was issued without a flush
  u64 single_ = kNoSingle;  // the address of the only update, when that is all that Xen needs to know
};

}  // namespace nopte::pt

#include "native-fallback/sinks/xen_table_life.h"
