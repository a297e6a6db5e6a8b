#include "hv-mm/container/setup.h"

#include <cstring>

#include "hv-mm/container/intercepts.h"

namespace nopte::hv {
namespace {

void set_intercepts(Vmcb& v, InterceptScope scope) {
  using enum InterceptWord;
  v.intercept_cr_read |= static_cast<u16>(intercept_mask(kCrRead, scope));
  v.intercept_cr_write |= static_cast<u16>(intercept_mask(kCrWrite, scope));
  v.intercept_dr_read |= static_cast<u16>(intercept_mask(kDrRead, scope));
  v.intercept_dr_write |= static_cast<u16>(intercept_mask(kDrWrite, scope));
  v.intercept_exceptions |= intercept_mask(kExceptions, scope);
  v.intercept_misc1 |= intercept_mask(kMisc1, scope);
  v.intercept_misc2 |= intercept_mask(kMisc2, scope);
  v.intercept_misc3 |= intercept_mask(kMisc3, scope);
}

}  // namespace

void set_up_container(Vcpu& vcpu, PermissionBitmaps& bitmaps, u64 bitmaps_physical) {
  std::memset(bitmaps.ports, 0xff, sizeof(bitmaps.ports));
  fill_msr_bitmap(bitmaps.msrs);

  Vmcb& v = vcpu.vmcb();
  std::memset(&v, 0, sizeof(v));
  set_intercepts(v, InterceptScope::kAlways);
  v.iopm_base = bitmaps_physical + offsetof(PermissionBitmaps, ports);
  v.msrpm_base = bitmaps_physical + offsetof(PermissionBitmaps, msrs);
  v.asid = Vcpu::kAsid;
  v.tlb_control = kTlbFlushAll;
  v.virtual_interrupt = kVirqMasking;
}

void intercept_paging(Vcpu& vcpu, PageFaults faults) {
  set_intercepts(vcpu.vmcb(), InterceptScope::kPaging);
  if (faults == PageFaults::kHypervisor) set_intercepts(vcpu.vmcb(), InterceptScope::kPageFaults);
}

}  // namespace nopte::hv
