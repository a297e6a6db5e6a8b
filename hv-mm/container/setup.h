// The container's part of a control block: what always exits, in every mode.
#pragma once

#include <span>

#include "hv-mm/container/msr_policy.h"
#include "hv-mm/vcpu.h"

namespace nopte::hv {

// The two bitmaps, physically contiguous, page-aligned.
struct alignas(4096) PermissionBitmaps {
  u8 ports[kPortBitmapBytes];
  u8 msrs[kMsrBitmapBytes];
};

// Zeroes the control block and fills the bitmaps; sets the intercepts of every mode (intercepts.def), ports
// and MSRs by bitmap; everything about paging (CR3, #PF, INVLPG, nested paging) is left to the mode.
void set_up_container(Vcpu& vcpu, PermissionBitmaps& bitmaps, u64 bitmaps_physical);

// Who takes #PF first.
enum class PageFaults : u8 { kHypervisor, kGuest };
// For modes whose tables are not the guest's alone: the intercepts of scope kPaging, and kPageFaults where
// the hypervisor takes it.
void intercept_paging(Vcpu& vcpu, PageFaults faults = PageFaults::kHypervisor);

}  // namespace nopte::hv
