// The teller for KVM's paravirtual MMU (pvops/interfaces/kvm_pv.h): entries are named by their physical
// address, in a shared page.
#pragma once

#include "native-fallback/sinks/teller.h"
#include "pvops/interfaces/kvm_pv.h"

namespace nopte::pt {

// One page, shared with the hypervisor.
struct alignas(kPageBytes) KvmPvBuffer {
  u64 slots[abi::kvmpv::kSlots];
};

// `P` loads roots. `call` is callable as call(tagged number, a0, a1, a2).
template <class P, auto call>
class KvmPvTeller final : public QueueTeller<KvmPvTeller<P, call>> {
 public:
  static constexpr bool kTellingFlushes = false;

  constexpr KvmPvTeller(KvmPvBuffer& buffer, P& processor)
      : QueueTeller<KvmPvTeller>(Teller::Names::kTables), buffer_(buffer), processor_(processor) {}

  void put(PhysAddr entry, PhysAddr, Gva, unsigned, Entry) {
    buffer_.slots[waiting_++] = entry.value();
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
  void tell_gain(const Slot& slot, Entry entry) override {
    if (full()) tell({});
    this->lost(slot, entry);  // is now this
    tell({});
  }
  [[nodiscard]] bool release_root(Frame root) override {
    call(abi::tagged(abi::Interface::kKvmPv, abi::kvmpv::kReleasePt), root.address().value(), 0, 0);
    return true;
  }

 private:
  void load_root(PhysAddr root) override {
    this->tell_before_reuse();
    this->unflushed_ = false;
    processor_.load_root(root);
  }

  KvmPvBuffer& buffer_;
  P& processor_;
  u64 waiting_ = 0;
};

}  // namespace nopte::pt
