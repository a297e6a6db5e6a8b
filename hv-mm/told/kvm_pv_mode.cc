// Mode kvmpv: the guest has page tables of its own and reports what it does to them by KVM's paravirtual MMU.
#include "hv-mm/told/kvm_pv_calls.h"
#include "hv-mm/told/told_mode.h"

namespace nopte::hv {
namespace {

class KvmPvMode final : public ToldMode {
 public:
  static constexpr const char* kName = "kvmpv";
  static constexpr u64 kFeature = abi::kFeatureKvmPv;

  [[nodiscard]] const char* name() const override { return kName; }
  [[nodiscard]] u64 features() const override { return kFeature; }

  Result<void> write_msr(u32 msr, u64 value) override {
    return msr == abi::kvmpv::kBufferMsr ? calls_.set_buffer(value) : Fail(Status::kPermission);
  }
  CallResult on_memory_call(Vcpu&, u64 number, const abi::Registers& arguments) override {
    if (!abi::is_of(number, abi::Interface::kKvmPv)) return {Status::kUnsupported, 0};
    const CallResult result = calls_.call(number & 0xffff'ffff, arguments);
    settle();
    return result;
  }
  void write_counters(JsonWriter& json) const override {
    ShadowMode::write_counters(json);
    const KvmPvCalls::Counters& c = calls_.counters();
    json.member("set_ptes", c.set_ptes);
    json.member("release_pts", c.release_pts);
    json.member("entries_told", c.entries_told);
    json.member("told_refused", c.refused);
  }

 private:
  KvmPvCalls calls_{mmu()};
};

}  // namespace

StartResult start_kvmpv(const Launch& launch) { return start_told<KvmPvMode>(launch); }

}  // namespace nopte::hv
