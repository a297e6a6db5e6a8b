// Engine: faults, and populating ahead of them. Included by engine.h.
//
// What one access to one page leads to:
//   entry            anonymous            object, shared      object, private
//   empty            zero-filled page     the object's page   read: the object's page, read-only
//                                                             write: a copy, anonymous from now on
//   anonymous page   rights as promised; a write to a page with other references gets a copy
//   object's page    -                    rights as promised  read: rights but write; write: a copy
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
auto Engine<Sink>::fault(SpaceId id, Gva va, Access access, Privilege privilege) -> FaultResult {
  const FaultWork<Sink> work(sink_);
  ++counters_.faults;
  const auto refuse = [this](ViolationReason reason) {
    ++counters_.violations;
    return std::unexpected(reason);
  };
  if (!Format::kUserRange.contains(va)) {
    if (privilege == Privilege::kUser || !Format::kWindowRange.contains(va))
      return refuse(ViolationReason::kNoRegion);
    id = SpaceId::kKernel;
  } else if (id == SpaceId::kKernel) {
    return refuse(ViolationReason::kNoRegion);
  }
  Space* space = find_space(id);
  if (space == nullptr || space->retired || space->regions == nullptr)
    return refuse(ViolationReason::kNoRegion);
  const std::optional<RegionSpec> region = space->regions->find(va);
  if (!region) return refuse(ViolationReason::kNoRegion);
  if (!allows(region->perm, access)) return refuse(ViolationReason::kPermission);
  // No entry refuses this, but the processor does (SMEP), whatever is installed: the fault would never end.
  if (access == Access::kExec && privilege == Privilege::kKernel) return refuse(ViolationReason::kPermission);
  const Promise promise{*region, find_object(region->object)};
  const auto done = resolve(*space, id, promise, va.page_base(), access);
  if (!done) {
    return refuse(done.error() == Status::kPastEnd ? ViolationReason::kPastEnd : ViolationReason::kNoMemory);
  }
  return {};
}

