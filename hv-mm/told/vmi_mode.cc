// Mode vmi: the guest has page tables of its own and writes them through VMI, whose ROM is the translation
// layer's teller.
#include "hv-mm/told/queue_mode.h"
#include "hv-mm/told/vmi_calls.h"

namespace nopte::hv {
namespace {

class VmiMode final : public QueueMode<VmiCalls, abi::Interface::kVmi> {
 public:
  static constexpr const char* kName = "vmi";
  static constexpr u64 kFeature = abi::kFeatureVmi;

  [[nodiscard]] const char* name() const override { return kName; }
  [[nodiscard]] u64 features() const override { return kFeature; }
  void write_counters(JsonWriter& json) const override {
    ShadowMode::write_counters(json);
    const VmiCalls::Counters& c = calls().counters();
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
};

}  // namespace

StartResult start_vmi(const Launch& launch) { return start_told<VmiMode>(launch); }

}  // namespace nopte::hv
