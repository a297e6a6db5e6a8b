// What the sinks of told shadows share: the guest's tables are its own memory and written by plain stores; a
// hypervisor that keeps a shadow of them is told, by a Teller that knows the interface.
//
// What must be told, and when: a shadow is like a TLB. An entry that *lost* (rights, its frame, a table) is
// remembered and told at the latest where a TLB would have to forget it: at the flush, before another root
// runs, before a frame is free. An entry that *gained* need not be told at all, as nothing caches an absence:
// the hypervisor looks at the guest's tables when it faults. One gain is worth telling: the one that a fault
// just made, as the access would fault again (fault_ends()).
//
// Of tables only roots are released: told that a table is unlinked, the hypervisor forgets it unless another
// root in its shadow links it, and everything below a released root goes with it.
//
// A and D: the hypervisor sets them in the guest's entries at the faults that it sees, and shows nothing
// before A and no right to write before D. To take one of them back is a loss.
#pragma once

#include "native-fallback/sinks/store_sink.h"
#include "native-fallback/tables/cursor.h"

namespace nopte::pt {

// What the hypervisor drops from its TLB with what it is told.
struct TellFlush {
  enum class Kind : u8 { kNone, kPage, kSpace, kEverything };
  Kind kind = Kind::kNone;
  Gva va;  // kPage
};

template <class T>
concept Teller = requires(T t, const T& view, const Slot& slot, Entry entry, Frame frame, TellFlush flush) {
  // The hypervisor reads what waits at every exit by itself: only a flush needs a call of its own.
  { T::kReadAtExits } -> std::convertible_to<bool>;
  // A table is named by itself, not by the root and the address under which it is found.
  { T::kCanShareTables } -> std::convertible_to<bool>;
  // The processor forgets what was lost when it is told, at the latest.
  { T::kTellingFlushes } -> std::convertible_to<bool>;
  // Remembers that the entry is now `entry`. Precondition: !full().
  { t.put(slot, entry) } -> std::same_as<void>;
  { view.waiting() } -> std::convertible_to<u64>;
  { view.full() } -> std::convertible_to<bool>;
  // Tells what waits, which may be nothing, and flushes.
  { t.tell(flush) } -> std::same_as<void>;
  // A fault has made this entry, and nothing that waits is still to be flushed: shows it.
  { t.tell_gain(slot, entry) } -> std::same_as<void>;
  // Optional:
  //   release_root(frame): the root and what only it linked are no tables any more. Nothing waits, or it may
  //     wait too: !full(). Without it the root's user entries are told as lost.
  //   new_root(frame): a filled root, !full().
  //   bool set_lazy(bool): between begin() and end(); true when what waits must be told now.
};

template <Processor P, Teller T>
class ToldSink : public StoreSink<P> {
  using Own = StoreSink<P>;

 public:
  using Format = typename Own::Format;
  static constexpr bool kCanShareTables = T::kCanShareTables;

  constexpr ToldSink(FrameTable& frames, P& processor, T& teller)
      : Own(frames, processor), frames_(frames), teller_(teller) {}

  [[gnu::always_inline]] Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    const Entry old = Own::exchange(slot, expected, desired);
    if (expected.present() &&
        (!desired.present() || desired.frame() != expected.frame() || desired.lacks_rights_of(expected))) {
      lost(slot, desired);
    } else if (desired.present()) {
      gained(slot, desired);
    }
    return old;
  }
  void set(const Slot& slot, Entry entry) {
    Own::set(slot, entry);
    gained(slot, entry);
  }
  void link(const Slot& slot, Entry entry) { set(slot, entry); }
  void unlink(const Slot& slot, Entry entry) {
    Own::unlink(slot, entry);
    lost(slot, Entry());
  }
  void retire(Frame, unsigned) {
    if constexpr (!T::kReadAtExits) tell_waiting();
  }

  void root_create(Frame root) {
    if constexpr (requires { teller_.new_root(root); }) {
      make_room();
      teller_.new_root(root);
    }
  }
  void root_activate(Frame root) {
    if constexpr (!T::kReadAtExits) tell_waiting();
    unflushed_ = false;  // loading a root flushes
    Own::root_activate(root);
  }
  void root_retire(Frame root) {
    if constexpr (!T::kReadAtExits) tell_waiting();
    if constexpr (requires { teller_.release_root(root); }) {
      make_room();
      teller_.release_root(root);
    } else {
      user_entries_lost(root);
    }
  }

  void flush_page(Frame, Gva va, FlushScope scope) {
    if (teller_.waiting() == 1 && !unflushed_) {
      teller_.tell({TellFlush::Kind::kPage, va});
    } else {
      flush(scope);
    }
  }
  void flush_all(Frame, FlushScope scope) { flush(scope); }

  void fault_begins() {
    gain_ = {};
    in_fault_ = true;
  }
  void fault_ends() {
    in_fault_ = false;
    if (!gain_.present() || !(kernel(gain_slot_) || Own::runs(gain_slot_.root))) return;
    teller_.tell_gain(gain_slot_, gain_);
  }

  void begin() {
    if constexpr (requires { teller_.set_lazy(true); }) static_cast<void>(teller_.set_lazy(true));
  }
  void end() {
    if constexpr (requires { teller_.set_lazy(true); }) {
      if (teller_.set_lazy(false)) tell_waiting();
    }
  }

 private:
  static bool kernel(const Slot& slot) { return static_cast<i64>(slot.va.value()) < 0; }

  void gained(const Slot& slot, Entry entry) {
    if (in_fault_) [[unlikely]]
      remember_gain(slot, entry);
  }
  // Apart, so that what runs for every entry of a range stays short.
  [[gnu::noinline]] void remember_gain(const Slot& slot, Entry entry) {
    gain_slot_ = slot;
    gain_ = entry;
  }
  void lost(const Slot& slot, Entry entry) {
    make_room();
    teller_.put(slot, entry);
  }
  void user_entries_lost(Frame root) {
    const unsigned last = Format::table_index(Format::kUserRange.end - 1, Format::kLevels);
    for (EntryScan<ToldSink> scan(frames_.meta(root), Own::view(root), 0, last); scan.next();) {
      const Gva va(scan.index() * Format::entry_bytes(Format::kLevels));
      lost(Slot::of<Format>(root, root, va, Format::kLevels), Entry());
    }
  }
  void make_room() {
    if (teller_.full()) [[unlikely]]
      tell_now();
  }
  void tell_waiting() {
    if (teller_.waiting() != 0) tell_now();
  }
  // The flush for it is still to come.
  [[gnu::noinline]] void tell_now() {
    unflushed_ |= !T::kTellingFlushes && teller_.waiting() != 0;
    teller_.tell({});
  }
  void flush(FlushScope scope) {
    if (teller_.waiting() == 0 && !unflushed_) return;  // flushed with what was told
    teller_.tell(
        {scope == FlushScope::kKernel ? TellFlush::Kind::kEverything : TellFlush::Kind::kSpace, Gva()});
    unflushed_ = false;
  }

  FrameTable& frames_;
  T& teller_;
  bool unflushed_ = false;  // something was told without a flush
  bool in_fault_ = false;
  Entry gain_;
  Slot gain_slot_{};
};

}  // namespace nopte::pt
