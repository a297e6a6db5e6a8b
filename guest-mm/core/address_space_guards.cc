// AddressSpace: guards within a region (madvise(2), MADV_GUARD_INSTALL of Linux 6.13). Linux has a mark in
// the page table; here a guard is a region without rights whose tag keeps those that it had.
#include "guest-mm/core/address_space.h"

namespace nopte::guest {

namespace {

constexpr u32 tag_of(Perm perm) { return kVmaGuard | u32{perm.bits()} << kVmaGuardShift; }

}  // namespace

Result<void> AddressSpace::install_guard(VaRange part) {
  const RegionNode* const node = tree_.find_node(part.begin);
  if ((node->tag & kVmaGuard) != 0) return {};
  const Perm perm = node->spec.perm;
  NOPTE_TRY(mm_ops().region_advise(id(), part, Advice::kDontNeed));
  NOPTE_TRY(mark(part, kVmaGuardMask, tag_of(perm)));
  if (const auto barred = protect_plain(part, Perm{}); !barred) {
    (void)mark(part, kVmaGuardMask, 0);
    return barred;
  }
  return {};
}

Result<void> AddressSpace::remove_guard(VaRange part) {
  const RegionNode* const node = tree_.find_node(part.begin);
  if ((node->tag & kVmaGuard) == 0) return {};
  NOPTE_TRY(protect_plain(part, guarded_perm(node->tag)));
  return mark(part, kVmaGuardMask, 0);
}

Result<void> AddressSpace::protect_around_guards(VaRange range, Perm perm) {
  Gva reached = range.begin;
  while (reached < range.end) {
    const RegionNode* const node = tree_.find_node(reached);
    if (node == nullptr) return Fail(Status::kNoRegion);
    const VaRange part = node->range().intersect({reached, range.end});
    reached = part.end;
    if ((node->tag & kVmaGuard) == 0) {
      NOPTE_TRY(protect_plain(part, perm));
    } else if (perm.write() && (node->tag & kVmaNoWrite) != 0) {
      return Fail(Status::kPermission);
    } else {
      NOPTE_TRY(mark(part, kVmaGuardMask, tag_of(perm)));
    }
  }
  return {};
}

}  // namespace nopte::guest
