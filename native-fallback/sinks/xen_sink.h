// The sink for Xen's interface (pvops/interfaces/xen.h): the tables that the processor walks are ours to read
// and Xen's to check. Machine frames differ from the engine's; the direct map has 4 KiB leaves.
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
// FrameMeta::index of a table is ours: bit 63, it is live; bits 32-62, the queue's number, and if that is the
// present one, bits 16-31 and 0-15: one past the last, and the first entry that waits.
#pragma once

#include <optional>

#include "native-fallback/sinks/store_sink.h"
#include "native-fallback/sinks/xen_queue.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

// What the domain builder said.
struct XenMemory {
  const u64* to_machine = nullptr;   // by frame
  const u64* to_physical = nullptr;  // by machine frame
  Frame direct_table;                // level 3 of the direct map
  Frame direct_leaves;               // its leaf tables, contiguous
};

template <Processor P, auto call>
class XenSink {
  using Mmuext = abi::xen::Mmuext;

 public:
  using Format = FourLevel;
  using Entry = pt::Entry;
  static constexpr bool kLargeLeaves = false;

  constexpr XenSink(FrameTable& frames, P& processor, XenQueueMemory& memory)
      : frames_(frames), processor_(processor), queue_(memory) {}
  // Before anything else.
  void start(const XenMemory& memory) { memory_ = memory; }

  static constexpr bool can_share_tables() { return true; }

