// What a processor does with a control block at VMRUN, as far as its TLB and paging-structure caches go: it
// goes on with the root that is there, and of what it knows under this ASID it forgets what tlb_control says
// and nothing else (APM vol. 2, 15.16). QEMU forgets everything: only here does a flush that is not asked for
// show.
#pragma once

#include "hv-mm/vcpu.h"
#include "tests/model/machine.h"

namespace nopte::model {

inline void enter(Machine& machine, const hv::Vmcb& vmcb) {
  machine.enter(vmcb.asid, PhysAddr(vmcb.cr3), vmcb.tlb_control);
}

// From an exit of the guest to its next entry.
class GuestExit {
 public:
  GuestExit(Machine& machine, hv::Vcpu& vcpu)
      : machine_(machine), vcpu_(vcpu), asid_(vcpu.vmcb().asid), page_flushes_(machine.page_flushes) {
    machine.leave();
    vcpu.collect_events();
  }
  ~GuestExit() { enter(machine_, vcpu_.vmcb()); }
  GuestExit(const GuestExit&) = delete;
  GuestExit& operator=(const GuestExit&) = delete;
  // Something that the guest knew is forgotten, or it runs under another ASID.
  [[nodiscard]] bool forgets() const {
    return vcpu_.vmcb().tlb_control != hv::kTlbKeep || vcpu_.vmcb().asid != asid_ ||
           machine_.page_flushes != page_flushes_;
  }

 private:
  Machine& machine_;
  hv::Vcpu& vcpu_;
  u32 asid_;
  u64 page_flushes_;
};

}  // namespace nopte::model
