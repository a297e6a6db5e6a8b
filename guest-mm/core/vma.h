// What the guest keeps of a VMA beside its RegionSpec: flags in the region tree's tag, and the file behind
// it.
#pragma once

#include "guest-mm/core/memory_object.h"
#include "pvops/regions/region_tree.h"

namespace nopte::guest {

// Tag bits of a region in an address space. Regions with different bits do not merge.
enum VmaFlag : u32 {
  kVmaGrowsDown = 1 << 0,  // a stack: faults right below it extend it
  kVmaNoWrite = 1 << 1,    // a shared mapping of a file that is not open for writing: never writable
  kVmaNoReserve = 1 << 2,  // not counted against total memory
};

// One VMA, as /proc/self/maps shows it.
struct Vma {
  VaRange range;
  Perm perm;
  Sharing sharing;
  Usage usage;
  u32 flags;                   // VmaFlag
  u64 offset_bytes;            // in the file
  const MemoryObject* object;  // null for anonymous memory
};

// Every list of an address space's tree is a MemoryObject.
inline const MemoryObject* object_of(const RegionNode& node) {
  return static_cast<const MemoryObject*>(node.object_list);
}

inline Vma vma_of(const RegionNode& node) {
  const MemoryObject* const object = object_of(node);
  const u64 page = object != nullptr ? object->page_of_own(node.spec.object_page) : 0;
  return {node.spec.range,      node.spec.perm, node.spec.sharing, node.spec.usage, node.tag,
          pages_to_bytes(page), object};
}

}  // namespace nopte::guest
