// MmOps: everything that the guest kernel can ask of whoever owns paging, as one small table of
// VMA-level operations. There are no page tables, frames or physical addresses here. One backend is
// chosen at boot: hypercalls (mode vma) or the translation layer (every other mode).
//
// Concurrency: one CPU, called with the guest kernel's lock discipline (non-preemptible kernel), interrupts
// off. At most 512 pages, 512 tables and index nodes, and 512 regions apart a long operation lets pending
// interrupts in, whose handlers call no operation; space_clone and region_move run to their end.
// Ranges are page-aligned, half-open, non-empty. User ranges lie in kUserRange; in the kernel space only
// kWindowRange may be mapped by region calls.
//
// The caller keeps the promised list: it prepares its own change (allocates), calls, and commits. A backend
// that keeps a list of its own refuses what the caller's list would have refused; one that asks the caller's
// cannot. When an operation fails, nothing has changed unless the text says otherwise. kInvalid: a range that
// is malformed or lies elsewhere, or an id that names nothing.
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
  // How the range will be used, from now on; nothing is installed or dropped.
  kNormal = 3,        // its pattern
  kRandom = 4,        // likewise: nothing comes ahead of a touch
  kSequential = 5,    // likewise: much comes ahead
  kLargeWanted = 6,   // 2 MiB leaves wherever they can be
  kLargeNever = 7,    // none
  kLargeBarred = 8,   // none, whatever the two above say
  kLargeAllowed = 9,  // what they say
};
inline constexpr Advice kLastAdvice = Advice::kLargeAllowed;

// What advice changes in a region's usage; nothing for what is done at once.
constexpr UsageChange usage_change(Advice advice) {
  switch (advice) {
    case Advice::kDontNeed:
    case Advice::kWillNeed:
    case Advice::kPopulate:
      break;
    case Advice::kNormal:
      return {Usage::kPattern, Usage::bits_of(AccessPattern::kNormal)};
    case Advice::kRandom:
      return {Usage::kPattern, Usage::bits_of(AccessPattern::kRandom)};
    case Advice::kSequential:
      return {Usage::kPattern, Usage::bits_of(AccessPattern::kSequential)};
    case Advice::kLargeWanted:
      return {Usage::kLarge, Usage::bits_of(LargeLeaves::kWanted)};
    case Advice::kLargeNever:
      return {Usage::kLarge, Usage::bits_of(LargeLeaves::kNever)};
    case Advice::kLargeBarred:
      return {Usage::kBarred, Usage::kBarred};
    case Advice::kLargeAllowed:
      return {Usage::kBarred, 0};
  }
  return {};
}

// Flags of region_map.
inline constexpr u32 kMapReplace = 1 << 0;
inline constexpr u32 kMapPopulate = 1 << 1;

// Of region_protect. kFromNone: nothing in the range has any right yet.
enum class RightsChange : u8 { kAny, kFromNone };

// Pages that region_resident tells of at once: it answers in one register.
inline constexpr u64 kMostResident = 64;

// How many pages of a range are installed, and how many of these large leaves show.
struct InstalledPages {
  u64 pages = 0;
  u64 large = 0;
};

// Whether region_map has installed ahead what there is memory for.
enum class Populated : u8 { kNo, kYes };

struct MemoryInfo {
  u64 total_pages;
  u64 free_pages;
};

// What a backend offers. The operations, with what they promise, are in mm_ops.def.
struct MmOps {
  const char* name;
#define NOPTE_OP(result, name, parameters, arguments) result(*name) parameters;
#include "pvops/mm_ops.def"
};

// What the kernel calls: mm_ops().region_map(...). In the image these are plain functions, the hypercall
// backend's; when boot chooses another backend, it rewrites every call (guest-mm/arch/x86_64/call_sites.h).
// There is no table to call through, before or after. Hosted builds ask the table of chosen_ops.h.
struct MmCalls {
#define NOPTE_OP(result, name, parameters, arguments) static result name parameters;
#include "pvops/mm_ops.def"
};
constexpr MmCalls mm_ops() { return {}; }

// Resolves a #PF; error_code is the processor's. kNone: the access can be tried again. Called by the guest
// kernel's entry code; its call is bound as those of MmCalls are.
using FaultResolver = ViolationReason (*)(u64 address, u64 error_code);
extern "C" ViolationReason resolve_fault(u64 address, u64 error_code);

}  // namespace nopte
