// What a processor does with a control block at VMRUN, as far as its TLB and paging-structure caches go: it
// goes on with the root that is there, and of what it knows under this ASID it forgets what tlb_control says
// and nothing else (APM vol. 2, 15.16). QEMU forgets everything: only here does a flush that is not asked for
// show.
#pragma once

#include "hv-mm/vcpu.h"
#include "pvops/base/panic.h"
#include "tests/model/machine.h"

namespace nopte::model {

inline void enter(Machine& machine, const hv::Vmcb& vmcb) {
  NOPTE_ASSERT(vmcb.asid == hv::Vcpu::kAsid);  // one guest: another ASID would be another TLB
  machine.run_on(PhysAddr(vmcb.cr3));
  switch (vmcb.tlb_control) {
    case hv::kTlbKeep:
      break;
    case hv::kTlbFlushAll:
      machine.flush_everything();
      break;
    default:
      NOPTE_PANIC("tlb_control");
  }
}

}  // namespace nopte::model
