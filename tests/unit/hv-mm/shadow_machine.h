// A machine that runs on shadow tables: guest memory, the shadow MMU, and a processor that walks the shadow.
// And, written apart from the code under test, the walk of the guest's own tables that it is compared with.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "hv-mm/shadow/shadow_mmu.h"

namespace nopte::hv::testing {

// Bits by their manual numbers, not by the format header's names.
inline constexpr u64 kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80, kNx = u64{1} << 63;
inline constexpr u64 kFrames = 0x000f'ffff'ffff'f000;
inline constexpr u64 kHostBase = 0x40000000;
inline constexpr unsigned kPhysicalBits = 40;

struct Translation {
  bool ok = false;
  u64 error = 0;         // !ok
  bool outside = false;  // a table lies outside memory
  u64 physical = 0;      // of the page
  u64 rights = 0;        // kW, kU, kNx
  u64 slots[5] = {};     // guest-physical addresses of the entries, by level
  unsigned leaf = 0;
};

class Memory {
 public:
  static constexpr u64 kAlign = 2 << 20;

  explicit Memory(u64 bytes)
      : bytes_(bytes),
        data_(static_cast<u8*>(std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign))) {
    std::fill_n(data_.get(), bytes, u8{0});
  }
  [[nodiscard]] u8* data() const { return data_.get(); }
  [[nodiscard]] u64 bytes() const { return bytes_; }
  [[nodiscard]] u64 read(u64 address) const {
    u64 value;
    std::copy_n(data_.get() + address, 8, reinterpret_cast<u8*>(&value));
    return value;
  }
  void write(u64 address, u64 value) { std::copy_n(reinterpret_cast<u8*>(&value), 8, data_.get() + address); }

 private:
  struct Free {
    void operator()(u8* p) const { std::free(p); }
  };
  u64 bytes_;
  std::unique_ptr<u8, Free> data_;
};

// A processor's walk of four levels; `reserved_checks` as on a processor with kPhysicalBits and 1 GiB leaves.
inline Translation walk_tables(const Memory& memory, u64 memory_base, u64 root, u64 va, u64 access,
                               bool smep) {
  Translation t;
  u64 address = root & kFrames;
  bool writable = true, user = true, no_execute = false;
  for (unsigned level = 4;; --level) {
    if (address < memory_base || address - memory_base >= memory.bytes()) {
      t.outside = true;
      return t;
    }
    const u64 slot = address + ((va >> (12 + 9 * (level - 1))) & 511) * 8;
    t.slots[level] = slot;
    const u64 entry = memory.read(slot - memory_base);
    if (!(entry & kP)) {
      t.error = access;
      return t;
    }
    u64 reserved = kFrames & ~((u64{1} << kPhysicalBits) - 1);
    const bool leaf = level == 1 || (entry & kPs);
    if (level == 4) reserved |= kPs;
    if (leaf && level == 3) reserved |= 0x3fff'e000;
    if (leaf && level == 2) reserved |= 0x1f'e000;
    if (entry & reserved) {
      t.error = access | 9;
      return t;
    }
    writable = writable && (entry & kW);
    user = user && (entry & kU);
    no_execute = no_execute || (entry & kNx);
    if (leaf) {
      const u64 inside = (u64{1} << (12 + 9 * (level - 1))) - 1;
      t.leaf = level;
      t.physical = ((entry & kFrames & ~inside) | (va & inside)) & ~u64{4095};
      break;
    }
    address = entry & kFrames;
  }
  t.rights = (writable ? kW : 0) | (user ? kU : 0) | (no_execute ? kNx : 0);
  const bool refused = ((access & 2) && !writable) || ((access & 4) && !user) ||
                       ((access & 16) && (no_execute || (smep && user && !(access & 4))));
  if (refused) {
    t.error = access | 1;
    return t;
  }
  t.ok = true;
  return t;
}

class ShadowMachine {
 public:
  ShadowMachine(u64 guest_frames, u32 tables, u64 spare_nodes = 4096, Tracking tracking = Tracking::kTrapped)
      : guest_(guest_frames * 4096),
        pool_(u64{tables} * 4096),
        metadata_((ShadowTables::metadata_bytes(guest_frames, tables) + spare_nodes * 8 + 7) / 8, u64{0}) {
    const GuestMemory memory{guest_.data(), pt::PhysAddr(kHostBase), guest_frames};
    const ShadowPool pool{pool_.data(),
                          pt::PhysAddr(pool_base()),
                          tables,
                          {reinterpret_cast<u8*>(metadata_.data()), metadata_.size() * 8}};
    EXPECT_TRUE(mmu.init(memory, pool, {.physical_bits = kPhysicalBits, .giant_pages = true}, tracking));
  }

  [[nodiscard]] static u64 pool_base() { return 0x1'0000'0000; }
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
    return walk_tables(pool_, pool_base(), host_root_, va, access, smep);
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
          if (decodable) {
            EXPECT_TRUE(mmu.store(fault.gpa, value, bytes));
            result.end = Access::End::kStoreEmulated;
            return result;
          }
          mmu.release(fault.gpa);
          break;
        case Outcome::kResolved:
          break;
      }
    }
    ADD_FAILURE() << "no progress at " << std::hex << va;
    return result;
  }

  ShadowMmu mmu;
  bool smep = false;

 private:
  Memory guest_;
  Memory pool_;
  std::vector<u64> metadata_;
  u64 host_root_ = 0;
  u64 cr3_ = 0;
};

}  // namespace nopte::hv::testing
