// A mode whose guest reports through an interface with a queue in its own memory, and loads its roots by a
// call. What is queued comes before whatever looks at the guest's tables.
#pragma once

#include "hv-mm/told/told_mode.h"
#include "pvops/interfaces/tag.h"

namespace nopte::hv {

// `Calls`, made over a ToldMmu: call(number, arguments) and drain(). It may have ends_guest(): why the
// guest must not go on, null while it may.
template <class Calls, abi::Interface interface>
class QueueMode : public ToldMode {
 public:
  CallResult on_memory_call(Vcpu& vcpu, u64 number, const abi::Registers& arguments) final {
    if (!abi::is_of(number, interface)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    use_root();
    settle();
    goes_on(vcpu);
    return result;
  }
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) final {
    if (drain(vcpu)) ShadowMode::on_page_fault(vcpu, va, error_code);
  }
  Result<void> write_cr3(Vcpu& vcpu, u64 value) final {
    if (!drain(vcpu)) return {};
    return ShadowMode::write_cr3(vcpu, value);
  }
  void on_control_changed(Vcpu& vcpu) final {
    if (drain(vcpu)) ShadowMode::on_control_changed(vcpu);
  }
  void on_invlpg(Vcpu& vcpu, Gva va) final {
    if (drain(vcpu)) ShadowMode::on_invlpg(vcpu, va);
  }

 protected:
  ~QueueMode() = default;
  [[nodiscard]] const Calls& calls() const { return calls_; }

 private:
  bool drain(Vcpu& vcpu) {
    calls_.drain();
    use_root();
    return goes_on(vcpu);
  }
  bool goes_on(Vcpu& vcpu) {
    if constexpr (requires { calls_.ends_guest(); }) {
      if (const char* const why = calls_.ends_guest()) {
        vcpu.shut_down(why);
        return false;
      }
    }
    return true;
  }

  Calls calls_{this->mmu()};
};

}  // namespace nopte::hv
