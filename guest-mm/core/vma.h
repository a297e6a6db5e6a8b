// What the guest keeps of a VMA beside its RegionSpec: flags in the region tree's tag, and the file behind
// it.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "pvops/regions/region_tree.h"

namespace nopte::guest {

// Tag bits of a region in an address space. Regions with different bits do not merge.
enum VmaFlag : u32 {
  kVmaGrowsDown = 1 << 0,    // a stack: faults right below it extend it
  kVmaNoWrite = 1 << 1,      // a shared mapping of a file that is not open for writing: never writable
  kVmaNoReserve = 1 << 2,    // not counted against total memory
  kVmaDontFork = 1 << 3,     // a clone is without it
  kVmaWipeOnFork = 1 << 4,   // a clone has it empty
  kVmaDontDump = 1 << 5,     // core files are without its contents
  kVmaLocked = 1 << 6,       // mlock
  kVmaLockOnFault = 1 << 7,  // beside kVmaLocked: what is not touched need not be there
  kVmaSealed = 1 << 8,       // mseal: neither unmapped nor moved, nor given other rights
  kVmaGuard = 1 << 9,        // MADV_GUARD_INSTALL: has no rights now, and keeps in the tag which it had
};
// What a guard's rights are once it is none.
inline constexpr u32 kVmaGuardShift = 10;
inline constexpr u32 kVmaGuardMask = kVmaGuard | u32{Perm::kAll} << kVmaGuardShift;
inline constexpr u32 kVmaSecret = u32{1} << 13;  // memfd_secret: for the space's own accesses alone
// How many forks before its mapping, modulo their number: what a clone maps does not join what it inherited,
// as Linux keeps apart what has another anon_vma. Of private memory without a file that may be written.
inline constexpr u32 kVmaFork = u32{1} << 14;
inline constexpr u32 kVmaForkMask = u32{0x3ff} * kVmaFork;
// mbind's word, for get_mempolicy to tell again: five bits of the policy, and whether it named the node.
inline constexpr u32 kVmaPolicyShift = 24;
inline constexpr u32 kVmaPolicyMask = u32{0x3f} << kVmaPolicyShift;
inline constexpr u32 kVmaLockFlags = kVmaLocked | kVmaLockOnFault;
// What a clone has to look after.
inline constexpr u32 kVmaForkFlags = kVmaDontFork | kVmaWipeOnFork | kVmaLockFlags;

// Whether Linux counts such a mapping against memory.
constexpr bool counts_against_memory(Sharing sharing, Perm perm, u32 flags) {
  return sharing == Sharing::kPrivate && perm.write() && (flags & kVmaNoReserve) == 0;
}

// Whether RLIMIT_DATA counts it.
constexpr bool is_data(Sharing sharing, Perm perm, u32 flags) {
  return sharing == Sharing::kPrivate && perm.write() && (flags & kVmaGrowsDown) == 0;
}

// One VMA, as /proc/self/maps shows it.
struct Vma {
  VaRange range;
  Perm perm;
  Sharing sharing;
  Usage usage;
  u32 flags;             // VmaFlag
  u64 offset_bytes;      // in the file
  MemoryObject* object;  // null for anonymous memory
};

constexpr Perm guarded_perm(u32 flags) { return Perm(static_cast<u8>(flags >> kVmaGuardShift & Perm::kAll)); }

// Every list of an address space's tree is a MemoryObject.
inline MemoryObject* object_of(const RegionNode& node) {
  return static_cast<MemoryObject*>(node.object_list);
}

inline Vma vma_of(const RegionNode& node) {
  MemoryObject* const object = object_of(node);
  const u64 page = object != nullptr ? object->page_of_own(node.spec.object_page) : 0;
  return {node.spec.range,      node.spec.perm, node.spec.sharing, node.spec.usage, node.tag,
          pages_to_bytes(page), object};
}

}  // namespace nopte::guest
