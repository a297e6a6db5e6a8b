#include "guest-mm/core/address_space.h"

#include <algorithm>

#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

namespace {

// A stack grows by at least this much where it can: one call for several pages.
constexpr u64 kStackStepBytes = 64 << 10;

// Whether Linux counts such a mapping against memory.
bool counted(Sharing sharing, Perm perm, u32 flags) {
  return sharing == Sharing::kPrivate && perm.write() && (flags & kVmaNoReserve) == 0;
}

}  // namespace

// --- map -----------------------------------------------------------------------------------------------

Result<void> AddressSpace::declare(const RegionSpec& spec, u32 flags, MemoryObject* object, u32 map_flags) {
  auto plan = (map_flags & kMapReplace) != 0 ? tree_.prepare_replace(spec, flags, object)
                                             : tree_.prepare_insert(spec, flags, object);
  if (!plan) return Fail(plan.error());
  if (region_limit_reached(*plan)) return Fail(Status::kNoMemory);
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

// Owners of paging map and share 2 MiB and 1 GiB at a time: what is a multiple of one begins at one, where
// there is room (for 2 MiB as in Linux 6.7 and later), apart from small mappings.
u64 natural_alignment(u64 bytes) {
  constexpr u64 kMib = u64{1} << 20;
  return bytes % (1024 * kMib) == 0 ? 1024 * kMib : bytes % (2 * kMib) == 0 ? 2 * kMib : kPageBytes;
}

}  // namespace

Result<Gva> AddressSpace::find_place(Gva hint, u64 pages) {
  const u64 bytes = pages_to_bytes(pages);
  // A stack above keeps its guard gap, which ends at address 0.
  const auto limit_below = [&](const RegionNode* above) {
    if (above == nullptr) return kUserRange.end;
    const u64 begin = above->range().begin.value();
    const u64 gap = (above->tag & kVmaGrowsDown) != 0 ? pages_to_bytes(kStackGuardPages) : 0;
    return Gva{begin - std::min(begin, gap)};
  };
  if (kUserRange.begin <= hint && hint < kUserRange.end && bytes <= kUserRange.end - hint) {
    const RegionNode* above = tree_.at_or_after(hint);
    if (hint + bytes <= limit_below(above)) return hint;
  }
  const auto highest = [&](Gva top, u64 alignment) -> Result<Gva> {
    VaRange within{kMmapBottom, top};
    while (within.begin < within.end) {
      const auto at = tree_.find_gap(within, pages, alignment);
      if (!at) break;
      const Gva limit = limit_below(tree_.at_or_after(*at));
      if (*at + bytes <= limit) return *at;
      within.end = limit;
    }
    return Fail(Status::kNoMemory);
  };
  if (const u64 alignment = natural_alignment(bytes); alignment != kPageBytes) {
    if (const auto at = highest(kMmapTop, alignment)) return at;
  }
  if (const auto at = highest(kMmapTop, kPageBytes)) return at;
  return highest(kUserRange.end, kPageBytes);
}

