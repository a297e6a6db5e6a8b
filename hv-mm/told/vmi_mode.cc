// Mode vmi: the guest has page tables of its own and writes them through VMI, whose ROM is the translation
// layer's teller.
#include "hv-mm/shadow/shadow_mode.h"
#include "hv-mm/told/vmi_calls.h"

namespace nopte::hv {
namespace {

class VmiMode final : public ShadowMode {
 public:
  [[nodiscard]] const char* name() const override { return "vmi"; }
  [[nodiscard]] u64 features() const override { return abi::kFeatureVmi; }

  // What is queued comes before whatever looks at the guest's tables.
  void on_page_fault(Vcpu& vcpu, Gva va, u64 error_code) override {
    calls_.drain();
    ShadowMode::on_page_fault(vcpu, va, error_code);
  }
  Result<void> write_cr3(Vcpu& vcpu, u64 value) override {
    calls_.drain();
    return ShadowMode::write_cr3(vcpu, value);
  }
  void on_control_changed(Vcpu& vcpu) override {
    calls_.drain();
    ShadowMode::on_control_changed(vcpu);
  }
  void on_invlpg(Vcpu& vcpu, Gva va) override {
    calls_.drain();
    ShadowMode::on_invlpg(vcpu, va);
  }
  CallResult on_memory_call(Vcpu& vcpu, u64 number, const abi::Registers& arguments) override {
    if (!abi::is_of(number, abi::Interface::kVmi)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    vcpu.vmcb().cr3 = mmu().host_root().value();
    flush_if_needed(vcpu);
    return result;
  }
  void write_counters(JsonWriter& json) const override {
    ShadowMode::write_counters(json);
    const VmiCalls::Counters& c = calls_.counters();
    json.member("set_pxes", c.set_pxes);
    json.member("update_pxes", c.update_pxes);
    json.member("allocated_pages", c.allocated_pages);
    json.member("released_pages", c.released_pages);
    json.member("set_cr3s", c.set_cr3s);
    json.member("inval_pages", c.inval_pages);
    json.member("flush_tlbs", c.flush_tlbs);
    json.member("set_lazy_modes", c.set_lazy_modes);
    json.member("queues", c.queues);
    json.member("entries_told", c.entries_told);
    json.member("told_refused", c.refused);
  }

 private:
  VmiCalls calls_{mmu()};
};

}  // namespace

StartResult start_vmi(const Launch& launch) {
  const auto mode = launch.own->make<VmiMode>();
  if (!mode) return std::unexpected("too little memory for shadow tables");
  return start_shadowed(launch, **mode, Tracking::kTold);
}

}  // namespace nopte::hv
