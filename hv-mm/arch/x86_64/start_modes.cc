// The modes that zero and copy pages of the guest's, over the instructions that do.
#include "hv-mm/arch/x86_64/pages.h"
#include "hv-mm/vma/vma_mode.h"
#include "hv-mm/xen/xen_mode.h"

namespace nopte::hv {

StartResult start_vma(const Launch& launch) { return start_vma_with<PageInstructions>(launch); }
StartResult start_xen(const Launch& launch) {
  return start_xen_with(launch, PageInstructions::zero, PageInstructions::copy);
}

}  // namespace nopte::hv