// Errors: kNoMemory, kPastEnd.
template <PageTableSink Sink>
Result<void> Engine<Sink>::resolve(Space& space, SpaceId id, const Promise& promise, Gva va, Access access) {
  u64 page = 0;
  if (promise.region.object != ObjectId::kNone) {
    page = promise.region.object_page + (va - promise.region.range.begin) / kPageBytes;
    if (promise.object == nullptr || page >= promise.object->pages) return Fail(Status::kPastEnd);
  }
  Cursor<Sink> cursor(tables_, space.root, va);
  if (cursor.level() == 1) {
    const Entry entry = cursor.entry();
    if (!entry.empty()) return resolve_held(cursor, space, id, promise, entry, access);
  }
  return resolve_empty(cursor, id, promise, page, access);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::resolve_empty(Cursor<Sink>& cursor, SpaceId id, const Promise& promise, u64 page,
                                         Access access) {
  const RegionSpec& region = promise.region;
  Perm perm = region.perm;
  Result<Frame> frame = Fail(Status::kNoMemory);
  bool fresh = true;  // nobody but this entry refers to the frame
  if (promise.object == nullptr) {
    frame = zeroed_frame(FrameKind::kAnon);
  } else if (region.sharing == Sharing::kPrivate && access == Access::kWrite) {
    const std::optional<Frame> source = find_page(*promise.object, frames_, page);
    frame = source ? copied_frame(*source) : zeroed_frame(FrameKind::kAnon);
  } else {
    frame = object_frame(*promise.object, region.object, page);
    fresh = false;
    if (region.sharing == Sharing::kPrivate) perm = without_write(perm);
  }
  if (!frame) return Fail(frame.error());
  const auto installed = cursor.install(Entry::leaf(*frame, perm, privilege_of(id), access));
  if (!installed) {
    if (fresh) frames_.free(*frame);
    return installed;
  }
  if (!fresh) ++frames_.meta(*frame).refs;
  ++counters_.entries_written;
  return {};
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::resolve_held(Cursor<Sink>& cursor, Space& space, SpaceId id,
                                        const Promise& promise, Entry entry, Access access) {
  const RegionSpec& region = promise.region;
  const Frame held = entry.frame();
  const FrameMeta& meta = frames_.meta(held);
  const bool ours = meta.kind == FrameKind::kAnon ? meta.refs == 1 : region.sharing == Sharing::kShared;

  if (access == Access::kWrite && !ours) {
    const auto copy = copied_frame(held);
    if (!copy) return Fail(copy.error());
    Batch batch(sink_, frames_, counters_, space.root, scope_of(id));
    cursor.replace(Format::table_index(cursor.va(), 1), entry,
                   Entry::leaf(*copy, region.perm, privilege_of(id), access));
    ++counters_.entries_written;
    if (entry.present()) batch.page(cursor.va());
    drop_reference(held, batch);
    batch.flush();
    return {};
  }
  // Rights are only added here: what was taken away was taken by region_protected.
  const Entry desired =
      entry.with_perm(ours ? region.perm : without_write(region.perm))
          .with(access == Access::kWrite ? Entry::kAccessed | Entry::kDirty : Entry::kAccessed);
  if (desired != entry) {
    cursor.replace(Format::table_index(cursor.va(), 1), entry, desired);
    ++counters_.entries_written;
  }
  return {};
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::zeroed_frame(FrameKind kind) {
  const auto frame = frames_.alloc(kind);
  if (frame) {
    sink_.zero_page(frames_.window(*frame));
    ++counters_.frames_zeroed;
  }
  return frame;
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::copied_frame(Frame from) {
  const auto frame = frames_.alloc(FrameKind::kAnon);
  if (frame) {
    sink_.copy_page(frames_.window(*frame), frames_.window(from));
    ++counters_.frames_copied;
  }
  return frame;
}

template <PageTableSink Sink>
[[gnu::always_inline]] inline void Engine<Sink>::drop_reference(Frame frame, Batch& batch) {
  FrameMeta& meta = frames_.meta(frame);
  if (--meta.refs == 0) batch.frame(frame, meta);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::region_advise(SpaceId id, VaRange range, Advice advice, Checkpoint* checkpoint) {
  Space* space = find_space(id);
  if (space == nullptr || !valid_range(id, range)) return Fail(Status::kInvalid);
  const Completion<Sink> completion(sink_);
  switch (advice) {
    case Advice::kDontNeed:
      return zap(id, *space, range, checkpoint);
    case Advice::kWillNeed:
    case Advice::kPopulate:
      return populate(id, *space, range, advice, checkpoint);
  }
  return Fail(Status::kInvalid);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::populate(SpaceId id, Space& space, VaRange range, Advice advice,
                                    Checkpoint* checkpoint) {
  if (space.regions == nullptr) return {};
  const bool will_need = advice == Advice::kWillNeed;
  u64 left = kPagesPerCheck;  // steps until the next check
  const auto stop_at = [&](Gva va) {
    if (left-- != 0) return false;
    left = kPagesPerCheck - 1;
    return checkpoint != nullptr && checkpoint->should_stop(va);
  };
  for (Gva va = range.begin; va < range.end;) {
    work::did(work::Unit::kRegion);
    const std::optional<RegionSpec> region = space.regions->find_next(va);
    if (!region || region->range.begin >= range.end) break;
    if (va < region->range.begin) va = region->range.begin;
    if (stop_at(va)) return Fail(Status::kAgain);
    const Gva end = region->range.end < range.end ? region->range.end : range.end;
    const Promise promise{*region, find_object(region->object)};
    // Read ahead makes no pages: it installs those that an object has.
    if (region->perm.none() || (will_need && promise.object == nullptr)) {
      va = end;
      continue;
    }
    const Access access = region->perm.write() && !will_need ? Access::kWrite : Access::kRead;
    for (; va < end; va += kPageBytes) {
      for (bool found = !will_need; !found;) {
        const u64 page = region->object_page + (va - region->range.begin) / kPageBytes;
        const PageSearch resident = next_page(*promise.object, frames_, page, kNodesPerStep);
        if (resident.page - page >= VaRange{va, end}.pages()) {
          va = end;
          break;
        }
        va += pages_to_bytes(resident.page - page);
        found = resident.found;
        if (!found && stop_at(va)) return Fail(Status::kAgain);
      }
      if (va == end) break;
      if (stop_at(va)) return Fail(Status::kAgain);
      work::did(work::Unit::kPage);
      const auto done = resolve(space, id, promise, va, access);
      if (done) continue;
      if (done.error() == Status::kPastEnd) break;
      if (will_need) return {};
      return Fail(done.error());
    }
    va = end;
  }
  return {};
}

}  // namespace nopte::pt
