// The one processor of a guest kernel that owns its page tables, for the store sink. No PCID: loading a root
// forgets every user translation; kernel translations are global. Source: AMD64 APM vol. 2, 5.5.
#pragma once

#include "native-fallback/frames/phys.h"
#include "pvops/arch/x86_64/cpu.h"

namespace nopte::pt {

class NativeProcessor {
 public:
  void load_root(PhysAddr root) {
    if (root != root_) {
      root_ = root;
      cpu::write_cr3(root.value());
    }
  }
  [[nodiscard]] bool runs(PhysAddr root) const { return root == root_; }
  void flush_page(Gva va) { cpu::invlpg(va.value()); }
  void flush_user() { cpu::write_cr3(root_.value()); }
  void flush_everything() {
    constexpr u64 kGlobalPages = u64{1} << 7;
    const u64 cr4 = cpu::read_cr4();
    cpu::write_cr4(cr4 & ~kGlobalPages);
    cpu::write_cr4(cr4);
  }
  void zero_page(u8* to) { cpu::rep_stosq(to, 0, kPageBytes / sizeof(u64)); }
  void copy_page(u8* to, const u8* from) { cpu::rep_movsq(to, from, kPageBytes / sizeof(u64)); }

 private:
  PhysAddr root_;
};

}  // namespace nopte::pt
