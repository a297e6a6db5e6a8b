// Page tables as a processor walks them, in memory that is a plain array: written apart from the code under
// test, by the manual's numbers. For tests of the shadow MMU: guest memory, the shadow's tables.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "pvops/base/types.h"

namespace nopte::hv::testing {

// Bits by their manual numbers, not by the format header's names.
inline constexpr u64 kP = 1, kW = 2, kU = 4, kA = 0x20, kD = 0x40, kPs = 0x80, kNx = u64{1} << 63;
inline constexpr u64 kFrames = 0x000f'ffff'ffff'f000;
inline constexpr u64 kHostBase = 0x4000'0000;    // host-physical address of a guest's memory
inline constexpr u64 kPoolBase = 0x1'0000'0000;  // and of the shadow's tables
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

// Of a present entry, on a processor with kPhysicalBits and 1 GiB leaves.
inline u64 reserved_bits(u64 entry, unsigned level) {
  u64 reserved = kFrames & ~((u64{1} << kPhysicalBits) - 1);
  const bool leaf = level == 1 || (entry & kPs);
  if (level == 4) reserved |= kPs;
  if (leaf && level == 3) reserved |= 0x3fff'e000;
  if (leaf && level == 2) reserved |= 0x1f'e000;
  return reserved;
}

// A processor's walk of four levels.
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
    const bool leaf = level == 1 || (entry & kPs);
    if (entry & reserved_bits(entry, level)) {
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

}  // namespace nopte::hv::testing
