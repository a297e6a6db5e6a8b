// What the processor knows of the guest's tables, from exit to entry, by the control block: the root that it
// goes on with, and what it forgets. Each root runs under an ASID of its own, so a switch flushes nothing.
//
// To flush what runs is tlb_control's "this ASID" where the processor has that (FlushByAsid), else to give it
// another ASID. What does not run loses its ASID, and gets another when it runs again. One page is flushed by
// INVLPGA, which is an instruction, and says nothing of the way there: by the owner, under asid().
//
// Concurrency: its vCPU's. Source: APM vol. 2, 15.16 (TLB control); APM vol. 3, CPUID Fn8000_000A.
#pragma once

#include "hv-mm/container/asid_table.h"
#include "hv-mm/host.h"
#include "hv-mm/vcpu.h"

namespace nopte::hv {

class GuestTlb {
 public:
  enum class FlushByAsid : u8 { kNo, kYes };
  // `asids`: as AsidTable has it.
  GuestTlb(Vcpu& vcpu, u32 asids, FlushByAsid by_asid = FlushByAsid::kNo)
      : vmcb_(vcpu.vmcb()), vcpu_(vcpu), asids_(asids), by_asid_(by_asid) {}
  // What the host's processor has.
  GuestTlb(Vcpu& vcpu, Host& host) : GuestTlb(vcpu, host.cpuid(kSvmFeatures, 0)) {}

  void load_root(pt::PhysAddr root) {
    const u32* const asid = asids_.find(root);
    if (asid == nullptr || vmcb_.tlb_control == kTlbFlushAsid) [[unlikely]]
      return load_slowly(root);
    vmcb_.cr3 = root.value();
    vmcb_.asid = *asid;
  }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return vmcb_.cr3 == root.value(); }
  [[nodiscard]] u32 asid() const { return vmcb_.asid; }

  // Of the root that runs nothing is known any more, of the kernel's addresses neither.
  void flush() {
    if (by_asid_ == FlushByAsid::kNo) return take_new_asid();
    if (vmcb_.tlb_control == kTlbKeep) vmcb_.tlb_control = kTlbFlushAsid;
  }
  // Of all the others.
  void flush_others() { asids_.take_others(pt::PhysAddr(vmcb_.cr3)); }
  void flush_everything() {
    flush_others();
    flush();
  }
  // Of one that does not run.
  void forget(pt::PhysAddr root) { asids_.take(root); }

 private:
  static constexpr u32 kSvmFeatures = 0x8000'000a;
  static constexpr u32 kFlushByAsidFeature = 1u << 6;

  GuestTlb(Vcpu& vcpu, const CpuidLeaf& svm)
      : GuestTlb(vcpu, svm.ebx, (svm.edx & kFlushByAsidFeature) != 0 ? FlushByAsid::kYes : FlushByAsid::kNo) {
  }

  [[gnu::noinline]] void take_new_asid() {
    const AsidTable::Given given = asids_.give(pt::PhysAddr(vmcb_.cr3));
    vmcb_.asid = given.asid;
    if (given.forget_all) vcpu_.flush_tlb_at_entry();
  }
  [[gnu::noinline]] void load_slowly(pt::PhysAddr root) {
    if (vmcb_.tlb_control == kTlbFlushAsid) {
      // Of another root's ASID, that flush would be.
      vmcb_.tlb_control = kTlbKeep;
      forget(pt::PhysAddr(vmcb_.cr3));
    }
    vmcb_.cr3 = root.value();
    if (const u32* const asid = asids_.find(root)) {
      vmcb_.asid = *asid;
    } else {
      take_new_asid();
    }
  }

  Vmcb& vmcb_;  // the vCPU's
  Vcpu& vcpu_;
  AsidTable asids_;
  FlushByAsid by_asid_;
};

}  // namespace nopte::hv
