// Mode lguest: the guest has page tables of its own and says by lguest's calls, or in its ring, what it did
// to them.
#include "hv-mm/shadow/shadow_mode.h"
#include "hv-mm/told/lguest_calls.h"

namespace nopte::hv {
namespace {

class LguestMode final : public ShadowMode {
 public:
  [[nodiscard]] const char* name() const override { return "lguest"; }
  [[nodiscard]] u64 features() const override { return abi::kFeatureLguest; }

  CallResult on_memory_call(Vcpu& vcpu, u64 number, const abi::Registers& arguments) override {
    if (!abi::is_of(number, abi::Interface::kLguest)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    vcpu.vmcb().cr3 = mmu().host_root().value();
    flush_if_needed(vcpu);
    end_if_nonsense(vcpu);
    return result;
  }
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override {
    if (ring_makes_sense(vcpu)) ShadowMode::on_page_fault(vcpu, va, error_code);
  }
  Result<void> write_cr3(Vcpu& vcpu, u64 value) override {
    if (!ring_makes_sense(vcpu)) return {};
    return ShadowMode::write_cr3(vcpu, value);
  }
  void on_control_changed(Vcpu& vcpu) override {
    if (ring_makes_sense(vcpu)) ShadowMode::on_control_changed(vcpu);
  }
  void on_invlpg(Vcpu& vcpu, Gva va) override {
    if (ring_makes_sense(vcpu)) ShadowMode::on_invlpg(vcpu, va);
  }
  void write_counters(JsonWriter& json) const override {
    ShadowMode::write_counters(json);
    const LguestCalls::Counters& c = calls_.counters();
    json.member("lguest_calls", c.calls);
    json.member("ring_calls", c.ring_calls);
    json.member("entries_told", c.entries_told);
    json.member("told_refused", c.refused);
  }

 private:
  bool ring_makes_sense(Vcpu& vcpu) {
    calls_.empty_ring();
    return end_if_nonsense(vcpu);
  }
  bool end_if_nonsense(Vcpu& vcpu) {
    if (calls_.nonsense() == nullptr) return true;
    vcpu.shut_down(calls_.nonsense());
    return false;
  }

  LguestCalls calls_{mmu()};
};

}  // namespace

StartResult start_lguest(const Launch& launch) {
  const auto mode = launch.own->make<LguestMode>();
  if (!mode) return std::unexpected("too little memory for shadow tables");
  return start_shadowed(launch, **mode, Tracking::kTold);
}

}  // namespace nopte::hv
