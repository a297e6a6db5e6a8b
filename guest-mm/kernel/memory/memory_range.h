// What the memory system calls share: ranges as their arguments give them, and walks over what is promised
// there.
#pragma once

#include "guest-mm/core/address_space.h"
#include "guest-mm/kernel/errno.h"
#include "guest-mm/kernel/files/tmpfs/object_zeros.h"
#include "guest-mm/kernel/process/process.h"

namespace nopte::guest {

inline constexpr u64 kUserEnd = kUserRange.end.value();

inline AddressSpace& space() { return *current().space; }

inline i64 answer(Result<void> result) { return result ? 0 : to_errno(result.error()); }

constexpr bool aligned(u64 address) { return (address & kPageMask) == 0; }

// The pages of [start, start + bytes); wraps to 0 bytes when the length overflows, as PAGE_ALIGN does.
constexpr u64 round_up(u64 bytes) { return (bytes + kPageMask) & ~kPageMask; }
constexpr VaRange range_of(u64 start, u64 bytes) { return {Gva{start}, Gva{start + bytes}}; }

// Whether mseal forbids to take away or change any of the range.
inline bool sealed(VaRange range) {
  if (!space().may_have(kVmaSealed)) [[likely]]
    return false;
  for (auto vma = space().at_or_after(range.begin); vma && vma->range.begin < range.end;
       vma = space().at_or_after(vma->range.end)) {
    if ((vma->flags & kVmaSealed) != 0) return true;
  }
  return false;
}

enum class AtHole : u8 { kGoesOn, kStops };

// Visits what is promised in `range`, region by region, as visit(vma, part of the range) -> errno, which may
// change that part. The first error; else ENOMEM if there is a hole (mm/madvise.c, madvise_walk_vmas), at
// once or at the end.
template <class Visit>
i64 for_each_part(AddressSpace& of, VaRange range, Visit visit, AtHole at_hole = AtHole::kGoesOn) {
  Gva reached = range.begin;
  bool hole = false;
  for (auto vma = of.at_or_after(range.begin); vma && vma->range.begin < range.end;
       vma = of.at_or_after(reached)) {
    const VaRange part = vma->range.intersect(range);
    hole = hole || reached < part.begin;
    if (hole && at_hole == AtHole::kStops) break;
    reached = part.end;
    if (const i64 error = visit(*vma, part); error != 0) return error;
    if (range.end <= reached) break;
  }
  return hole || reached < range.end ? -kENOMEM : 0;
}
template <class Visit>
i64 for_each_part(VaRange range, Visit visit, AtHole at_hole = AtHole::kGoesOn) {
  return for_each_part(space(), range, visit, at_hole);
}

// The beginning of a part of a mapping that its object has pages for; empty behind the object's end.
inline VaRange part_with_pages(const Vma& vma, VaRange part) {
  if (vma.object == nullptr) return part;
  const u64 first = (vma.offset_bytes + (part.begin - vma.range.begin)) >> kPageShift;
  const u64 pages = vma.object->pages();
  const u64 there = pages > first ? pages - first : 0;
  return there < part.pages() ? VaRange::of_pages(part.begin, there) : part;
}

inline bool shows_file_privately(const Vma& vma) {
  return vma.object != nullptr && vma.sharing == Sharing::kPrivate;
}
// Holes of the object behind a part of such a mapping become pages, as far as memory goes.
inline void fill_holes(const Vma& vma, VaRange part) {
  const u64 first = (vma.offset_bytes + (part.begin - vma.range.begin)) >> kPageShift;
  files::fill_object_holes(*vma.object, first, part.pages());
}

}  // namespace nopte::guest
