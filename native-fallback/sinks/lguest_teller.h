// The teller for lguest (pvops/interfaces/lguest.h): entries are named by root and address. What was lost
// waits in the ring, which the hypervisor empties before every call and before it looks at the guest's tables
// for a fault; so a call of its own is needed only where a TLB would have to forget at once, and for a full
// ring.
//
// One operation that takes more from the space in use than a few rings hold gives up naming entries:
// FLUSH_TLB forgets all user addresses of the root in use, and nothing of them is shown again before the
// guest touches one, which is after the operation.
//
// No call ends a root.
#pragma once

#include <atomic>

#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/sinks/told_tables.h"
#include "pvops/interfaces/lguest.h"

namespace nopte::pt {

// `call` is callable as call(tagged number, a0, a1, a2).
template <auto call>
inline void lguest_call(const abi::lguest::RingCall& made) {
  call(abi::tagged(abi::Interface::kLguest, static_cast<u32>(made.number)), made.arguments[0],
       made.arguments[1], made.arguments[2]);
}

template <auto call>
class LguestTeller final : public ToldTables<LguestTeller<call>> {
 public:
  static constexpr bool kTellingFlushes = true;

  // Full rings that one operation tells of before it forgets everything: what is told costs about as much as
  // the faults that bring back the rest of a small process.
  static constexpr unsigned kMostRings = 4;

  constexpr LguestTeller(FrameTable& frames, abi::lguest::Ring& ring)
      : ToldTables<LguestTeller>(frames, false), ring_(ring) {}

  void start(PhysAddr ring) {
    __builtin_memset(ring_.status, abi::lguest::kSlotFree, sizeof(ring_.status));
    lguest_call<call>({abi::lguest::kInit, {ring.value(), 0, 0}});
  }

  void put(const Slot& slot, Entry now) {
    in_use_ = !FourLevel::kernel_half(slot.va) && this->runs(slot.root);
    if (forgotten_ && in_use_) return;
    ring_.calls[next_] = call_for(slot, now);
    // The call before its status: the hypervisor may read the ring at any instruction that faults.
    std::atomic_signal_fence(std::memory_order_release);
    ring_.status[next_] = abi::lguest::kSlotFilled;
    next_ = (next_ + 1) % abi::lguest::kRingSlots;
  }
  // They are performed in order: when the last is, all are.
  [[nodiscard]] u64 waiting() const { return forgotten_ || taken(next_ - 1) ? 1 : 0; }
  [[nodiscard]] bool full() const { return taken(next_); }
  // Without a flush: the ring is full, and the operation goes on.
  void tell(TellFlush flush) {
    if (flush.kind == TellFlush::Kind::kNone) {
      forgotten_ = forgotten_ || (++full_rings_ >= kMostRings && in_use_);
    } else {
      const bool waits = taken(next_ - 1);
      full_rings_ = 0;
      forgotten_ = false;
      if (!waits) return;
    }
    lguest_call<call>({forgotten_ ? abi::lguest::kFlushTlb : abi::lguest::kFlushAsync, {}});
  }
  void tell_gain(const Slot& slot, Entry entry) { lguest_call<call>(call_for(slot, entry)); }
  void new_root(Frame) {}
  void switch_root(Frame root) {
    lguest_call<call>({abi::lguest::kNewPgtable, {root.address().value(), 0, 0}});
  }
  [[nodiscard]] static bool release_root(Frame) { return false; }

 private:
  static abi::lguest::RingCall call_for(const Slot& slot, Entry entry) {
    using namespace abi::lguest;
    const u64 root = slot.root.address().value();
    const u64 va = slot.va.page_base().value();
    if (slot.level == 1) return {kSetPte, {root, va, entry.word()}};
    if (slot.level == kLevels) return {kSetPgd, {root, slot.index, 0}};
    return {kSetPmd, {root, va | slot.level, 0}};
  }
  [[nodiscard]] bool taken(unsigned slot) const {
    return __atomic_load_n(&ring_.status[slot % abi::lguest::kRingSlots], __ATOMIC_ACQUIRE) !=
           abi::lguest::kSlotFree;
  }

  abi::lguest::Ring& ring_;
  unsigned next_ = 0;
  unsigned full_rings_ = 0;  // since a flush
  bool in_use_ = false;      // the last entry is a user's of the root in use
  bool forgotten_ = false;   // until the flush, nothing is shown of those
};

}  // namespace nopte::pt
