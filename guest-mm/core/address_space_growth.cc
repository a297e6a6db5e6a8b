// AddressSpace: the heap that brk moves and the stack that grows.
#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

namespace {

// A stack grows by at least this much where it can: one call for several pages.
constexpr u64 kStackStepBytes = 64 << 10;

}  // namespace

// --- heap ----------------------------------------------------------------------------------------------

void AddressSpace::set_brk_start(Gva start) {
  brk_start_ = start;
  brk_ = start;
}

Gva AddressSpace::set_brk(Gva end) {
  if (end < brk_start_ || end < kUserRange.begin || kUserRange.end < end) return brk_;
  const Gva old_page_end = Gva{brk_.value() + kPageMask}.page_base();
  const Gva new_page_end = Gva{end.value() + kPageMask}.page_base();
  if (new_page_end < old_page_end) {
    if (!unmap({new_page_end, old_page_end})) return brk_;
  } else if (old_page_end < new_page_end) {
    const VaRange more{old_page_end, new_page_end};
    // One page stays free above the heap, and a stack keeps its guard gap.
    const RegionNode* above = tree_.at_or_after(more.begin);
    const u64 keep = above != nullptr && (above->tag & kVmaGrowsDown) != 0 ? kStackGuardPages : 1;
    if (above != nullptr && above->range().begin < more.end + pages_to_bytes(keep)) return brk_;
    if (tree_.regions() > kMostRegions || !may_commit(more.pages())) return brk_;
    if (!insert({.range = more, .perm = kPermRW, .usage = unasked_}, future_flags_, nullptr)) return brk_;
    install_locked(future_flags_, more);
  }
  brk_ = end;
  return brk_;
}

// --- stack ---------------------------------------------------------------------------------------------

Result<void> AddressSpace::map_stack() {
  return insert({.range = {kStackTop - kStackInitialBytes, kStackTop}, .perm = kPermRW, .usage = unasked_},
                kVmaGrowsDown, nullptr);
}

bool AddressSpace::grow_stack(Gva va) {
  const RegionNode* stack = tree_.at_or_after(va);
  if (stack == nullptr || (stack->tag & kVmaGrowsDown) == 0 || stack->range().begin <= va) return false;
  if (va < kUserRange.begin || stack->range().end - va.page_base() > kStackLimitBytes) return false;
  // A stack or something inaccessible below needs no gap: touching it does no harm.
  const RegionNode* below = tree_.previous(*stack);
  Gva lowest = kUserRange.begin;
  if (below != nullptr) {
    const bool gap = (below->tag & kVmaGrowsDown) == 0 && !below->spec.perm.none();
    lowest = below->range().end + pages_to_bytes(gap ? kStackGuardPages : 0);
  }
  if (va.page_base() < lowest) return false;
  Gva begin{va.value() & ~(kStackStepBytes - 1)};
  if (begin < lowest || stack->range().end - begin > kStackLimitBytes) begin = va.page_base();
  RegionSpec more = stack->spec;
  more.range = {begin, stack->range().begin};
  if (more.object != ObjectId::kNone) return false;
  return insert(more, stack->tag, nullptr).has_value();
}

}  // namespace nopte::guest
