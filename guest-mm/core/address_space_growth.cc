// AddressSpace: limits, the heap that brk moves and the stack that grows.
#include <algorithm>

#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

namespace {

// A stack grows by at least this much where it can: one call for several pages.
constexpr u64 kStackStepBytes = 64 << 10;

}  // namespace

// --- limits --------------------------------------------------------------------------------------------

bool AddressSpace::within_limits(u64 pages, bool data) const {
  if (tree_.pages() + pages > limits_.bytes >> kPageShift) return false;
  if (!data || limits_.data_bytes == kUnlimited) return true;
  for (const RegionNode* node = tree_.first(); node != nullptr; node = tree_.next(*node)) {
    if (is_data(node->spec.sharing, node->spec.perm, node->tag)) pages += node->range().pages();
  }
  return pages <= limits_.data_bytes >> kPageShift;
}

u64 AddressSpace::committed_pages() const {
  u64 pages = 0;
  for (const RegionNode* node = tree_.first(); node != nullptr; node = tree_.next(*node)) {
    const RegionSpec& spec = node->spec;
    if (counts_against_memory(spec.sharing, spec.perm, node->tag)) pages += node->range().pages();
  }
  return pages;
}

bool AddressSpace::may_commit_copy() const {
  if (may_commit(tree_.pages())) [[likely]]
    return true;
  const bool together = g_overcommit.mode == static_cast<i32>(OvercommitMode::kNever);
  u64 wanted = 0;
  for (const RegionNode* node = tree_.first(); node != nullptr; node = tree_.next(*node)) {
    const RegionSpec& spec = node->spec;
    if ((node->tag & kVmaDontFork) != 0 || !counts_against_memory(spec.sharing, spec.perm, node->tag))
      continue;
    const u64 pages = node->range().pages();
    wanted = together ? wanted + pages : std::max(wanted, pages);
  }
  return may_commit(wanted);
}

u64 AddressSpace::installed_pages() const {
  // Regions that lie so near are asked about by one call: empty parts between them cost next to nothing.
  constexpr u64 kNearBytes = u64{32} << 30;
  u64 pages = 0;
  VaRange asked;
  const auto ask = [&] {
    if (!asked.empty()) pages += installed(asked).value_or(InstalledPages()).pages;
  };
  for (const RegionNode* node = tree_.first(); node != nullptr; node = tree_.next(*node)) {
    if (!asked.empty() && node->range().end - asked.begin <= kNearBytes) {
      asked.end = node->range().end;
    } else {
      ask();
      asked = node->range();
    }
  }
  ask();
  return pages;
}

u64 AddressSpace::pages_in(VaRange range) const {
  u64 pages = 0;
  for (const RegionNode* node = tree_.at_or_after(range.begin);
       node != nullptr && node->range().begin < range.end; node = tree_.next(*node)) {
    pages += node->range().intersect(range).pages();
  }
  return pages;
}

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
    if (tree_.regions() > g_most_regions || !may_commit(more.pages())) return brk_;
    if (end - brk_start_ > limits_.data_bytes || !may_grow(more.pages(), true)) return brk_;
    if (!insert({.range = more, .perm = kPermRW, .usage = unasked_}, future_flags_, nullptr)) return brk_;
    install_locked(future_flags_, more);
  }
  brk_ = end;
  return brk_;
}

// --- stack ---------------------------------------------------------------------------------------------

Result<void> AddressSpace::map_stack(Gva top, Perm perm) {
  return insert({.range = {top - kStackInitialBytes, top}, .perm = perm, .usage = unasked_}, kVmaGrowsDown,
                nullptr);
}

bool AddressSpace::grow_stack(Gva va) {
  const RegionNode* stack = tree_.at_or_after(va);
  if (stack == nullptr || (stack->tag & kVmaGrowsDown) == 0 || stack->range().begin <= va) return false;
  const u64 most = std::min(limits_.stack_bytes, kUserRange.bytes());
  if (va < kUserRange.begin || stack->range().end - va.page_base() > most) return false;
  // A stack or something inaccessible below needs no gap: touching it does no harm.
  const RegionNode* below = tree_.previous(*stack);
  Gva lowest = kUserRange.begin;
  if (below != nullptr) {
    const bool gap = (below->tag & kVmaGrowsDown) == 0 && !below->spec.perm.none();
    lowest = below->range().end + pages_to_bytes(gap ? kStackGuardPages : 0);
  }
  if (va.page_base() < lowest) return false;
  Gva begin{va.value() & ~(kStackStepBytes - 1)};
  if (begin < lowest || stack->range().end - begin > most) begin = va.page_base();
  RegionSpec more = stack->spec;
  more.range = {begin, stack->range().begin};
  if (more.object != ObjectId::kNone || !may_grow(more.range.pages(), false)) return false;
  return insert(more, stack->tag, nullptr).has_value();
}

}  // namespace nopte::guest
