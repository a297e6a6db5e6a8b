// The teller for KVM's paravirtual MMU (pvops/interfaces/kvm_pv.h): entries are named by their physical
// address, in a shared page.
#pragma once

#include "native-fallback/sinks/told_sink.h"
#include "pvops/interfaces/kvm_pv.h"

namespace nopte::pt {

// One page, shared with the hypervisor.
struct alignas(kPageBytes) KvmPvBuffer {
  u64 slots[abi::kvmpv::kSlots];
};

// `Call` is callable as call(tagged number, a0, a1, a2).
template <auto call>
class KvmPvTeller {
 public:
  static constexpr bool kReadAtExits = false;
  static constexpr bool kCanShareTables = true;
  static constexpr bool kTellingFlushes = false;

  constexpr explicit KvmPvTeller(KvmPvBuffer& buffer) : buffer_(buffer) {}

  void put(const Slot& slot, Entry) {
    buffer_.slots[waiting_++] = slot.table.address().value() + slot.index * sizeof(u64);
  }
  [[nodiscard]] u64 waiting() const { return waiting_; }
  [[nodiscard]] bool full() const { return waiting_ == abi::kvmpv::kSlots; }

  void tell(TellFlush flush) {
    using namespace abi::kvmpv;
    u64 flags = 0;
    switch (flush.kind) {
      case TellFlush::Kind::kNone:
        break;
      case TellFlush::Kind::kPage:
        flags = kInvlpg | flush.va.page_base().value();
        break;
      case TellFlush::Kind::kSpace:
        flags = kTlbFlushCurrent;
        break;
      case TellFlush::Kind::kEverything:
        flags = kTlbFlush;
        break;
    }
    call(abi::tagged(abi::Interface::kKvmPv, kSetPtes), 0, waiting_, flags);
    waiting_ = 0;
  }
  void tell_gain(const Slot& slot, Entry entry) {
    if (full()) tell({});
    put(slot, entry);
    tell({});
  }
  void release_root(Frame root) {
    call(abi::tagged(abi::Interface::kKvmPv, abi::kvmpv::kReleasePt), root.address().value(), 0, 0);
  }

 private:
  KvmPvBuffer& buffer_;
  u64 waiting_ = 0;
};

}  // namespace nopte::pt
