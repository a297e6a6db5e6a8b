#include "tests/model/vma_kind.h"

#include "hv-mm/vma/vma_mode.h"
#include "tests/model/entry.h"

namespace nopte::model {
namespace {

struct ModelInstructions {
  Machine* machine;
  static void zero(u8* page) { std::memset(page, 0, kPageBytes); }
  static void copy(u8* to, const u8* from) { std::memcpy(to, from, kPageBytes); }
  void forget_page(Gva va, u32 asid) const { machine->invlpga(va, asid); }
};

}  // namespace

hv::StartResult start_vma_on(const hv::Launch& launch, Machine* machine) {
  return hv::start_vma_with(launch, ModelInstructions{machine});
}

VmaGuest::VmaGuest(u64 frames, std::span<const u8> initramfs, u64 hidden_features, u32 asids)
    : memory_(kFirstFrame, frames, kOwnFrames + kTraceFrames),
      launched_(reinterpret_cast<u8*>(memory_.direct_base()),
                {memory_.range().begin.address().value(), pages_to_bytes(frames)},
                {memory_.range().end.address().value(), pages_to_bytes(kOwnFrames)}, kImagePhysical) {
  const Frame traces = memory_.range().end + kOwnFrames;
  leave_traces(machine_, memory_.alias(traces), traces.address().value(), asids);
  launched_.host.asids = asids;
  launched_.launch.initramfs = initramfs;
  launched_.launch.options.offer.hidden_features = hidden_features;
  const auto mode = start_vma_on(launched_.launch, &machine_);
  NOPTE_ASSERT(mode);
  mode_ = *mode;
  machine_.intercept_page_faults(*this);
  enter(machine_, vmcb());
}

hv::CallResult VmaGuest::call(u64 number, const abi::Registers& arguments) {
  const GuestExit exit(machine_, launched_.vcpu);
  ++exits;
  return mode_->on_memory_call(launched_.vcpu, number, arguments);
}

bool VmaGuest::on_page_fault(Gva va, u64 error_code) {
  const GuestExit exit(machine_, launched_.vcpu);
  ++exits;
  mode_->on_page_fault(launched_.vcpu, va, error_code);
  const u64 event = std::exchange(vmcb().event_injection, 0);
  if (event == 0) return true;
  constexpr u64 kPageFaultEvent = hv::kEventValid | hv::kEventHasError |
                                  u64{static_cast<u8>(hv::EventType::kException)} << hv::kEventTypeShift |
                                  hv::kVectorPageFault;
  NOPTE_ASSERT((event & 0xffff'ffff) == kPageFaultEvent);
  fault = {Gva(vmcb().cr2), event >> 32};
  return false;
}

}  // namespace nopte::model
