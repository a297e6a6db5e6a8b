// Builds four-level tables for linear ranges once, at boot: the hypervisor's own map, and nested tables.
#pragma once

#include "hv-mm/boot/boot_memory.h"
#include "native-fallback/format/x86_64_4level.h"
#include "native-fallback/tables/entry.h"

namespace nopte::hv {

class LinearMap {
 public:
  // Levels whose entries can be leaves: 4 KiB and 2 MiB.
  enum class Leaf : u8 { kPage = 1, kLarge = 2 };
  static constexpr u64 leaf_bytes(Leaf size) { return pt::entry_bytes(static_cast<unsigned>(size)); }

  // Errors: kNoMemory.
  [[nodiscard]] static Result<LinearMap> create(BootMemory& memory, pt::Privilege privilege);

  // Maps [va, va + bytes) to [physical, ...) by `leaf`, whose frame is replaced. All multiples of the leaf's
  // size; leaves of that size that were there are replaced; nothing else may be mapped there. Errors:
  // kNoMemory; a prefix may then be mapped.
  [[nodiscard]] Result<void> map(u64 va, u64 physical, u64 bytes, pt::Entry leaf, Leaf size = Leaf::kLarge);

  [[nodiscard]] u64 root() const { return root_; }  // physical

 private:
  LinearMap(BootMemory& memory, pt::Privilege privilege, u64 root)
      : memory_(&memory), privilege_(privilege), root_(root) {}

  BootMemory* memory_;
  pt::Privilege privilege_;
  u64 root_;
};

}  // namespace nopte::hv
