// KVM's paravirtual MMU, the hypervisor's side: decode -> check -> perform. A call that is refused has
// changed nothing. Work per call is bounded by the buffer's slots and by ShadowTables::kMostReaped: tables
// that go are out of use at once, and emptied a few per exit. Hosted: yes. Concurrency: one vCPU, stopped.
// Interface: pvops/interfaces/kvm_pv.h.
#pragma once

#include "hv-mm/mode_handler.h"
#include "hv-mm/shadow/told/told_mmu.h"
#include "pvops/interfaces/kvm_pv.h"

namespace nopte::hv {

class KvmPvCalls {
 public:
  explicit KvmPvCalls(ToldMmu& mmu) : mmu_(mmu) {}

  // A write to kBufferMsr. Errors: kInvalid (reserved bits, not in guest memory): as before.
  Result<void> set_buffer(u64 value);
  // The call of this number (without the tag).
  CallResult call(u64 number, const abi::Registers& arguments);

  struct Counters {
    u64 set_ptes = 0;
    u64 release_pts = 0;
    u64 entries_told = 0;
    u64 refused = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  CallResult set_ptes(u64 first, u64 count, u64 flags);
  CallResult release_pt(u64 gpa);
  CallResult refuse(Status status, u64 error) {
    ++counters_.refused;
    return {status, error};
  }

  ToldMmu& mmu_;
  const u8* buffer_ = nullptr;
  Counters counters_;
};

}  // namespace nopte::hv
