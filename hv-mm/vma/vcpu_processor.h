// The guest's processor as the engine of mode vma sees it: roots and flushes take effect at the next entry,
// by the control block. Each root runs under an ASID of its own, so a switch flushes nothing. Hosted: yes;
// `Instructions` zeroes and copies a page, and has the processor forget one under an ASID (arch/x86_64).
//
// To flush what runs is to give it another ASID, to flush every root is to give each another. One page is
// flushed by INVLPGA, which says nothing of the way there (TlbBatch).
#pragma once

#include "hv-mm/container/asid_table.h"
#include "hv-mm/vcpu.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

template <class Instructions>
class VcpuProcessor {
 public:
  // `asids`: as AsidTable has it.
  VcpuProcessor(Vcpu& vcpu, u32 asids, Instructions instructions)
      : vmcb_(vcpu.vmcb()), vcpu_(vcpu), instructions_(instructions), asids_(asids) {}

  void load_root(pt::PhysAddr root) {
    vmcb_.cr3 = root.value();
    if (const u32* const asid = asids_.find(root)) [[likely]] {
      vmcb_.asid = *asid;
    } else {
      flush_user();
    }
  }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return vmcb_.cr3 == root.value(); }
  void flush_page(Gva va) { instructions_.forget_page(va, vmcb_.asid); }
  // Under the new ASID nothing is known of the kernel's addresses either.
  [[gnu::noinline]] void flush_user() {
    const AsidTable::Given given = asids_.give(pt::PhysAddr(vmcb_.cr3));
    vmcb_.asid = given.asid;
    if (given.forget_all) vcpu_.flush_tlb_at_entry();
  }
  void flush_everything() {
    asids_.take_all();
    flush_user();
  }
  [[gnu::noinline]] void forget(pt::PhysAddr root) { asids_.take(root); }
  void zero_page(u8* page) { instructions_.zero(page); }
  void copy_page(u8* to, const u8* from) { instructions_.copy(to, from); }

 private:
  Vmcb& vmcb_;  // the vCPU's
  Vcpu& vcpu_;
  [[no_unique_address]] Instructions instructions_;
  AsidTable asids_;
};

}  // namespace nopte::hv
