// How physical memory is split: one contiguous, 2 MiB aligned range for the guest, the rest of the chosen RAM
// span for the hypervisor. The guest's range is put at the top of its span, so that the hypervisor's own lies
// between its image and the guest.
#pragma once

#include <span>

#include "pvops/arch/x86_64/pvh_info.h"
#include "pvops/base/result.h"

namespace nopte::hv {

struct MemoryPlan {
  PhysicalSpan guest;
  PhysicalSpan own;      // free for the hypervisor; page-aligned
  u64 physical_end = 0;  // end of the highest RAM span
};

// `image` is the hypervisor's own image; the module may lie anywhere and has to be copied to `own` when it
// overlaps the guest's range. The error is a message for the user.
std::expected<MemoryPlan, const char*> plan_memory(std::span<const PhysicalSpan> ram, PhysicalSpan image,
                                                   u64 module_bytes, u64 guest_bytes);

}  // namespace nopte::hv
