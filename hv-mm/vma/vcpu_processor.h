// The guest's processor as the engine of mode vma sees it: roots and flushes take effect at the next entry,
// by the control block. Hosted: yes; `Pages` is zero() and copy() of a page, by instructions in arch/x86_64.
//
// One page is flushed as everything is: the engine's tables are one guest's, under one ASID, and a refill
// costs less than a second exit would.
#pragma once

#include "hv-mm/vcpu.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

template <class Pages>
class VcpuProcessor {
 public:
  explicit VcpuProcessor(Vcpu& vcpu) : vcpu_(vcpu) {}

  void load_root(pt::PhysAddr root) {
    vcpu_.vmcb().cr3 = root.value();
    vcpu_.flush_tlb_at_entry();
  }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return vcpu_.vmcb().cr3 == root.value(); }
  void flush_page(Gva) { vcpu_.flush_tlb_at_entry(); }
  void flush_user() { vcpu_.flush_tlb_at_entry(); }
  void flush_everything() { vcpu_.flush_tlb_at_entry(); }
  void zero_page(u8* page) { Pages::zero(page); }
  void copy_page(u8* to, const u8* from) { Pages::copy(to, from); }

 private:
  Vcpu& vcpu_;
};

}  // namespace nopte::hv
