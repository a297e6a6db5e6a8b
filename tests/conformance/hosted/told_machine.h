// A processor that runs on a told shadow of the guest's tables, with a TLB that forgets only when it must,
// and the exits that this costs.
#pragma once

#include <unordered_map>
#include <vector>

#include "hv-mm/shadow/shadow_mmu.h"
#include "native-fallback/format/x86_64_4level.h"
#include "pvops/base/panic.h"
#include "tests/support/table_walk.h"

namespace nopte::conformance {

class ToldMachine {
 public:
  static constexpr u64 kFrames = 3000;  // of the guest
  // Pages below are not the guest's pool: one is what it shares with the hypervisor.
  static constexpr u64 kFirstPoolFrame = 16;
  static constexpr u64 kSharedFrame = 1;

  ToldMachine() : metadata_(metadata_words()) {
    const hv::GuestMemory memory{guest.data(), pt::PhysAddr(hv::testing::kHostBase), kFrames};
    const hv::ShadowPool tables{pool_.data(),
                                pt::PhysAddr(hv::testing::kPoolBase),
                                kTables,
                                {reinterpret_cast<u8*>(metadata_.data()), metadata_.size() * sizeof(u64)}};
    NOPTE_ASSERT(mmu.init(memory, tables, {.physical_bits = hv::testing::kPhysicalBits, .giant_pages = true},
                          hv::Tracking::kTold));
  }

  // After whatever the hypervisor did at an exit.
  void exit_ends() {
    ++exits;
    if (mmu.take_flush()) tlb_.clear();
  }
  // The processor's own CR3, INVLPG and CR4, all intercepted.
  void load_root(pt::PhysAddr root) {
    NOPTE_ASSERT(mmu.set_root(root.value()));
    exit_ends();
    forget_user();
  }
  void flush_page(Gva va) {
    mmu.invlpg(va);
    exit_ends();
    tlb_.erase(va.page());
  }
  void flush_everything() {
    mmu.flush();
    exit_ends();
    tlb_.clear();
  }
  // A root that was loaded by a call.
  void forget_user() {
    std::erase_if(tlb_, [](const auto& item) { return item.first < kKernelPage; });
  }

  // One access, up to a fault that is the guest's: nothing. before_fault: at each exit, first.
  template <class BeforeFault>
  std::optional<u8*> access(Gva va, u64 kind, BeforeFault before_fault) {
    constexpr int kMostExits = 6;
    for (int tries = 0; tries < kMostExits; ++tries) {
      if (const auto known = tlb_.find(va.page()); known != tlb_.end()) {
        if (allows(known->second.rights, kind)) return byte(known->second.physical, va);
        tlb_.erase(known);
      }
      const auto shown = walk(va, kind);
      if (shown.ok) {
        tlb_[va.page()] = {shown.physical, shown.rights};
        continue;
      }
      before_fault();
      const hv::ShadowMmu::Fault fault = mmu.on_page_fault(va, shown.error);
      exit_ends();
      if (fault.outcome == hv::ShadowMmu::Fault::Outcome::kReflect) return std::nullopt;
      NOPTE_ASSERT(fault.outcome == hv::ShadowMmu::Fault::Outcome::kResolved);
    }
    NOPTE_PANIC("an access makes no progress");
  }

  const char* broken() {
    mmu.tables().check_invariants();
    for (const auto& [page, known] : tlb_) {
      const auto now = walk(Gva(page << kPageShift), 0);
      if (!now.ok || now.physical != known.physical) return "a TLB holds what is not shown any more";
    }
    return nullptr;
  }

  hv::testing::Memory guest{kFrames * kPageBytes};
  hv::ShadowMmu mmu;
  u64 exits = 0;

 private:
  static constexpr u32 kTables = 1024;
  static constexpr u64 kKernelPage = u64{1} << 51;  // of canonical addresses
  struct Known {
    u64 physical;
    u64 rights;
  };

  static u64 metadata_words() {
    constexpr u64 kNodes = 4096;
    return (hv::ShadowTables::metadata_bytes(kFrames, kTables) + kNodes * sizeof(hv::RefPool::Node)) / 8 + 1;
  }
  static bool allows(u64 rights, u64 kind) {
    using namespace hv::testing;
    return (!(kind & 2) || (rights & kW)) && (!(kind & 4) || (rights & kU)) &&
           (!(kind & 16) || !(rights & kNx));
  }
  hv::testing::Translation walk(Gva va, u64 kind) {
    return hv::testing::walk_tables(pool_, hv::testing::kPoolBase, mmu.host_root().value(), va.value(), kind,
                                    false);
  }
  u8* byte(u64 physical, Gva va) const {
    return guest.data() + (physical - hv::testing::kHostBase) + va.page_offset();
  }

  hv::testing::Memory pool_{u64{kTables} * kPageBytes};
  std::vector<u64> metadata_;
  std::unordered_map<u64, Known> tlb_;
};

}  // namespace nopte::conformance
