// The sink of told shadows: the guest's tables are its own memory and written by plain stores; a hypervisor
// that keeps a shadow of them is told, by a Teller that knows the interface (teller.h).
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
#include "native-fallback/sinks/teller.h"
#include "native-fallback/tables/entry_scan.h"

namespace nopte::pt {

// `P` zeroes and copies pages; roots and flushes are the teller's.
template <Processor P>
class ToldSink : public StoreSink<P> {
  using Own = StoreSink<P>;

 public:
  using Format = typename Own::Format;

  constexpr ToldSink(FrameTable& frames, P& processor, Teller* teller = nullptr)
      : Own(frames, processor), frames_(frames), teller_(teller) {}
  // Before anything else, when the constructor had none.
  void use(Teller& teller) { teller_ = &teller; }

  [[nodiscard]] bool can_share_tables() const { return teller_->can_share_tables(); }

  [[gnu::always_inline]] Entry exchange(const Slot& slot, Entry expected, Entry desired) {
    const Entry old = Own::exchange(slot, expected, desired);
    if (expected.present() &&
        (!desired.present() || desired.frame() != expected.frame() || desired.lacks_rights_of(expected))) {
      teller_->lost(slot, desired);
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
    teller_->lost(slot, Entry());
  }
  void retire(Frame, unsigned) { teller_->tell_before_reuse(); }

  void root_create(Frame root) { teller_->new_root(root); }
  void root_activate(Frame root) { teller_->activate(root.address()); }
  void root_retire(Frame root) {
    teller_->tell_before_reuse();
    if (!teller_->release_root(root)) user_entries_lost(root);
  }
  [[nodiscard]] bool runs(Frame root) const { return teller_->runs(root.address()); }

  void flush_page(Frame, Gva va, FlushScope scope) { teller_->flush_page(va, scope); }
  void flush_all(Frame, FlushScope scope) { teller_->flush_all(scope); }

  void fault_begins() {
    gain_ = {};
    in_fault_ = true;
  }
  void fault_ends() {
    in_fault_ = false;
    if (!gain_.present() || !(kernel(gain_slot_) || runs(gain_slot_.root))) return;
    teller_->tell_gain(gain_slot_, gain_);
  }

  void begin() { teller_->begin(); }
  void end() { teller_->end(); }

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
  void user_entries_lost(Frame root) {
    const unsigned last = Format::table_index(Format::kUserRange.end - 1, Format::kLevels);
    for (EntryScan<ToldSink> scan(frames_.meta(root), Own::view(root), 0, last); scan.next();) {
      const Gva va(scan.index() * Format::entry_bytes(Format::kLevels));
      teller_->lost(Slot::of<Format>(root, root, va, Format::kLevels), Entry());
    }
  }

  FrameTable& frames_;
  Teller* teller_;
  bool in_fault_ = false;
  Entry gain_;
  Slot gain_slot_{};
};

}  // namespace nopte::pt