  [[nodiscard]] Entry read(const Slot& slot) const {
    if (queue_.updates() != 0 && waits(slot)) [[unlikely]]
      issue();
    return decode(load_entry(frames_.window(slot.table), slot.index));
  }
  struct View {
    XenSink& sink;
    Frame table;
    u8* window;
    [[nodiscard]] Entry read(unsigned index) const { return sink.decode(load_entry(window, index)); }
    void fill(unsigned index, Entry entry) const { sink.fill(table, index, entry); }
  };
  [[nodiscard]] View view(Frame table) {
    if (queue_.updates() != 0 && has_waiting(frames_.meta(table))) issue();
    return {*this, table, frames_.window(table)};
  }

  Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    if (!live(slot.table)) {
      return decode(
          exchange_entry(frames_.window(slot.table), slot.index, encode(expected), encode(desired)));
    }
    const Entry old = read(slot);
    const bool loses = expected.present() && (!desired.present() || desired.frame() != expected.frame() ||
                                              desired.lacks_rights_of(expected));
    change(slot, desired, desired.holds_frame() ? abi::xen::kPreserveAd : abi::xen::kNormalUpdate, loses);
    return old;
  }
  void set(const Slot& slot, Entry entry) {
    if (live(slot.table)) {
      change(slot, entry, abi::xen::kNormalUpdate, false);
    } else {
      store_entry(frames_.window(slot.table), slot.index, encode(entry));
    }
  }

  void table_new(Frame table, unsigned) { zero_page(frames_.window(table)); }
  void fill(Frame table, unsigned index, Entry entry) {
    if (live(table)) {  // below a retired root
      make_private(table);
      issue();
    }
    store_entry(frames_.window(table), index, encode(entry));
  }
  void publish(Frame, unsigned, Gva) {}
  void link(const Slot& slot, Entry entry) {
    if (live(slot.table)) make_live(entry.frame(), slot.level - 1);
    set(slot, entry);
  }
  void unlink(const Slot& slot, Entry) {
    if (live(slot.table)) {
      change(slot, Entry(), abi::xen::kNormalUpdate, true);
    } else {
      set(slot, Entry());
    }
  }
  void retire(Frame table, unsigned) {
    if (live(table)) make_private(table);
  }

  void root_create(Frame) {}
  void root_activate(Frame root) {
    if (root == active_) return;
    if (!live(root)) {
      make_live(root, Format::kLevels);
      operation(Mmuext::kPinL4, machine(root));
    }
    operation(Mmuext::kNewBaseptr, machine(root));
    active_ = root;
    queue_.issue();
    issued(true);
  }
  // Unpinned first: what it led to is ordinary memory when that is next filled or retired.
  void root_retire(Frame root) {
    if (live(root)) operation(Mmuext::kUnpin, machine(root));
  }
  [[nodiscard]] bool runs(Frame root) const { return root == active_; }

  void flush_page(Frame, Gva va, FlushScope) {
    if (losses_ == 0 && !unflushed_) return;  // flushed with what was lost
    if (losses_ == 1 && !unflushed_) {
      if (queue_.updates() == 1 && single_ == va.page_base().value() && !queue_.operation_waits()) {
        update_single(abi::xen::kFlushPage | abi::xen::kFlushLocal);
        return;
      }
      operation(Mmuext::kInvlpgLocal, va.page_base().value());
      losses_ = 0;
      issue();
      return;
    }
    flush_all(Frame(), FlushScope::kKernel);
  }
  // All of Xen's flushes drop global translations too.
  void flush_all(Frame, FlushScope) {
    if (losses_ == 0 && !unflushed_) return;
    operation(Mmuext::kTlbFlushLocal, 0);
    queue_.issue();
    issued(true);
  }

  // The queue goes on over operations.
  void begin() {}
  void end() {}

  void zero_page(u8* page) {
    if (aliases_wait_) issue();
    processor_.zero_page(page);
  }
  void copy_page(u8* to, const u8* from) {
    if (aliases_wait_) issue();
    processor_.copy_page(to, from);
  }

  void fault_begins() {}
  void fault_ends() { complete(); }
  void complete() {
    if (queue_.updates() == 1 && single_ != kNoSingle && !queue_.operation_waits()) {
      update_single(abi::xen::kFlushNone);
    } else if (!queue_.empty()) {
      issue();
    }
  }
  // A root that is not ours (the domain builder's) and does not run is pinned no longer.
  void unpin_foreign(Frame root) {
    operation(Mmuext::kUnpin, machine(root));
    issue();
  }

 private:
  static constexpr u64 kLive = u64{1} << 63;
  static constexpr u64 kNoSingle = 1;  // no page address

  [[nodiscard]] u64 machine(Frame frame) const { return memory_.to_machine[frame.number()]; }
  [[nodiscard]] Entry encode(Entry entry) const {
    return entry.holds_frame() ? entry.with_frame(Frame(machine(entry.frame()))) : entry;
  }
  [[nodiscard]] Entry decode(Entry entry) const {
    return entry.holds_frame() ? entry.with_frame(Frame(memory_.to_physical[entry.frame().number()])) : entry;
  }
  [[nodiscard]] bool live(Frame table) const { return (frames_.meta(table).index & kLive) != 0; }

  // --- what waits ---
  [[nodiscard]] bool has_waiting(const FrameMeta& table) const {
    return (table.index & ~kLive) >> 32 == number_;
  }
  [[nodiscard]] bool waits(const Slot& slot) const {
    const FrameMeta& table = frames_.meta(slot.table);
    return has_waiting(table) && slot.index >= (table.index & 0xffff) &&
           slot.index < (table.index >> 16 & 0xffff);
  }
  void note_waiting(FrameMeta& table, u64 index) const {
    u64 first = index, end = index + 1;
    if (has_waiting(table)) {
      const u64 known_first = table.index & 0xffff, known_end = table.index >> 16 & 0xffff;
      if (known_first < first) first = known_first;
      if (known_end > end) end = known_end;
    }
    table.index = (table.index & kLive) | u64{number_} << 32 | end << 16 | first;
  }

  // Replaces an entry of a live table, sooner or later.
  void change(const Slot& slot, Entry entry, u64 command, bool loses) {
    make_room();
    const bool kernel = Format::kernel_half(slot.va);
    single_ = queue_.updates() == 0 && slot.level == 1 && command == abi::xen::kNormalUpdate &&
                      (kernel || slot.root == active_)
                  ? slot.va.page_base().value()
                  : kNoSingle;
    queue_.update(pages_to_bytes(machine(slot.table)) + slot.index * sizeof(u64) + command,
                  encode(entry).word());
    note_waiting(frames_.meta(slot.table), slot.index);
    if (loses) ++losses_;
  }
  // The leaf that shows the frame in the direct map.
  void change_alias(Frame frame, Perm perm) {
    make_room();
    single_ = kNoSingle;
    const Frame table = memory_.direct_leaves + frame.number() / Format::kEntriesPerTable;
    queue_.update(pages_to_bytes(machine(table)) + frame.number() % Format::kEntriesPerTable * sizeof(u64),
                  Entry::kernel_leaf(Frame(machine(frame)), perm).word());
  }
  void operation(Mmuext command, u64 argument) { queue_.operation(command, argument); }
  // For an update: operations that wait come first.
  void make_room() {
    if (queue_.full() || queue_.operation_waits()) issue();
  }
  // Memory that turned writable is flushed too: a processor may still refuse to write to it.
  void issue() const {
    if (aliases_wait_) queue_.operation(Mmuext::kTlbFlushLocal, 0);
    queue_.issue();
    issued(aliases_wait_);
  }
  void issued(bool flushed) const {
    if (flushed) unflushed_ = false;
    if (losses_ != 0 && !flushed) unflushed_ = true;
    losses_ = 0;
    aliases_wait_ = false;
    if (++number_ == kNumbers) number_ = 1;
  }
  // One change of the space that runs needs no list.
  void update_single(u64 flags) {
    const u64 value = queue_.take_back();
    while (!queue_.ask(abi::xen::kUpdateVaMapping, single_, value, flags)) {
    }
    issued(flags != abi::xen::kFlushNone);
  }

  // --- the life of tables ---
  // The private tree of `table`: read-only for us, as Xen wants it.
  void make_live(Frame table, unsigned level) {
    FrameMeta& meta = frames_.meta(table);
    if ((meta.index & kLive) != 0 || table == memory_.direct_table) return;
    meta.index = kLive;
    change_alias(table, kPermR);
    if (level == 1) return;
    for (EntryScan<XenSink> scan(meta, view(table), 0, Format::kEntriesPerTable - 1); scan.next();) {
      make_live(scan.entry().frame(), level - 1);
    }
  }
  // A table that nothing live leads to: writable again, before its memory is next used.
  void make_private(Frame table) {
    change_alias(table, kPermRW);
    frames_.meta(table).index = 0;
    aliases_wait_ = true;
  }

  FrameTable& frames_;
  P& processor_;
  XenMemory memory_;
  std::optional<Frame> active_;
  // What waits is not part of what is seen: reading may issue it.
  mutable XenQueue<call> queue_;
  mutable u64 losses_ = 0;             // of the updates that wait, those that took something away
  mutable bool unflushed_ = false;     // such a one was issued without a flush
  mutable bool aliases_wait_ = false;  // a frame of ours is read-only still
  static constexpr u32 kNumbers = u32{1} << 31;
  mutable u32 number_ = 1;  // of the queue; frames begin with 0
  u64 single_ = kNoSingle;  // the address of the only update, when that is all that Xen needs to know
};

}  // namespace nopte::pt
