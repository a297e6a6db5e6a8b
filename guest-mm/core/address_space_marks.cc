// AddressSpace: what a program says of its regions that only the guest keeps: locked, and what becomes of
// them in a clone.
#include "guest-mm/core/address_space.h"

namespace nopte::guest {

Result<void> AddressSpace::mark(VaRange range, u32 mask, u32 bits) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  if (const VaRange inside = range.intersect(kUserRange); !inside.empty()) {
    auto plan = tree_.prepare_mark(inside, mask, bits);
    if (!plan) return Fail(plan.error());
    if (plan->changes()) {
      if (!may_add(plan->nodes_held(), g_most_regions)) return Fail(Status::kNoMemory);
      seen_flags_ |= bits;
      tree_.commit(*plan);
    }
  }
  return tree_.covered(range) ? Result<void>{} : Fail(Status::kNoRegion);
}

Result<void> AddressSpace::lock(VaRange range, u32 how) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  Gva reached = range.begin;
  for (const RegionNode* node = tree_.find_node(reached);
       node != nullptr && node->range().begin <= reached && reached < range.end; node = tree_.next(*node)) {
    reached = node->range().end;
  }
  const bool whole = range.end <= reached;
  if (range.begin < reached) NOPTE_TRY(mark({range.begin, whole ? range.end : reached}, kVmaLockFlags, how));
  return whole ? Result<void>{} : Fail(Status::kNoRegion);
}

u64 AddressSpace::locked_pages() const {
  u64 pages = 0;
  if (!may_have(kVmaLocked)) return pages;
  for (const RegionNode* node = tree_.first(); node != nullptr; node = tree_.next(*node)) {
    if ((node->tag & kVmaLocked) != 0) pages += node->range().pages();
  }
  return pages;
}

void AddressSpace::install_locked(u32 flags, VaRange range) {
  if ((flags & kVmaLockFlags) == kVmaLocked) [[unlikely]] {
    (void)mm_ops().region_advise(id(), range, Advice::kPopulate);
  }
}

Result<void> AddressSpace::forget_what_stays_with_the_parent() {
  for (const RegionNode* node = tree_.first(); node != nullptr;) {
    const RegionSpec spec = node->spec;
    const u32 flags = node->tag;
    if ((flags & kVmaDontFork) != 0) {
      NOPTE_TRY(unmap(spec.range));
    } else if ((flags & kVmaWipeOnFork) != 0) {
      NOPTE_TRY(declare(spec, flags & ~kVmaLockFlags, nullptr, kMapReplace));
    } else if ((flags & kVmaLockFlags) != 0) {
      NOPTE_TRY(mark(spec.range, kVmaLockFlags, 0));
    }
    node = tree_.at_or_after(spec.range.end);
  }
  return {};
}

}  // namespace nopte::guest
