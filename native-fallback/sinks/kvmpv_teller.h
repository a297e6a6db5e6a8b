// The teller for KVM's paravirtual MMU (pvops/interfaces/kvm_pv.h): entries are named by their physical
// address, in a shared page.
#pragma once

#include "native-fallback/sinks/told_tables.h"
#include "pvops/interfaces/kvm_pv.h"

namespace nopte::pt {

// One page, shared with the hypervisor.
struct alignas(kPageBytes) KvmPvBuffer {
  u64 slots[abi::kvmpv::kSlots];
};

// `P` loads roots. `call` is callable as call(tagged number, a0, a1, a2).
template <class P, auto call>
class KvmPvTeller final : public ToldTables<KvmPvTeller<P, call>> {
 public:
  static constexpr bool kTellingFlushes = false;

  constexpr KvmPvTeller(FrameTable& frames, KvmPvBuffer& buffer, P& processor)
      : ToldTables<KvmPvTeller>(frames, true), buffer_(buffer), processor_(processor) {}

  void put(const Slot& slot, Entry) {
    buffer_.slots[waiting_++] = slot.table.address().value() + slot.index * sizeof(Entry);
    this->before_reuse_ = true;  // the hypervisor does not look into the buffer by itself
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
    this->before_reuse_ = false;
  }
  void tell_gain(const Slot& slot, Entry entry) {
    this->lost(slot, entry);  // is now this
    tell({});
  }
  void new_root(Frame) {}
  void switch_root(Frame root) {
    this->retire(root);
    this->unflushed_ = false;
    processor_.load_root(root.address());
  }
  [[nodiscard]] bool release_root(Frame root) {
    call(abi::tagged(abi::Interface::kKvmPv, abi::kvmpv::kReleasePt), root.address().value(), 0, 0);
    return true;
  }

 private:
  KvmPvBuffer& buffer_;
  P& processor_;
  u64 waiting_ = 0;
};

}  // namespace nopte::pt
