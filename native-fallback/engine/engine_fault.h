// Engine: faults. Included by engine.h.
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
  const std::optional<RegionSpec> region = space->regions->find(va, asked_);
  if (!region) return refuse(ViolationReason::kNoRegion);
  if (!allows(region->perm, access)) return refuse(ViolationReason::kPermission);
  // No entry refuses this, but the processor does (SMEP), whatever is installed: the fault would never end.
  if (access == Access::kExec && privilege == Privilege::kKernel) return refuse(ViolationReason::kPermission);
  const Promise promise{*region, find_object(region->object), region->usage.pattern()};
  const auto done = choose_way(sink_, [&]<class Way> {
    const FaultWork<Way> work(way<Way>());
    return resolve<Way>(*space, id, promise, va.page_base(), access);
  });
  if (!done) {
    return refuse(done.error() == Status::kPastEnd ? ViolationReason::kPastEnd : ViolationReason::kNoMemory);
  }
  return {};
}

// Errors: kNoMemory, kPastEnd.
template <PageTableSink Sink>
template <class Way>
Result<void> Engine<Sink>::resolve(Space& space, SpaceId id, const Promise& promise, Gva va, Access access) {
  u64 page = 0;
  if (promise.region.object != ObjectId::kNone) {
    page = promise.region.object_page + (va - promise.region.range.begin) / kPageBytes;
    if (promise.object == nullptr || page >= promise.object->pages) return Fail(Status::kPastEnd);
  }
  for (;;) {
    Cursor<Way> cursor(tables_.template in<Way>(), space.root, va);
    if (!cursor.mine() || cursor.kept()) [[unlikely]] {
      const auto owned = own_for(space, va, access);
      if (!owned) return Fail(owned.error());
      if (!*owned) return {};
      continue;
    }
    if (cursor.level() == 1) {
      const Entry entry = cursor.entry();
      if (!entry.empty()) return resolve_held(cursor, space, id, promise, entry, access);
    } else if (kLargePages<Way> && promise.object == nullptr && may_be_large(cursor, space, promise))
        [[unlikely]] {
      const auto large = resolve_large(space, id, promise, va, access);
      if (!large) return Fail(large.error());
      if (*large == Large::kDone) return {};
      if (*large == Large::kSplit) continue;
    }
    return resolve_empty(cursor, space, id, promise, page, access);
  }
}

// Makes the tables on the way to a page of a clone or of its original its own, as the access needs more than
// they say. False: it does not. Errors: kNoMemory.
template <PageTableSink Sink>
[[gnu::noinline]] Result<bool> Engine<Sink>::own_for(const Space& space, Gva va, Access access) {
  Cursor<Sink> cursor(tables_, space.root, va);
  if (access != Access::kWrite && (cursor.level() == 1 || cursor.at_large_page()) &&
      cursor.entry().present() && allows(cursor.entry().perm() & cursor.path_rights(), access)) {
    return false;
  }
  Batch batch(sink_, frames_, counters_, space.root, FlushScope::kSpace);
  const auto owned = cursor.own(1, batch);
  batch.flush();
  if (!owned) return Fail(owned.error());
  return true;
}

template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline Result<void> Engine<Sink>::resolve_empty(Cursor<Way>& cursor, Space& space,
                                                                       SpaceId id, const Promise& promise,
                                                                       u64 page, Access access) {
  const RegionSpec& region = promise.region;
  if (!way<Way>().plain_tables() && cursor.level() == 2 && Format::table_index(cursor.va(), 1) == 0 &&
      (promise.object != nullptr || space.ahead.paid_to_edge()) &&
      fill_next_table(space, id, promise, cursor.va(), page, access)) [[unlikely]] {
    return {};
  }
  Perm perm = region.perm;
  Result<Frame> frame = Fail(Status::kNoMemory);
  bool fresh = true;  // nobody but this entry refers to the frame
  bool ahead = promise.pattern != AccessPattern::kRandom;
  if (promise.object == nullptr) {
    frame = zeroed_frame(FrameKind::kAnon);
  } else if (region.sharing == Sharing::kPrivate && access == Access::kWrite) {
    const std::optional<Frame> source = find_page(*promise.object, frames_, page);
    frame = source ? copied_frame(*source) : zeroed_frame(FrameKind::kAnon);
    ahead = false;
  } else {
    frame = object_frame(*promise.object, region.object, page);
    fresh = false;
    if (region.sharing == Sharing::kPrivate) perm = without_write(perm);
  }
  if (!frame) return Fail(frame.error());
  if (ahead) {
    if (follows_touched(cursor) ||
        (promise.pattern == AccessPattern::kSequential && make_leaf_table(cursor))) {
      go_ahead(cursor.leaf(), cursor.va(), space, id, promise, page, access);
    } else if (Format::table_index(cursor.va(), 1) == 0 && space.ahead.paid_to_edge() &&
               space.ahead.step_before(cursor.va()) != 0) {
      space.ahead.fault_at(cursor.va(), 1);
    } else if (!fresh && region.sharing == Sharing::kPrivate && way<Way>().processor_marks() &&
               make_leaf_table(cursor)) {
      go_around(cursor.leaf(), cursor.va(), id, promise, page, access);
    }
  }
  const auto installed = install(cursor, Entry::leaf(*frame, perm, privilege_of(id), access));
  if (!installed) {
    if (fresh) frames_.free(*frame);
    return installed;
  }
  if (!fresh) ++frames_.meta(*frame).refs;
  ++counters_.entries_written;
  return {};
}

