#include "hv-mm/container/setup.h"

#include <cstring>

namespace nopte::hv {

void set_up_container(Vcpu& vcpu, PermissionBitmaps& bitmaps, u64 bitmaps_physical) {
  std::memset(bitmaps.ports, 0xff, sizeof(bitmaps.ports));
  fill_msr_bitmap(bitmaps.msrs);

  Vmcb& v = vcpu.vmcb();
  std::memset(&v, 0, sizeof(v));
  v.intercept_cr_write = 1 << 0 | 1 << 4 | 1 << 8;
  v.intercept_cr_read = 1 << 8;
  v.intercept_dr_write = 0xffff;
  v.intercept_exceptions = 1u << kVectorDebug | 1u << kVectorAlignmentCheck | 1u << kVectorMachineCheck;
  v.intercept_misc1 = kInterceptIntr | kInterceptNmi | kInterceptSmi | kInterceptInit | kInterceptRdpmc |
                      kInterceptCpuid | kInterceptInvd | kInterceptHlt | kInterceptInvlpga | kInterceptIo |
                      kInterceptMsr | kInterceptTaskSwitch | kInterceptShutdown;
  v.intercept_misc2 = kInterceptVmrun | kInterceptVmmcall | kInterceptVmload | kInterceptVmsave |
                      kInterceptStgi | kInterceptClgi | kInterceptSkinit | kInterceptWbinvd |
                      kInterceptMonitor | kInterceptMwait | kInterceptMwaitArmed | kInterceptXsetbv;
  v.iopm_base = bitmaps_physical + offsetof(PermissionBitmaps, ports);
  v.msrpm_base = bitmaps_physical + offsetof(PermissionBitmaps, msrs);
  v.asid = Vcpu::kAsid;
  v.tlb_control = kTlbFlushAll;
  v.virtual_interrupt = kVirqMasking;
}

void intercept_paging(Vcpu& vcpu, PageFaults faults) {
  Vmcb& v = vcpu.vmcb();
  v.intercept_cr_write |= 1 << 3;
  v.intercept_cr_read |= 1 << 0 | 1 << 3;
  if (faults == PageFaults::kHypervisor) v.intercept_exceptions |= 1u << kVectorPageFault;
  v.intercept_misc1 |= kInterceptInvlpg;
}

}  // namespace nopte::hv
