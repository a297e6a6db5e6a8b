#include "guest-mm/core/address_space.h"

#include <algorithm>

#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

// --- map -----------------------------------------------------------------------------------------------

Result<void> AddressSpace::declare(const RegionSpec& spec, u32 flags, MemoryObject* object, u32 map_flags) {
  auto plan = (map_flags & kMapReplace) != 0 ? tree_.prepare_replace(spec, flags, object)
                                             : tree_.prepare_insert(spec, flags, object);
  if (!plan) return Fail(plan.error());
  if (!may_add(plan->nodes_held(), g_most_regions + 1)) return Fail(Status::kNoMemory);
  const auto mapped = mm_ops().region_map(id(), spec, map_flags);
  if (!mapped) {
    // As on Linux, what was there is gone; the backend may not have come so far.
    if ((map_flags & kMapReplace) != 0 && mm_ops().region_unmap(id(), spec.range)) {
      plan->only_unmap();
      tree_.commit(*plan);
    }
    return Fail(mapped.error());
  }
  tree_.commit(*plan);
  if ((map_flags & kMapPopulate) != 0 && *mapped == Populated::kNo) {
    (void)mm_ops().region_advise(id(), spec.range, Advice::kPopulate);
  }
  return {};
}

Result<void> AddressSpace::declare_past_end(RegionSpec& spec, u32 flags, MemoryObject& view, u64 page,
                                            u32 map_flags) {
  const VaRange whole = spec.range;
  const Gva end = whole.begin + pages_to_bytes(view.pages() - page);
  spec.range = {end, whole.end};
  spec.object_page = view.page_in_whole(view.pages());
  NOPTE_TRY(declare(spec, flags, &view, map_flags & ~kMapPopulate));
  spec.range = {whole.begin, end};
  spec.object_page = view.page_in_whole(page);
  const auto declared = declare(spec, flags, &view, map_flags);
  if (!declared) (void)unmap({end, whole.end});
  return declared;
}

namespace {

// Where Linux puts what MAP_32BIT asks for (arch/x86/kernel/sys_x86_64.c).
constexpr VaRange kLowRange{Gva{0x4000'0000}, Gva{0x8000'0000}};

// Owners of paging map and share 2 MiB and 1 GiB at a time: what is a multiple of one begins at one, where
// there is room (for 2 MiB as in Linux 6.7 and later), apart from small mappings.
u64 natural_alignment(u64 bytes) {
  constexpr u64 kMib = u64{1} << 20;
  return bytes % (1024 * kMib) == 0 ? 1024 * kMib : bytes % (2 * kMib) == 0 ? 2 * kMib : kPageBytes;
}

}  // namespace

// A stack above keeps its guard gap, which ends at address 0.
[[gnu::always_inline]] inline Gva AddressSpace::limit_below(const RegionNode* above) {
  if (above == nullptr) return kUserRange.end;
  const u64 begin = above->range().begin.value();
  const u64 gap = (above->tag & kVmaGrowsDown) != 0 ? pages_to_bytes(kStackGuardPages) : 0;
  return Gva{begin - std::min(begin, gap)};
}

[[gnu::always_inline]] inline bool AddressSpace::fits(Gva hint, u64 bytes, Gva end) const {
  return kUserRange.begin <= hint && hint < end && bytes <= end - hint &&
         hint + bytes <= limit_below(tree_.at_or_after(hint));
}

[[gnu::always_inline]] inline Result<Gva> AddressSpace::highest_in(VaRange within, u64 pages, u64 alignment) {
  while (within.begin < within.end) {
    const auto at = tree_.find_gap(within, pages, alignment);
    if (!at) break;
    const Gva limit = limit_below(tree_.at_or_after(*at));
    if (*at + pages_to_bytes(pages) <= limit) return *at;
    within.end = limit;
  }
  return Fail(Status::kNoMemory);
}

