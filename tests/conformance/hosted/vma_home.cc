// vma: the guest's own stubs, whose hypercalls reach the mode's dispatch in register form, and which read
// from the violation block why an access was refused.
#include "pvops/abi/region_queue.h"
#include "pvops/guest/arch/x86_64/shared_memory.h"
#include "pvops/guest/hypercall_backend.h"
#include "pvops/guest/hypercalls.h"
#include "tests/conformance/hosted/call_bound.h"
#include "tests/conformance/hosted/touching_home.h"
#include "tests/model/vma_kind.h"

namespace nopte::conformance {
namespace {

enum class Interrupts : u8 { kNone, kPending };

// Pending interrupts are there at every check point.
struct Stop {
  bool operator()() {
    bound.look();
    return interrupts == Interrupts::kPending;
  }
  Interrupts interrupts;
  CallBound bound{};
};

enum class Features : u8 { kAll, kFirst };
constexpr u64 kFirstFeatures = abi::kFeatureMemory | abi::kFeatureResident | abi::kFeatureInstalled;

class VmaHome final : public TouchingHome {
 public:
  VmaHome(Interrupts interrupts, Features features) : stop_{interrupts} {
    guest_.host().stop = [this] { return stop_(); };
    if (features == Features::kFirst) without_residence();
    current = this;
    pv::use_memory_features(features == Features::kAll ? guest_.mode().features() : kFirstFeatures);
    pv::set_violation_block(&guest_.violation());
  }
  ~VmaHome() override { current = nullptr; }
  void set_windows(const RegionSource&) override {}
  const MmOps& ops() override { return pv::hypercall_mm_ops(); }
  [[nodiscard]] u64 exits() const override { return guest_.exits; }
  const char* broken() override {
    if (broken_ != nullptr) return broken_;
    const char* const broken = stop_.bound.broken();
    return broken != nullptr ? broken : TouchingHome::broken();
  }

  pv::HypercallResult call(abi::Call number, const abi::Registers& arguments) {
    stop_.bound.begins();
    const hv::CallResult result = guest_.call(static_cast<u64>(number), arguments);
    stop_.bound.ends(number);
    const bool activates = number == abi::Call::space_activate ||
                           number == abi::Call::space_switch;  // which may stop after that
    if (activates && (result.status == Status::kOk || result.status == Status::kAgain))
      active_ = arguments[0];
    return {result.status, result.value};
  }
  void* kernel_address(u64 va) { return &guest_.kernel<abi::RegionQueue>(va); }
  inline static VmaHome* current = nullptr;

 private:
  static constexpr u64 kFrames = 3000;

  // A hypervisor that does not tell which pages are there is not asked: all may be. The cases want to know.
  void without_residence() {
    pv::use_memory_features(abi::kFeatureMemory);
    const auto there = pv::hypercall_mm_ops().region_resident(SpaceId::kKernel, VaRange::of_pages(Gva(), 64));
    const auto counted =
        pv::hypercall_mm_ops().region_installed(SpaceId::kKernel, VaRange::of_pages(Gva(), 64));
    if (there != ~u64{0} || !counted || counted->pages != 64 || counted->large != 0 || guest_.exits != 0)
      broken_ = "pages are not resident where nobody can say so";
  }
  model::Machine& machine() override { return guest_.machine(); }
  // The hypervisor has taken the fault, so it is a violation.
  ViolationReason fault(Gva va, Access access, pt::Privilege privilege) override {
    const u64 error_code = guest_.fault.error_code;
    const ViolationReason reason = resolve_fault(va.value(), error_code);
    const u64 expected = (reason == ViolationReason::kPermission ? hv::kFaultPresent : 0) |
                         (access == Access::kWrite ? hv::kFaultWrite : 0) |
                         (access == Access::kExec ? hv::kFaultFetch : 0) |
                         (privilege == pt::Privilege::kUser ? hv::kFaultUser : 0);
    if (guest_.fault.cr2 != va || error_code != expected) broken_ = "a page fault tells of another access";
    const abi::ViolationBlock& block = guest_.violation();
    if (block.space != active_ || block.address != va.value()) broken_ = "the violation block is not right";
    return reason;
  }

  Stop stop_;
  model::VmaGuest guest_{kFrames};
  u64 active_ = static_cast<u64>(SpaceId::kKernel);
  const char* broken_ = nullptr;
};

}  // namespace

std::unique_ptr<Home> make_vma_home() { return std::make_unique<VmaHome>(Interrupts::kNone, Features::kAll); }
std::unique_ptr<Home> make_vma_interrupted_home() {
  return std::make_unique<VmaHome>(Interrupts::kPending, Features::kAll);
}
std::unique_ptr<Home> make_vma_first_home() {
  return std::make_unique<VmaHome>(Interrupts::kNone, Features::kFirst);
}

}  // namespace nopte::conformance

nopte::pv::HypercallResult nopte::pv::hosted_vmmcall(abi::Call call, const abi::Registers& arguments) {
  return conformance::VmaHome::current->call(call, arguments);
}

void* nopte::pv::hosted_kernel_address(u64 va) { return conformance::VmaHome::current->kernel_address(va); }
