// EngineCore: spaces, what they hold ahead of faults, and kernel memory.
#include "native-fallback/engine/engine_core.h"

namespace nopte::pt {

Result<SpaceId> EngineCore::space_create(const RegionSource& promised) {
  const auto added = spaces_.add(meta_frames());
  if (!added) return Fail(added.error());
  const auto root = new_root();
  if (!root) {
    spaces_.remove(frames_, added->id);
    return Fail(root.error());
  }
  *added->record = Space{.root = *root, .regions = &promised};
  ++counters_.spaces_created;
  return SpaceId(added->id);
}

Result<SpaceId> EngineCore::space_clone(SpaceId parent_id, const RegionSource& promised) {
  if (parent_id == SpaceId::kKernel) return Fail(Status::kInvalid);
  Space* parent = find_space(parent_id);
  if (parent == nullptr || parent->retired) return Fail(Status::kInvalid);
  const auto child_id = space_create(promised);
  if (!child_id) return child_id;
  const auto copied = clone_tables(*parent, *find_space(*child_id));
  if (!copied) {
    (void)space_destroy(*child_id);
    return Fail(copied.error());
  }
  return child_id;
}

Result<void> EngineCore::space_empty(SpaceId id, Checkpoint* checkpoint) {
  if (id == SpaceId::kKernel) return Fail(Status::kInvalid);
  Space* space = find_space(id);
  if (space == nullptr) return Fail(Status::kInvalid);
  if (space->emptied) return {};
  if (runs(*space)) return Fail(Status::kBusy);
  if (!empty_tables(*space, checkpoint)) return Fail(Status::kAgain);
  space->emptied = true;
  return {};
}

Result<void> EngineCore::space_destroy(SpaceId id, Checkpoint* checkpoint) {
  NOPTE_TRY(space_empty(id, checkpoint));
  if (id == activated_id_) {
    activated_id_ = SpaceId::kKernel;
    activated_ = &kernel_;
  }
  asked_.forget(find_space(id)->regions);
  spaces_.remove(frames_, static_cast<u32>(id));
  return {};
}

Result<u64> EngineCore::region_resident(SpaceId id, VaRange range) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired || !may_show(id, range) || range.pages() > kMostResident) {
    return Fail(Status::kInvalid);
  }
  u64 found = 0;
  for (Gva va = range.begin; space->regions != nullptr && va < range.end;) {
    work::did(work::Unit::kRegion);
    const std::optional<RegionSpec> region = space->regions->find_next(va);
    if (!region || region->range.begin >= range.end) break;
    const MemoryObject* const object = find_object(region->object);
    const VaRange part = region->range.intersect(range);
    for (va = part.begin; va < part.end; va += kPageBytes) {
      work::did(work::Unit::kPage);
      const u64 page = region->object_page + (va - region->range.begin) / kPageBytes;
      const bool cached = object != nullptr && page < object->pages && find_page(*object, frames_, page);
      if (cached || was_touched(id, va)) found |= u64{1} << ((va - range.begin) / kPageBytes);
    }
  }
  return found;
}

Result<InstalledPages> EngineCore::region_installed(SpaceId id, VaRange& range) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired || !may_show(id, range)) return Fail(Status::kInvalid);
  InstalledPages found;
  for (u64 left = work::kMostAtOnce / kPagesPerCheck; left != 0 && !range.empty(); --left) {
    work::did(work::Unit::kNode);
    const InstalledPages some = count_first(*space, range);
    found = {found.pages + some.pages, found.large + some.large};
  }
  return found;
}

void EngineCore::draw(PictureWriter& picture) const {
  picture.begin(activated_id_);
  const RegionSource* const regions = activated_id_ == SpaceId::kKernel ? nullptr : activated_->regions;
  for (Gva va{}; regions != nullptr;) {
    const std::optional<RegionSpec> region = regions->find_next(va);
    if (!region || !picture.region(*region)) break;
    va = region->range.end;
  }
  picture.end_regions();
  if (regions != nullptr) draw_installed(*activated_, picture);
  picture.end();
}