Result<Gva> AddressSpace::find_place(Gva hint, u64 pages) {
  const u64 bytes = pages_to_bytes(pages);
  if (fits(hint, bytes, kUserRange.end)) return hint;
  if (const u64 alignment = natural_alignment(bytes); alignment != kPageBytes) {
    if (const auto at = highest_in({kMmapBottom, mmap_top_}, pages, alignment)) return at;
  }
  if (const auto at = highest_in({kMmapBottom, mmap_top_}, pages, kPageBytes)) return at;
  return highest_in({kMmapBottom, kUserRange.end}, pages, kPageBytes);
}

Gva AddressSpace::low_place(Gva hint, u64 pages) {
  if (fits(hint, pages_to_bytes(pages), kLowRange.end)) return hint;
  return highest_in(kLowRange, pages, kPageBytes).value_or(Gva{});
}

Result<Gva> AddressSpace::map(const MapRequest& request) {
  if (request.bytes == 0) return Fail(Status::kInvalid);
  if (request.bytes > kUserRange.bytes()) return Fail(Status::kNoMemory);
  if ((request.flags & kVmaNoWrite) != 0 && request.perm.write()) return Fail(Status::kPermission);
  if (tree_.regions() > g_most_regions) return Fail(Status::kNoMemory);
  const u64 pages = bytes_to_pages(request.bytes);
  u32 flags = request.flags | future_flags_;
  bool populates = request.populate;
  if (flags != 0) [[unlikely]] {
    if (request.object || request.sharing == Sharing::kShared || !request.perm.write())
      flags &= ~kVmaForkMask;
    seen_flags_ |= flags;
    populates = populates || (flags & kVmaLockFlags) == kVmaLocked;
  }

  RegionSpec spec{.range = {}, .perm = request.perm, .sharing = request.sharing, .usage = unasked_};
  if (request.placement == Placement::kAnywhere) {
    Gva hint = request.hint.page_base();
    if (Gva{} < hint && hint < kMmapBottom) hint = kMmapBottom;
    const auto at = find_place(hint, pages);
    if (!at) return at;
    spec.range = VaRange::of_pages(*at, pages);
  } else {
    if (!request.hint.page_aligned()) return Fail(Status::kInvalid);
    if (request.hint < kUserRange.begin || kUserRange.end <= request.hint ||
        kUserRange.end - request.hint < pages_to_bytes(pages)) {
      return Fail(Status::kNoMemory);
    }
    spec.range = VaRange::of_pages(request.hint, pages);
    if (request.placement == Placement::kFixedNoReplace && !tree_.free(spec.range)) {
      return Fail(Status::kOverlap);
    }
  }

  const bool data = is_data(request.sharing, request.perm, flags);
  if (!may_grow(pages, data) && !may_grow(pages - pages_in(spec.range), data)) [[unlikely]] {
    return Fail(Status::kNoMemory);
  }

  Ref<MemoryObject> object = request.object;
  const bool shared_anonymous = !object && request.sharing == Sharing::kShared;
  const bool reserves = shared_anonymous ? (flags & kVmaNoReserve) == 0
                                         : counts_against_memory(request.sharing, request.perm, flags);
  if (reserves && !may_commit(pages)) return Fail(Status::kNoMemory);
  if (shared_anonymous) {
    auto made = MemoryObject::create(pages_to_bytes(pages));
    if (!made) return Fail(made.error());
    object = std::move(*made);
    object->set_name("/dev/zero (deleted)");
  }
  if (object) {
    NOPTE_TRY(object->materialize());
    spec.object = object->id();
  }

  const bool replaces = request.placement == Placement::kFixed && !tree_.free(spec.range);
  if (flags != 0) [[unlikely]]
    seen_flags_ |= flags;
  const u32 map_flags = (replaces ? kMapReplace : 0) | (populates && !spec.perm.none() ? kMapPopulate : 0);
  if (object) {
    NOPTE_TRY(declare_object(spec, flags, *object, request.offset_bytes >> kPageShift, map_flags));
  } else {
    NOPTE_TRY(declare(spec, flags, nullptr, map_flags));
  }
  return spec.range.begin;
}

// --- unmap, protect, advise ----------------------------------------------------------------------------

