// MmOps: everything that the guest kernel can ask of whoever owns paging, as one small table of
// VMA-level operations. There are no page tables, frames or physical addresses here. One backend is
// chosen at boot: hypercalls (mode vma) or the translation layer (every other mode).
//
// Concurrency: one CPU, called with the guest kernel's lock discipline (non-preemptible kernel).
// Ranges are page-aligned, half-open, non-empty. User ranges lie in kUserRange; in the kernel space only
// kWindowRange may be mapped by region calls.
//
// The caller keeps the promised list: it prepares its own change (allocates), calls, and commits. When an
// operation fails, nothing has changed unless the text says otherwise.
#pragma once

#include "pvops/region_spec.h"

namespace nopte {

inline constexpr VaRange kUserRange{Gva{0x1'0000}, Gva{0x7fff'ffff'0000}};
// Kernel windows: objects mapped into the kernel space so that the kernel can read and write them.
inline constexpr VaRange kWindowRange{Gva{0xffff'c000'0000'0000}, Gva{0xffff'c080'0000'0000}};
// Committed kernel memory, handed out by kmem_alloc.
inline constexpr VaRange kKmemRange{Gva{0xffff'd000'0000'0000}, Gva{0xffff'd080'0000'0000}};
// The guest kernel's image is linked here.
inline constexpr VaRange kImageRange{Gva{0xffff'ffff'8000'0000}, Gva{0xffff'ffff'c000'0000}};

enum class Advice : u32 {
  kDontNeed = 0,  // drop what is installed: anonymous memory reads zero again, private copies are lost
  kWillNeed = 1,  // install for reading what can be had; a shortage is not an error
  kPopulate = 2,  // install for writing where the region allows it; kNoMemory leaves a prefix installed
};

struct MemoryInfo {
  u64 total_pages;
  u64 free_pages;
};

struct MmOps {
  const char* name;

  // A space without regions. `promised` is asked at faults by a backend that keeps no copy; it must
  // outlive the space. Errors: kNoMemory, kLimit.
  Result<SpaceId> (*space_create)(const RegionSource& promised);
  // A copy of `parent` with equal promises: private pages are shared copy-on-write, shared object pages
  // are found again by faults. Errors: kNoMemory, kLimit; the parent is then as before (it may have lost
  // write rights that faults give back).
  Result<SpaceId> (*space_clone)(SpaceId parent, const RegionSource& promised);
  // Frees all that the space holds. Precondition: not the active space. Cannot fail.
  void (*space_destroy)(SpaceId space);
  // Makes `space` (or kKernel) the one that user addresses mean.
  void (*space_activate)(SpaceId space);

  // Declares a region; installs nothing. Errors: kNoMemory, kOverlap, kInvalid.
  Result<void> (*region_map)(SpaceId space, const RegionSpec& region);
  // Withdraws every promise in `range` and all that is installed there; holes are allowed. Errors:
  // kNoMemory (a split could not be recorded).
  Result<void> (*region_unmap)(SpaceId space, VaRange range);
  // Gives all of `range` the rights `perm`. Errors: kNoMemory, kNoRegion (a hole).
  Result<void> (*region_protect)(SpaceId space, VaRange range, Perm perm);
  // Moves the promises and pages of `from` to the equally long free range that begins at `to`; the two do
  // not overlap; `from` lies in one region. Errors: kNoMemory, kNoRegion, kOverlap.
  Result<void> (*region_move)(SpaceId space, VaRange from, Gva to);
  // Holes are skipped. Errors: kNoMemory (kPopulate only).
  Result<void> (*region_advise)(SpaceId space, VaRange range, Advice advice);

  // An object of `pages` zero pages that have no memory yet. `mappings` as `promised` above.
  // Errors: kNoMemory, kLimit.
  Result<ObjectId> (*object_create)(u64 pages, const ObjectMappings& mappings);
  // Shrinking frees the pages past the end and takes them out of every mapping, private copies too.
  // Errors: kNoMemory (growing).
  Result<void> (*object_resize)(ObjectId object, u64 pages);
  // Errors: kBusy while a region shows it.
  Result<void> (*object_destroy)(ObjectId object);

  // `pages` committed zero pages of kernel memory, never faulting; rounded up to chunks of 16 pages.
  // Errors: kNoMemory.
  Result<Gva> (*kmem_alloc)(u64 pages);
  // Gives back what one kmem_alloc call returned, with the same number of pages.
  void (*kmem_free)(Gva base, u64 pages);

  MemoryInfo (*memory_info)();
};

// The chosen backend. Set once at boot before any other use.
extern const MmOps* g_mm_ops;
inline const MmOps& mm_ops() { return *g_mm_ops; }

}  // namespace nopte