Result<void> EngineCore::region_advise(SpaceId id, VaRange range, Advice advice, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !may_show(id, range)) return Fail(Status::kInvalid);
  switch (advice) {
    case Advice::kDontNeed:
      return zap(id, *space, range, Whose::kOwn, checkpoint);
    case Advice::kWillNeed:
    case Advice::kPopulate:
      return populate(id, *space, range, advice, checkpoint);
    default:  // a matter of the promises, which faults ask
      if (usage_change(advice).mask != 0) return {};
  }
  return Fail(Status::kInvalid);
}

Result<void> EngineCore::region_moved(SpaceId id, VaRange from, Gva to) {
  Space* space = find_space(id);
  if (space == nullptr || !may_show(id, from)) return Fail(Status::kInvalid);
  const VaRange target = VaRange::of_pages(to, from.pages());
  if (!may_show(id, target)) return Fail(Status::kInvalid);
  if (target.overlaps(from)) return Fail(Status::kOverlap);
  return move(id, *space, from, to);
}

bool EngineCore::earned_large(Space& space, const Promise& promise, Gva va) const {
  if (promise.pattern == AccessPattern::kRandom || promise.region.usage.large() != LargeLeaves::kAsItComes)
    return false;
  if (va.page() % kBlockFrames != 0 || space.ahead.step_before(va) < AheadPolicy::kMost - 1) return false;
  space.ahead.fault_at(va, 1);
  return space.ahead.pages() >= kBlockFrames - 1 &&
         frames_.free_frames() / AheadPolicy::kFreeParts >= kBlockFrames;
}

Result<void> EngineCore::populate(SpaceId id, Space& space, VaRange range, Advice advice,
                                  Checkpoint* checkpoint) {
  if (space.regions == nullptr) return {};
  const bool will_need = advice == Advice::kWillNeed;
  u64 left = kPagesPerCheck;  // steps until the next check
  bool installed = false;     // something, since the last one
  const auto stop_at = [&](Gva va) {
    if (left-- != 0) return false;
    left = kPagesPerCheck - 1;
    installed = false;
    return checkpoint != nullptr && checkpoint->should_stop(va);
  };
  for (Gva va = range.begin; va < range.end;) {
    work::did(work::Unit::kRegion);
    std::optional<RegionSpec> region = space.regions->find_next(va);
    if (!region || region->range.begin >= range.end) break;
    if (va < region->range.begin) va = region->range.begin;
    if (stop_at(va)) return Fail(Status::kAgain);
    const Gva end = region->range.end < range.end ? region->range.end : range.end;
    const bool may_be_large =
        region->object == ObjectId::kNone && region->usage.large() != LargeLeaves::kNever && !will_need;
    const Promise promise{*region, find_object(region->object), AccessPattern::kRandom};
    // Read ahead makes no pages: it installs those that an object has.
    if (region->perm.none() || (will_need && promise.object == nullptr)) {
      va = end;
      continue;
    }
    const Access access = region->perm.write() && !will_need ? Access::kWrite : Access::kRead;
    while (va < end) {
      for (bool found = !will_need; !found;) {
        const u64 page = region->object_page + (va - region->range.begin) / kPageBytes;
        const PageSearch next = next_page(*promise.object, frames_, page, kNodesPerStep);
        if (next.page - page >= VaRange{va, end}.pages()) {
          va = end;
          break;
        }
        va += pages_to_bytes(next.page - page);
        found = next.found;
        if (!found && stop_at(va)) return Fail(Status::kAgain);
      }
      if (va == end) break;
      const u64 asked_for = VaRange{va, end}.pages();
      // Neither stops on its way.
      const bool fills = !will_need && region->object == ObjectId::kNone && fills_new_tables();
      const bool large = !fills && may_be_large && va.page() % kBlockFrames == 0 && asked_for >= kBlockFrames;
      region->usage = Usage(AccessPattern::kRandom, large ? LargeLeaves::kWanted : LargeLeaves::kNever);
      if ((large || fills) && installed) left = 0;  // all that may be done at once
      if (stop_at(va)) return Fail(Status::kAgain);
      // As many as may be done before the next check, or to where a large page could begin, and the first
      // that is past the object's end.
      u64 more = kBlockFrames - 1 - va.page() % kBlockFrames;
      more = will_need || large ? 0 : std::min({more, fills ? more : left, asked_for - 1});
      if (region->object != ObjectId::kNone) {
        const u64 page = region->object_page + (va - region->range.begin) / kPageBytes;
        const u64 pages = promise.object == nullptr ? 0 : promise.object->pages;
        more = std::min(more, pages < page ? 0 : pages - page);
      }
      left -= std::min(left, more);
      const auto reached = install_promised(space, id, promise, VaRange::of_pages(va, 1 + more), access);
      if (!reached && reached.error() == Status::kPastEnd) break;
      if (!reached) return will_need ? Result<void>() : Fail(reached.error());
      installed = true;
      if (*reached > va + pages_to_bytes(1 + more)) left = 0;
      va = std::min(*reached, end);
    }
    va = end;
  }
  return {};
}

