// The tables of told shadows: the guest's own memory, written by plain stores; a hypervisor that keeps a
// shadow of them is told, by a teller that knows the interface.
//
// What must be told, and when: a shadow is like a TLB. An entry that *lost* (rights, its frame, a table) is
// remembered and told at the latest where a TLB would have to forget it: at the flush, before another root
// runs, before a frame is free. An entry that *gained* need not be told at all, as nothing caches an absence:
// the hypervisor looks at the guest's tables when it faults. One gain is worth telling: the one that a fault
// makes, as the access would fault again.
//
// Of tables only roots are released: told that a table is unlinked, the hypervisor forgets it unless another
// root in its shadow links it, and everything below a released root goes with it.
//
// A and D: the hypervisor sets them in the guest's entries at the faults that it sees, and shows nothing
// before A and no right to write before D. To take one of them back is a loss.
#pragma once

#include <concepts>

#include "native-fallback/sinks/table_ops.h"

namespace nopte::pt {

// What the hypervisor drops from its TLB with what it is told.
struct TellFlush {
  enum class Kind : u8 { kNone, kPage, kSpace, kEverything };
  Kind kind = Kind::kNone;
  Gva va;  // kPage
};

// A teller: an interface, with a queue of what was lost. Its class `T` is derived from ToldTables<T>.
template <class T>
concept Teller = requires(T t, const T& view, Frame root, const Slot& slot, Entry entry, TellFlush flush) {
  // The processor forgets what was lost when it is told, at the latest.
  { T::kTellingFlushes } -> std::convertible_to<bool>;
  // Remembers that the slot's entry, which was present, lost what `entry` does not have. Precondition:
  // !full().
  { t.put(slot, entry) } -> std::same_as<void>;
  { view.waiting() } -> std::convertible_to<u64>;
  { view.full() } -> std::convertible_to<bool>;
  // Tells what waits, which may be nothing, and flushes.
  { t.tell(flush) } -> std::same_as<void>;
  // A fault has made this entry, which is in use: shows it, and what waits.
  { t.tell_gain(slot, entry) } -> std::same_as<void>;
  // Remembers an entry that it makes besides, until then. Precondition: !full().
  { t.put_gain(slot, entry) } -> std::same_as<void>;
  // A filled root begins.
  { t.new_root(root) } -> std::same_as<void>;
  // Runs on the root, which flushes; tells what waits, if that comes first.
  { t.switch_root(root) } -> std::same_as<void>;
  // The root and what only it linked are no tables any more. False: the interface does not know of roots, and
  // its user entries are told as lost.
  { t.release_root(root) } -> std::same_as<bool>;
};

template <class T>
class ToldTables : public TableOps {
 public:
  void edit(const LeafTable& table, std::span<const Edit> edits) final {
    for (const Edit& each : edits) {
      make_room();
      self().put(table.slot(each.index), each.desired);
    }
  }
  void lost(const Slot& slot, Entry now) final {
    if (self().full()) [[unlikely]]
      return lost_when_full(slot, now);
    self().put(slot, now);
  }
  void gained(const Slot& slot, Entry entry) final {
    if (!FourLevel::kernel_half(slot.va) && !runs(slot.root)) return;
    if (!lazy_) return self().tell_gain(slot, entry);
    if (!self().full()) self().put_gain(slot, entry);
  }

  void root_create(Frame root) final { self().new_root(root); }
  void root_retire(Frame root) final {
    retire(root);
    if (!self().release_root(root)) user_entries_lost(root);
  }

  void flush_page(Gva va, FlushScope scope) final {
    if (self().waiting() == 1 && !unflushed_) {
      self().tell({TellFlush::Kind::kPage, va});
    } else {
      flush_all(scope);
    }
  }
  void flush_all(FlushScope scope) final {
    if (self().waiting() == 0 && !unflushed_) return;  // the processor forgot all that was lost
    self().tell({scope == FlushScope::kKernel ? TellFlush::Kind::kEverything : TellFlush::Kind::kSpace, {}});
    unflushed_ = false;
  }

  void put_gain(const Slot& slot, Entry entry) { self().put(slot, entry); }

 protected:
  constexpr ToldTables(FrameTable& frames, bool shares_tables)
      : TableOps(frames, {.shares_tables = shares_tables, .processor_marks = false}) {
    static_assert(Teller<T>);
  }
  ~ToldTables() = default;

  void make_room() {
    if (self().full()) [[unlikely]]
      tell_now();
  }
  void tell_waiting() {
    if (self().waiting() != 0) tell_now();
  }

  bool unflushed_ = false;  // something was told without a flush

 private:
  T& self() { return static_cast<T&>(*this); }

  void load_root(Frame root) final { self().switch_root(root); }
  void retired(Frame) final { tell_waiting(); }
  void lazy_ended() final { tell_waiting(); }

  // Of its own, so that lost() saves nothing for it.
  [[gnu::noinline]] void lost_when_full(const Slot& slot, Entry now) {
    tell_now();
    self().put(slot, now);
  }
  [[gnu::noinline]] void tell_now() {
    unflushed_ |= !T::kTellingFlushes && self().waiting() != 0;
    self().tell({});
  }
  [[gnu::cold, gnu::noinline]] void user_entries_lost(Frame root) {
    constexpr unsigned kPerMark = kEntriesPerMark<FourLevel>;
    constexpr unsigned kEnd = FourLevel::table_index(FourLevel::kUserRange.end - 1, FourLevel::kLevels) + 1;
    static_assert(kEnd % kPerMark == 0);
    constexpr u64 kUserMarks = (u64{1} << (kEnd / kPerMark)) - 1;
    const u8* const entries = frames_.pointer(root);
    const u64 used = frames_.meta(root).back;
    for (u64 marks = used & kUserMarks; marks != 0; marks &= marks - 1) {
      const unsigned first = static_cast<unsigned>(std::countr_zero(marks)) * kPerMark;
      for (unsigned i = first; i < first + kPerMark; ++i) {
        if (load_entry(entries, i).empty()) continue;
        lost(Slot::of<FourLevel>(root, root, Gva(i * FourLevel::entry_bytes(FourLevel::kLevels)),
                                 FourLevel::kLevels),
             Entry());
      }
    }
  }
};

}  // namespace nopte::pt