// As the cursor's; what makes tables is there once.
template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline Result<void> Engine<Sink>::install(Cursor<Way>& cursor, Entry leaf) {
  if (cursor.level() != 1) return Cursor<Sink>::install_below(tables_, cursor.slot(), leaf, 1);
  cursor.install_at(Format::table_index(cursor.va(), 1), leaf);
  return {};
}
template <PageTableSink Sink>
template <class Way>
inline Result<void> Engine<Sink>::make_tables(Cursor<Way>& cursor, unsigned lowest) {
  if (cursor.level() <= lowest) return {};
  NOPTE_TRY(Cursor<Sink>::install_below(tables_, cursor.slot(), Entry(), lowest));
  cursor.walk(cursor.va());
  return {};
}

template <PageTableSink Sink>
template <class Way>
[[gnu::always_inline]] inline Result<void> Engine<Sink>::resolve_held(Cursor<Way>& cursor, Space& space,
                                                                      SpaceId id, const Promise& promise,
                                                                      Entry entry, Access access) {
  const RegionSpec& region = promise.region;
  const Frame held = entry.frame();
  FrameMeta& meta = frames_.meta(held);
  const bool ours = meta.kind == FrameKind::kAnon ? meta.refs == 1 : region.sharing == Sharing::kShared;

  if (access == Access::kWrite && !ours) {
    const auto copy = copied_frame(held);
    if (!copy) return Fail(copy.error());
    bool expected = false;
    if (meta.kind != FrameKind::kAnon) {
      // An object's page shows what the object has until this side writes to it: it is never copied sooner.
    } else if (space.copies.open()) {
      expected = entry.dirty() && space.copies.pages() != 0;
      if (entry.dirty() && entry.copied_ahead()) space.copies.was_used();
      frames_.meta(*copy).live = meta.live;
    } else {
      CopyHistory history(meta);
      expected = history.likely();
      history.copied();
    }
    Batch batch(sink_, frames_, counters_, space.root, scope_of(id));
    cursor.replace(Format::table_index(cursor.va(), 1), entry,
                   Entry::leaf(*copy, region.perm, privilege_of(id), access));
    ++counters_.entries_written;
    if (entry.present()) batch.page(cursor.va());
    drop_reference(held, frames_.metas(), batch);
    batch.template flush_here<Way>();
    if (expected && promise.pattern != AccessPattern::kRandom) {
      write_around(cursor, space, promise);
    }
    return {};
  }
  // Rights are only added here: what was taken away was taken by region_protected.
  const Entry desired =
      entry.with_perm(ours ? region.perm : without_write(region.perm))
          .with(access == Access::kWrite ? Entry::kAccessed | Entry::kDirty : Entry::kAccessed);
  if (desired != entry) {
    const bool regains =
        access == Access::kWrite && !entry.writable() && promise.pattern != AccessPattern::kRandom;
    const bool around = regains && !write_ahead(cursor, promise);
    cursor.replace(Format::table_index(cursor.va(), 1), entry, desired);
    ++counters_.entries_written;
    if (regains && entry.dirty() && entry.copied_ahead() && space.copies.open()) space.copies.was_used();
    if (around) write_around(cursor, space, promise);
  }
  return {};
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::zeroed_frame(FrameKind kind) {
  const auto frame = frames_.alloc(kind);
  if (frame) {
    sink_.zero_page(frames_.pointer(*frame));
    ++counters_.frames_zeroed;
  }
  return frame;
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::copied_frame(Frame from) {
  const auto frame = frames_.alloc(FrameKind::kAnon);
  if (frame) {
    sink_.copy_page(frames_.pointer(*frame), frames_.pointer(from));
    ++counters_.frames_copied;
  }
  return frame;
}

template <PageTableSink Sink>
[[gnu::always_inline]] inline void Engine<Sink>::drop_reference(Frame frame, FrameTable::Metas metas,
                                                                Batch& batch) {
  FrameMeta& meta = metas(frame);
  if (--meta.refs == 0) batch.frame(frame, meta);
}

template <PageTableSink Sink>
Result<u8*> Engine<Sink>::object_pointer(ObjectId id, u64 page) {
  MemoryObject* object = find_object(id);
  if (object == nullptr) return Fail(Status::kInvalid);
  if (page >= object->pages) return Fail(Status::kPastEnd);
  const auto frame = object_frame(*object, id, page);
  if (!frame) return Fail(frame.error());
  return frames_.pointer(*frame);
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::object_frame(MemoryObject& object, ObjectId id, u64 page) {
  if (const std::optional<Frame> found = find_page(object, frames_, page)) return *found;
  const auto frame = zeroed_frame(FrameKind::kObject);
  if (!frame) return frame;
  FrameMeta& meta = frames_.meta(*frame);
  meta.back = static_cast<u32>(id);
  meta.index = page;
  if (const auto inserted = insert_page(object, meta_frames(), page, *frame); !inserted) {
    frames_.free(*frame);
    return Fail(inserted.error());
  }
  return frame;
}

}  // namespace nopte::pt