Result<Gva> EngineCore::kmem_alloc(u64 pages, Checkpoint* checkpoint) {
  if (pages == 0) return Fail(Status::kInvalid);
  HalfGrant& half = half_grant_;
  if (half.pages != 0 && half.pages != pages && half.way == HalfGrant::Way::kGrows) {
    half.way = HalfGrant::Way::kGivesWay;
  }
  if (half.pages != 0 && half.way != HalfGrant::Way::kGrows) {
    const bool failed = half.pages == pages && half.way == HalfGrant::Way::kFailed;
    NOPTE_TRY(drop_half_grant(checkpoint));
    if (failed) return Fail(Status::kNoMemory);
    if (checkpoint != nullptr && checkpoint->should_stop(Gva())) return Fail(Status::kAgain);
  }
  if (half.pages == 0) {
    if (pages > frames_.free_frames()) return Fail(Status::kNoMemory);
    const auto granted = kmem_.grant(pages, meta_frames());
    if (!granted) return granted;
    half = {.begin = *granted, .pages = pages};
  }
  const u64 committed = KmemArea::chunks_of(pages) * KmemArea::kChunkPages;
  for (u64 left = kKernelPagesPerCheck; half.installed < committed; --left) {
    const Gva va = half.begin + pages_to_bytes(half.installed);
    if (left == 0) {
      if (checkpoint != nullptr && checkpoint->should_stop(va)) return Fail(Status::kAgain);
      left = kKernelPagesPerCheck;
    }
    work::did(work::Unit::kPage);
    if (!commit(va)) {
      half.way = HalfGrant::Way::kFailed;
      if (checkpoint != nullptr && half.installed != 0 && checkpoint->should_stop(va)) {
        return Fail(Status::kAgain);
      }
      NOPTE_TRY(drop_half_grant(checkpoint));
      return Fail(Status::kNoMemory);
    }
    ++half.installed;
  }
  const Gva begin = half.begin;
  half = {};
  return begin;
}

// Precondition: there is one. Errors: kAgain.
Result<void> EngineCore::drop_half_grant(Checkpoint* checkpoint) {
  const HalfGrant half = half_grant_;
  if (half.installed != 0) {
    NOPTE_TRY(zap(SpaceId::kKernel, kernel_, VaRange::of_pages(half.begin, half.installed), Whose::kOwn,
                  checkpoint));
  }
  half_grant_ = {};
  return kmem_.take_back(half.begin, half.pages, frames_);
}

Result<void> EngineCore::kmem_free(Gva begin, u64 pages, Checkpoint* checkpoint) {
  if (half_grant_.pages != 0 && begin == half_grant_.begin) return Fail(Status::kInvalid);
  NOPTE_TRY(kmem_.check(begin, pages, frames_));
  const u64 committed = KmemArea::chunks_of(pages) * KmemArea::kChunkPages;
  NOPTE_TRY(zap(SpaceId::kKernel, kernel_, VaRange::of_pages(begin, committed), Whose::kOwn, checkpoint));
  return kmem_.take_back(begin, pages, frames_);
}

}  // namespace nopte::pt
