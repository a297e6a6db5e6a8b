// vma: the guest's own stubs, whose hypercalls reach the hypervisor's dispatch in register form.
#include "hv-mm/vma/vma_memory.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"
#include "tests/conformance/hosted/kind_home.h"
#include "tests/model/vma_kind.h"
#include "tests/support/work_meter.h"

namespace nopte::conformance {
namespace {

enum class Interrupts : u8 { kNone, kPending };

// Pending interrupts are there at every check point, and each call is held to what may lie between two.
class Stop {
 public:
  explicit Stop(Interrupts interrupts) : interrupts_(interrupts) {}
  bool operator()() {
    meter_.look();
    return interrupts_ == Interrupts::kPending;
  }
  void call_begins() { meter_.begin(); }
  void call_ends(abi::Call call) {
    meter_.look();
    const bool to_its_end = call == abi::Call::space_clone || call == abi::Call::region_move;
    NOPTE_ASSERT(to_its_end || meter_.most() <= work::kMostAtOnce);
  }

 private:
  Interrupts interrupts_;
  test::WorkMeter meter_;
};

constexpr u64 kAllFeatures = abi::kFeatureMemory | abi::kFeatureMapFlags;

class VmaHome final : public KindHome<model::VmaInHypervisor> {
 public:
  VmaHome(Interrupts interrupts, u64 features) : stop_(interrupts) {
    vma_.init();
    pv::use_memory_features(features);
    current = this;
  }
  ~VmaHome() override { current = nullptr; }
  void set_windows(const RegionSource&) override {}
  const MmOps& ops() override { return pv::hypercall_mm_ops(); }
  [[nodiscard]] u64 exits() const override { return exits_; }

  pv::HypercallResult call(abi::Call number, const abi::Registers& arguments) {
    ++exits_;
    stop_.call_begins();
    const hv::CallResult result = kind_.exit([&] { return vma_.call(static_cast<u64>(number), arguments); });
    stop_.call_ends(number);
    return {result.status, result.value};
  }
  inline static VmaHome* current = nullptr;

 private:
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    ++exits_;
    const auto resolved = kind_.exit([&] { return vma_.fault(va, access, privilege); });
    return resolved ? ViolationReason::kNone : resolved.error();
  }

  Stop stop_;
  hv::VmaMemory<model::VmaInHypervisor::Sink> vma_{*engine_, kind_.frames, stop_};
  u64 exits_ = 0;
};

}  // namespace

std::unique_ptr<Home> make_vma_home() { return std::make_unique<VmaHome>(Interrupts::kNone, kAllFeatures); }
std::unique_ptr<Home> make_vma_interrupted_home() {
  return std::make_unique<VmaHome>(Interrupts::kPending, kAllFeatures);
}
std::unique_ptr<Home> make_vma_first_home() {
  return std::make_unique<VmaHome>(Interrupts::kNone, abi::kFeatureMemory);
}

}  // namespace nopte::conformance

nopte::pv::HypercallResult nopte::pv::hosted_vmmcall(abi::Call call, const abi::Registers& arguments) {
  return conformance::VmaHome::current->call(call, arguments);
}
