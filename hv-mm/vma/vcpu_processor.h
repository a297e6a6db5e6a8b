// The guest's processor as the engine of mode vma sees it: roots and flushes take effect at the next entry
// (container/guest_tlb.h). Hosted: yes; `Instructions` zeroes and copies a page, and has the processor forget
// one under an ASID (arch/x86_64), which says nothing of the way there (TlbBatch).
#pragma once

#include "hv-mm/container/guest_tlb.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

template <class Instructions>
class VcpuProcessor {
 public:
  VcpuProcessor(Vcpu& vcpu, Host& host, Instructions instructions)
      : tlb_(vcpu, host), instructions_(instructions) {}

  void load_root(pt::PhysAddr root) { tlb_.load_root(root); }
  [[nodiscard]] bool runs(pt::PhysAddr root) const { return tlb_.runs(root); }
  void flush_page(Gva va) { instructions_.forget_page(va, tlb_.asid()); }
  [[gnu::noinline]] void flush_user() { tlb_.flush(); }
  void flush_everything() { tlb_.flush_everything(); }
  [[gnu::noinline]] void forget(pt::PhysAddr root) { tlb_.forget(root); }
  void zero_page(u8* page) { instructions_.zero(page); }
  void copy_page(u8* to, const u8* from) { instructions_.copy(to, from); }

 private:
  GuestTlb tlb_;
  [[no_unique_address]] Instructions instructions_;
};

}  // namespace nopte::hv
