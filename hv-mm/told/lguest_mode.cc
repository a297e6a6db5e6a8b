// Mode lguest: the guest has page tables of its own and says by lguest's calls, or in its ring, what it did
// to them.
#include "hv-mm/told/lguest_calls.h"
#include "hv-mm/told/queue_mode.h"

namespace nopte::hv {
namespace {

class LguestMode final : public QueueMode<LguestCalls, abi::Interface::kLguest> {
 public:
  static constexpr const char* kName = "lguest";
  static constexpr u64 kFeature = abi::kFeatureLguest;

  [[nodiscard]] const char* name() const override { return kName; }
  [[nodiscard]] u64 features() const override { return kFeature; }
  void write_counters(JsonWriter& json) const override {
    ShadowMode::write_counters(json);
    const LguestCalls::Counters& c = calls().counters();
    json.member("lguest_calls", c.calls);
    json.member("ring_calls", c.ring_calls);
    json.member("entries_told", c.entries_told);
    json.member("told_refused", c.refused);
  }
};

}  // namespace

StartResult start_lguest(const Launch& launch) { return start_told<LguestMode>(launch); }

}  // namespace nopte::hv
