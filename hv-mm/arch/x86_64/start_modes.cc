// The modes that need instructions for the guest's pages, over these.
#include "hv-mm/arch/x86_64/svm.h"
#include "hv-mm/vma/vma_mode.h"
#include "hv-mm/xen/xen_mode.h"
#include "pvops/arch/x86_64/cpu.h"

namespace nopte::hv {
namespace {

// Unnamed, so that all of VmaMode is this file's own: what is called once is inlined, 10% of a fault.
struct PageInstructions {
  static void zero(u8* page) { cpu::rep_stosq(page, 0, kPageBytes / sizeof(u64)); }
  static void copy(u8* to, const u8* from) { cpu::rep_movsq(to, from, kPageBytes / sizeof(u64)); }
  static void forget_page(Gva va, u32 asid) { cpu::invlpga(va.value(), asid); }
};

}  // namespace

StartResult start_vma(const Launch& launch) { return start_vma_with(launch, PageInstructions()); }
StartResult start_xen(const Launch& launch) {
  return start_xen_with(launch, PageInstructions::zero, PageInstructions::copy);
}

}  // namespace nopte::hv