Result<Gva> AddressSpace::map(const MapRequest& request) {
  if (request.bytes == 0) return Fail(Status::kInvalid);
  if (request.bytes > kUserRange.bytes()) return Fail(Status::kNoMemory);
  if ((request.flags & kVmaNoWrite) != 0 && request.perm.write()) return Fail(Status::kPermission);
  const u64 pages = bytes_to_pages(request.bytes);

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

  Ref<MemoryObject> object = request.object;
  const bool shared_anonymous = !object && request.sharing == Sharing::kShared;
  const bool reserves = shared_anonymous ? (request.flags & kVmaNoReserve) == 0
                                         : counted(request.sharing, request.perm, request.flags);
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
  const bool populates = request.populate && !spec.perm.none();
  const u32 map_flags = (replaces ? kMapReplace : 0) | (populates ? kMapPopulate : 0);
  if (object) {
    NOPTE_TRY(declare_object(spec, request.flags, *object, request.offset_bytes >> kPageShift, map_flags));
  } else {
    NOPTE_TRY(declare(spec, request.flags, nullptr, map_flags));
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
  if (region_limit_reached(*plan)) return Fail(Status::kNoMemory);
  NOPTE_TRY(mm_ops().region_unmap(id(), range));
  tree_.commit(*plan);
  return {};
}

Result<void> AddressSpace::protect(VaRange range, Perm perm) {
  if (range.empty() || !range.page_aligned()) return Fail(Status::kInvalid);
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
      if (counted(node->spec.sharing, perm, node->tag) &&
          !may_commit(node->range().intersect(range).pages())) {
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
      if (region_limit_reached(*plan)) return Fail(Status::kNoMemory);
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
      if (region_limit_reached(*plan)) return Fail(Status::kNoMemory);
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

// --- remap ---------------------------------------------------------------------------------------------

Result<void> AddressSpace::insert_continuation(const RegionNode& node, Gva end, Gva at, u64 pages) {
  RegionSpec more = node.spec;
  more.range = VaRange::of_pages(at, pages);
  if (more.object == ObjectId::kNone) return insert(more, node.tag, nullptr);
  auto& object = *static_cast<MemoryObject*>(node.object_list);
  const u64 page = object.page_of_own(more.object_page) + ((end - node.range().begin) >> kPageShift);
  return declare_object(more, node.tag, object, page, 0);
}

Result<Gva> AddressSpace::move(VaRange old, u64 new_pages, Gva to) {
  const u64 old_pages = old.pages();
  // What is new comes first: it can be taken back without memory.
  const VaRange added = {to + old.bytes(), to + pages_to_bytes(new_pages)};
  if (new_pages > old_pages) {
    NOPTE_TRY(insert_continuation(*tree_.find_node(old.begin), old.end, added.begin, added.pages()));
  }
  auto plan = tree_.prepare_move(old, to);
  Status failed = plan ? Status::kOk : plan.error();
  if (plan && region_limit_reached(*plan)) failed = Status::kNoMemory;
  if (failed == Status::kOk) {
    const auto moved = mm_ops().region_move(id(), old, to);
    if (moved) {
      tree_.commit(*plan);
      return to;
    }
    failed = moved.error();
  }
  // It lies behind a gap, so that no region is split, and nothing of it was touched: this needs no memory.
  if (new_pages > old_pages) (void)unmap(added);
  return Fail(failed);
}

Result<Gva> AddressSpace::remap(const RemapRequest& request) {
  VaRange old = request.old;
  if (old.empty() || !old.page_aligned() || request.new_pages == 0) return Fail(Status::kInvalid);
  if (request.new_pages > kUserRange.pages()) return Fail(Status::kInvalid);
  const VaRange target = VaRange::of_pages(request.new_address, request.new_pages);
  if (request.fixed && (!target.page_aligned() || target.overlaps(old) || !kUserRange.contains(target))) {
    return Fail(Status::kInvalid);
  }
  const RegionNode* node = tree_.find_node(old.begin);
  if (node == nullptr) return Fail(Status::kBadAddress);

  if (request.fixed) NOPTE_TRY(unmap(target));
  if (request.new_pages <= old.pages()) {
    const Gva end = old.begin + pages_to_bytes(request.new_pages);
    if (end < old.end) NOPTE_TRY(unmap({end, old.end}));
    if (!request.fixed) return old.begin;
    old.end = end;
  }
  node = tree_.find_node(old.begin);
  if (node == nullptr || !node->range().contains(old)) return Fail(Status::kBadAddress);
  const u64 more = request.new_pages - old.pages();
  if (node->spec.object != ObjectId::kNone &&
      node->spec.object_page + ((old.begin - node->range().begin) >> kPageShift) + request.new_pages >
          (~u64{0} >> kPageShift)) {
    return Fail(Status::kInvalid);
  }
  if (more != 0 && counted(node->spec.sharing, node->spec.perm, node->tag) && !may_commit(more)) {
    return Fail(Status::kNoMemory);
  }
  if (!request.fixed) {
    const VaRange grown = VaRange::of_pages(old.end, more);
    if (old.end == node->range().end && kUserRange.contains(grown) && tree_.free(grown)) {
      NOPTE_TRY(insert_continuation(*node, old.end, old.end, more));
      return old.begin;
    }
    if (!request.may_move) return Fail(Status::kNoMemory);
  }
  Gva to = request.new_address;
  if (!request.fixed) {
    const auto found = find_place(Gva{}, request.new_pages);
    if (!found) return found;
    to = *found;
  }
  return move(old, request.new_pages, to);
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
    if (!may_commit(more.pages())) return brk_;
    if (!insert({.range = more, .perm = kPermRW, .usage = unasked_}, 0, nullptr)) return brk_;
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
