// A machine that runs on shadow tables: guest memory, the shadow MMU, and a processor that walks the shadow.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <vector>

#include "hv-mm/shadow/told/told_mmu.h"
#include "hv-mm/shadow/trapped/trapped_mmu.h"
#include "tests/support/table_walk.h"

namespace nopte::hv::testing {

template <class Mmu>
class MachineOn {
 public:
  MachineOn(u64 guest_frames, u32 tables, u64 spare_nodes = 4096)
      : MachineOn(own_, guest_frames, tables, spare_nodes) {}
  // On a shadow MMU that is somebody's, not used yet.
  MachineOn(Mmu& used, u64 guest_frames, u32 tables, u64 spare_nodes)
      : mmu(used),
        guest_(guest_frames * 4096),
        pool_(u64{tables} * 4096),
        metadata_((ShadowTables::metadata_bytes(guest_frames, tables) + spare_nodes * 8 + 7) / 8, u64{0}) {
    const GuestMemory memory{guest_.data(), pt::PhysAddr(kHostBase), guest_frames};
    const ShadowPool pool{pool_.data(),
                          pt::PhysAddr(kPoolBase),
                          tables,
                          {reinterpret_cast<u8*>(metadata_.data()), metadata_.size() * 8}};
    EXPECT_TRUE(mmu.init(memory, pool, {.physical_bits = kPhysicalBits, .giant_pages = true}));
  }

  Memory& guest() { return guest_; }

  void load_root(u64 cr3) {
    const auto root = mmu.set_root(cr3);
    ASSERT_TRUE(root);
    host_root_ = root->value();
    cr3_ = cr3;
  }
  // Something else than load_root() may have loaded a root.
  void adopt_root() {
    host_root_ = mmu.host_root().value();
    cr3_ = mmu.guest_root();
  }
  [[nodiscard]] u64 cr3() const { return cr3_; }

  Translation shadow_walk(u64 va, u64 access) const {
    return walk_tables(pool_, kPoolBase, host_root_, va, access, smep);
  }
  Translation guest_walk(u64 va, u64 access) const { return walk_tables(guest_, 0, cr3_, va, access, smep); }

  struct Access {
    enum class End { kDone, kReflected, kOutside, kStoreEmulated } end = End::kDone;
    u64 error = 0;
    u64 gpa = 0;  // kDone
    unsigned exits = 0;
    bool from_fault = false;
    Translation shadow;  // kDone
  };

  // One access, to its end. A store to a shadowed table is executed through store(), or the table is
  // released.
  Access access(u64 va, u64 kind, u64 value = 0, unsigned bytes = 0, bool decodable = true) {
    Access result;
    for (int tries = 0; tries < 6; ++tries) {
      const Translation t = shadow_walk(va, kind);
      EXPECT_FALSE(t.outside) << "the shadow links a table that is none of its own";
      if (t.ok) {
        result.shadow = t;
        EXPECT_GE(t.physical, kHostBase);
        EXPECT_LT(t.physical, kHostBase + guest_.bytes()) << "hypervisor memory is mapped";
        result.gpa = t.physical - kHostBase + (va & 4095);
        return result;
      }
      ++result.exits;
      result.from_fault = true;
      const auto fault = mmu.on_page_fault(Gva(va), t.error);
      using Outcome = ShadowMmu::Fault::Outcome;
      switch (fault.outcome) {
        case Outcome::kReflect:
          result.end = Access::End::kReflected;
          result.error = fault.error_code;
          return result;
        case Outcome::kOutside:
          result.end = Access::End::kOutside;
          return result;
        case Outcome::kEmulateStore:
          result.gpa = fault.gpa.value();
          if constexpr (requires { mmu.release(fault.gpa); }) {
            if (decodable) {
              EXPECT_TRUE(mmu.store(fault.gpa, value, bytes));
              result.end = Access::End::kStoreEmulated;
              return result;
            }
            mmu.release(fault.gpa);
          } else {
            ADD_FAILURE() << "a table is protected";
          }
          break;
        case Outcome::kResolved:
          break;
      }
    }
    ADD_FAILURE() << "no progress at " << std::hex << va;
    return result;
  }

  Mmu& mmu;
  bool smep = false;

 private:
  Mmu own_;
  Memory guest_;
  Memory pool_;
  std::vector<u64> metadata_;
  u64 host_root_ = 0;
  u64 cr3_ = 0;
};

using ShadowMachine = MachineOn<TrappedMmu>;
using ToldMachine = MachineOn<ToldMmu>;

}  // namespace nopte::hv::testing