Result<void> AddressSpace::unmap(VaRange range) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  range = range.intersect(kUserRange);
  if (range.empty()) return {};
  auto plan = tree_.prepare_unmap(range);
  if (!plan) return Fail(plan.error());
  if (!plan->changes()) return {};
  if (!may_add(plan->nodes_held(), g_most_regions)) return Fail(Status::kNoMemory);
  NOPTE_TRY(mm_ops().region_unmap(id(), range));
  tree_.commit(*plan);
  return {};
}

Result<void> AddressSpace::protect(VaRange range, Perm perm) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  if (may_have(kVmaGuard)) [[unlikely]]
    return protect_around_guards(range, perm);
  return protect_plain(range, perm);
}

Result<void> AddressSpace::protect_plain(VaRange range, Perm perm) {
  // Linux changes region by region until one refuses: find out how far that is.
  Status refused = Status::kOk;
  Gva reached = range.begin;
  Perm before;  // of any part
  for (const RegionNode* node = tree_.at_or_after(range.begin); reached < range.end;
       node = tree_.next(*node)) {
    if (node == nullptr || reached < node->range().begin) {
      refused = Status::kNoRegion;
      break;
    }
    if (perm.write() && !node->spec.perm.write()) {
      if ((node->tag & kVmaNoWrite) != 0) {
        refused = Status::kPermission;
        break;
      }
      const u64 pages = node->range().intersect(range).pages();
      if (counts_against_memory(node->spec.sharing, perm, node->tag) &&
          (!may_commit(pages) || (limits_.data_bytes != kUnlimited && !within_limits(pages, true)))) {
        refused = Status::kNoMemory;
        break;
      }
    }
    before = before | node->spec.perm;
    reached = node->range().end;
  }
  if (reached < range.end) range.end = reached;
  if (!range.empty()) {
    auto plan = tree_.prepare_protect(range, perm);
    if (!plan) return Fail(plan.error());
    if (plan->changes()) {
      if (!may_add(plan->nodes_held(), g_most_regions)) return Fail(Status::kNoMemory);
      NOPTE_TRY(mm_ops().region_protect(id(), range, perm,
                                        before.none() ? RightsChange::kFromNone : RightsChange::kAny));
      tree_.commit(*plan);
    }
  }
  if (refused != Status::kOk) return Fail(refused);
  return {};
}

Result<void> AddressSpace::advise(VaRange range, Advice advice) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  const VaRange inside = range.intersect(kUserRange);
  if (!inside.empty() && !tree_.free(inside)) NOPTE_TRY(mm_ops().region_advise(id(), inside, advice));
  if (!tree_.covered(range)) return Fail(Status::kNoRegion);
  return {};
}

Result<void> AddressSpace::use(VaRange range, Advice advice) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
  if (const VaRange inside = range.intersect(kUserRange); !inside.empty()) {
    auto plan = tree_.prepare_use(inside, usage_change(advice));
    if (!plan) return Fail(plan.error());
    if (plan->changes()) {
      if (!may_add(plan->nodes_held(), g_most_regions)) return Fail(Status::kNoMemory);
      // Who cannot keep note of it does without.
      (void)mm_ops().region_advise(id(), inside, advice);
      tree_.commit(*plan);
    }
  }
  if (!tree_.covered(range)) return Fail(Status::kNoRegion);
  return {};
}

void AddressSpace::bar_large_leaves(bool barred) {
  const Advice advice = barred ? Advice::kLargeBarred : Advice::kLargeAllowed;
  unasked_ = usage_change(advice).of(unasked_);
  // Of all regions alike: none is split, and holes do not matter.
  (void)use(kUserRange, advice);
}

// --- asking --------------------------------------------------------------------------------------------

std::optional<Vma> AddressSpace::find(Gva va) const {
  const RegionNode* node = tree_.find_node(va);
  if (node == nullptr) return std::nullopt;
  return vma_of(*node);
}

std::optional<Vma> AddressSpace::at_or_after(Gva va) const {
  const RegionNode* node = tree_.at_or_after(va);
  if (node == nullptr) return std::nullopt;
  return vma_of(*node);
}

}  // namespace nopte::guest
