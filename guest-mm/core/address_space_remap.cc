// AddressSpace: mremap.
#include "guest-mm/core/address_space.h"
#include "guest-mm/core/commit_limit.h"

namespace nopte::guest {

Result<void> AddressSpace::insert_continuation(const RegionNode& node, Gva end, Gva at, u64 pages) {
  RegionSpec more = node.spec;
  more.range = VaRange::of_pages(at, pages);
  if (more.object == ObjectId::kNone) return insert(more, node.tag, nullptr);
  MemoryObject& object = *object_of(node);
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
  if (plan && !may_add(plan->nodes_held(), g_most_regions)) failed = Status::kNoMemory;
  if (failed == Status::kOk) {
    const auto moved = mm_ops().region_move(id(), old, to);
    if (moved) {
      tree_.commit(*plan);
      if (!added.empty()) install_locked(tree_.find_node(added.begin)->tag, added);
      return to;
    }
    failed = moved.error();
  }
  // It lies behind a gap, so that no region is split, and nothing of it was touched: this needs no memory.
  if (new_pages > old_pages) (void)unmap(added);
  return Fail(failed);
}

// mremap's own rule: what a move may split on both sides, and a little (mm/mremap.c).
Result<void> AddressSpace::may_move() const {
  return tree_.regions() + 3 < g_most_regions ? Result<void>{} : Fail(Status::kNoMemory);
}

// Every region of `old` moves by the same distance.
//
//   old      [-- A --]   [--- B ---|        (B goes on)
//   target     [-- A --]   [--- B ---]
Result<Gva> AddressSpace::move_each(const RemapRequest& request) {
  for (const RegionNode* node = tree_.find_node(request.old.begin);
       node != nullptr && node->range().begin < request.old.end;) {
    const VaRange part = node->range().intersect(request.old);
    const Gva to = request.new_address + (part.begin - request.old.begin);
    NOPTE_TRY(unmap(VaRange::of_pages(to, part.pages())));
    NOPTE_TRY(may_move());
    NOPTE_TRY(move(part, part.pages(), to));
    node = tree_.at_or_after(part.end);
  }
  return request.new_address;
}

Result<Gva> AddressSpace::move_and_keep(const RemapRequest& request) {
  Gva to = request.new_address;
  if (!request.fixed) {
    const auto found = find_place(to, request.new_pages);
    if (!found) return found;
    to = *found;
  }
  const RegionNode* node = tree_.find_node(request.old.begin);
  RegionSpec stays = node->spec;
  if (stays.object != ObjectId::kNone) {
    stays.object_page += (request.old.begin - stays.range.begin) >> kPageShift;
  }
  stays.range = request.old;
  const u32 flags = node->tag & ~kVmaLockFlags;
  auto* const object = object_of(*node);
  NOPTE_TRY(may_move());
  NOPTE_TRY(move(request.old, request.new_pages, to));
  if (const auto kept = insert(stays, flags, object); !kept) {
    (void)move(VaRange::of_pages(to, request.new_pages), request.new_pages, request.old.begin);
    return Fail(kept.error());
  }
  return to;
}

Result<Gva> AddressSpace::duplicate(const RemapRequest& request) {
  const RegionNode* node = tree_.find_node(request.old.begin);
  if (node->spec.sharing != Sharing::kShared) return Fail(Status::kInvalid);
  if (!request.may_move) return Fail(Status::kNoMemory);
  NOPTE_TRY(may_move());
  Gva to = request.new_address;
  if (!request.fixed) {
    const auto found = find_place(Gva{}, request.new_pages);
    if (!found) return found;
    to = *found;
  }
  const VaRange added = VaRange::of_pages(to, request.new_pages);
  NOPTE_TRY(insert_continuation(*node, request.old.begin, to, request.new_pages));
  install_locked(tree_.find_node(added.begin)->tag, added);
  return to;
}

Result<Gva> AddressSpace::remap(const RemapRequest& request) {
  VaRange old = request.old;
  if (!old.begin.page_aligned() || !old.end.page_aligned() || old.end < old.begin || request.new_pages == 0) {
    return Fail(Status::kInvalid);
  }
  if (request.new_pages > kUserRange.pages()) return Fail(Status::kInvalid);
  if (request.keeps_source && request.new_pages != old.pages()) return Fail(Status::kInvalid);
  const VaRange target = VaRange::of_pages(request.new_address, request.new_pages);
  if ((request.fixed || (request.keeps_source && request.new_address != Gva{})) &&
      (!target.page_aligned() || target.overlaps(old) || !kUserRange.contains(target))) {
    return Fail(Status::kInvalid);
  }
  if (tree_.find_node(old.begin) == nullptr) return Fail(Status::kBadAddress);
  if ((request.fixed || request.keeps_source) && tree_.regions() + 2 + 3 >= g_most_regions) {
    return Fail(Status::kNoMemory);
  }
  if (request.fixed && !request.keeps_source && request.new_pages == old.pages()) return move_each(request);

  if (request.fixed) NOPTE_TRY(unmap(target));
  if (!old.empty() && request.new_pages <= old.pages() && !request.keeps_source) {
    const Gva end = old.begin + pages_to_bytes(request.new_pages);
    if (end < old.end) NOPTE_TRY(unmap({end, old.end}));
    if (!request.fixed) return old.begin;
    old.end = end;
  }
  const RegionNode* node = tree_.find_node(old.begin);
  if (node == nullptr || node->range().end < old.end) return Fail(Status::kBadAddress);
  const u64 more = request.new_pages - old.pages();
  if (node->spec.object != ObjectId::kNone &&
      node->spec.object_page + ((old.begin - node->range().begin) >> kPageShift) + request.new_pages >
          (~u64{0} >> kPageShift)) {
    return Fail(Status::kInvalid);
  }
  if (more != 0 && !may_grow(more, is_data(node->spec.sharing, node->spec.perm, node->tag))) {
    return Fail(Status::kNoMemory);
  }
  if (old.empty()) return duplicate(request);
  if (request.keeps_source) return move_and_keep(request);
  if (more != 0 && counts_against_memory(node->spec.sharing, node->spec.perm, node->tag) &&
      !may_commit(more)) {
    return Fail(Status::kNoMemory);
  }
  Gva to = request.new_address;
  if (!request.fixed) {
    const VaRange grown = VaRange::of_pages(old.end, more);
    if (old.end == node->range().end && kUserRange.contains(grown) && tree_.free(grown)) {
      const u32 flags = node->tag;
      NOPTE_TRY(insert_continuation(*node, old.end, old.end, more));
      install_locked(flags, grown);
      return old.begin;
    }
    if (!request.may_move) return Fail(Status::kNoMemory);
    const auto found = find_place(Gva{}, request.new_pages);
    if (!found) return found;
    to = *found;
  }
  NOPTE_TRY(may_move());
  return move(old, request.new_pages, to);
}

}  // namespace nopte::guest
