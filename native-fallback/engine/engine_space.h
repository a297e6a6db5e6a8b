// Engine: making, copying, destroying and looking at spaces. Included by engine.h.
#pragma once

namespace nopte::pt {

template <PageTableSink Sink>
Result<SpaceId> Engine<Sink>::space_create(const RegionSource& promised) {
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

template <PageTableSink Sink>
Result<SpaceId> Engine<Sink>::space_clone(SpaceId parent_id, const RegionSource& promised) {
  if (parent_id == SpaceId::kKernel) return Fail(Status::kInvalid);
  const Space* parent = find_space(parent_id);
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

template <PageTableSink Sink>
Result<void> Engine<Sink>::clone_tables(const Space& parent, const Space& child) {
  Batch batch(sink_, frames_, counters_, parent.root, FlushScope::kSpace);
  Cursor<Sink> from(tables_, parent.root);
  Result<void> result;
  for (Gva va = Format::kUserRange.begin; result && from.seek_leaf_table(va, Format::kUserRange.end);
       va = from.table_end()) {
    result = clone_leaf_table(from, child, batch);
  }
  batch.flush();
  return result;
}

// Copies the private pages of one leaf table: both sides lose the right to write, and share.
template <PageTableSink Sink>
Result<void> Engine<Sink>::clone_leaf_table(Cursor<Sink>& from, const Space& child, Batch& batch) {
  Cursor<Sink> to(tables_, child.root);
  Frame table;  // made at the first page
  FillerOf<Sink> filler;
  u64 copied = 0;
  Result<void> result;
  LazyUpdates lazy(sink_);
  typename Cursor<Sink>::Edits edits(from);
  from.for_each(0, Format::kEntriesPerTable - 1,
                [&](unsigned index, Entry entry) __attribute__((always_inline)) {
                  work::did(work::Unit::kPage);
                  FrameMeta& page = frames_.meta(entry.frame());
                  if (page.kind != FrameKind::kAnon) return true;  // an object's page: faults find it again
                  if (copied == 0) {
                    const auto made = leaf_table_for(to, from.va());
                    if (!made) {
                      result = Fail(made.error());
                      return false;
                    }
                    table = *made;
                    filler = sink_.filler(table);
                  }
                  ++page.refs;
                  const Entry shared = entry.without(Entry::kWritable);
                  if (entry.writable()) {
                    edits.replace(index, entry, shared);
                    batch.page(from.leaf_va(index));
                  }
                  filler.fill(index, shared);
                  ++copied;
                  return true;
                });
  if (copied != 0) {
    FrameMeta& meta = frames_.meta(table);
    meta.live = static_cast<u16>(copied);
    meta.back = from.leaf_meta().back;
    counters_.entries_written += copied;
    to.link_table(table, 1);
  }
  return result;
}

// A private leaf table for va, with everything above it in place. Errors: kNoMemory.
template <PageTableSink Sink>
Result<Frame> Engine<Sink>::leaf_table_for(Cursor<Sink>& cursor, Gva va) {
  cursor.walk(va);
  if (const auto made = cursor.make_tables(2); !made) return Fail(made.error());
  return tables_.make(1);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::space_empty(SpaceId id, Checkpoint* checkpoint) {
  if (id == SpaceId::kKernel) return Fail(Status::kInvalid);
  Space* space = find_space(id);
  if (space == nullptr) return Fail(Status::kInvalid);
  if (space->emptied) return {};
  if (sink_.runs(space->root)) return Fail(Status::kBusy);
  if (!space->retired) {
    sink_.root_retire(space->root);
    space->retired = true;  // its regions stay known to promised(), but no fault asks them
  }
  Batch batch(sink_, frames_, counters_, space->root, FlushScope::kSpace);
  const bool done = free_below(space->root, Format::kLevels, batch, checkpoint);
  if (done) batch.table(space->root);
  batch.flush();
  if (!done) return Fail(Status::kAgain);
  space->emptied = true;
  return {};
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::space_destroy(SpaceId id, Checkpoint* checkpoint) {
  NOPTE_TRY(space_empty(id, checkpoint));
  if (id == activated_id_) {
    activated_id_ = SpaceId::kKernel;
    activated_ = &kernel_;
  }
  spaces_.remove(frames_, static_cast<u32>(id));
  return {};
}

// Frees what the user entries of a table of a retired root lead to. False: stopped at the checkpoint, with
// what is gone taken out.
template <PageTableSink Sink>
bool Engine<Sink>::free_below(Frame table, unsigned level, Batch& batch, Checkpoint* checkpoint) {
  FrameMeta& meta = frames_.meta(table);
  if (level == 1) {
    for_each_entry(sink_, meta, table, 0, Format::kEntriesPerTable - 1,
                   [&](unsigned, Entry entry) __attribute__((always_inline)) {
                     work::did(work::Unit::kPage);
                     drop_reference(entry.frame(), batch);
                     return true;
                   });
    return true;
  }
  const unsigned last = level == Format::kLevels
                            ? Format::table_index(Format::kUserRange.end - 1, Format::kLevels)
                            : Format::kEntriesPerTable - 1;
  for (TableScan<Sink> scan(sink_, meta, table, 0, last); scan.next();) {
    const Frame child = scan.entry().frame();
    if (!free_below(child, level - 1, batch, checkpoint)) {
      forget_entries(table, scan.index());
      return false;
    }
    --frames_.meta(child).refs;
    batch.table(child);
    work::did(work::Unit::kNode);
    if (level == 2 && checkpoint != nullptr && checkpoint->should_stop(Gva())) {
      forget_entries(table, scan.index() + 1);
      return false;
    }
  }
  return true;
}

// What the first `count` entries of a table of a retired root led to is gone.
template <PageTableSink Sink>
void Engine<Sink>::forget_entries(Frame table, unsigned count) {
  if (count == 0) return;
  FrameMeta& meta = frames_.meta(table);
  const FillerOf<Sink> filler = sink_.filler(table);
  for (TableScan<Sink> scan(sink_, meta, table, 0, count - 1); scan.next();) {
    filler.fill(scan.index(), Entry());
    note_emptied(meta);
  }
}

// On the way of every switch between processes.
template <PageTableSink Sink>
inline Result<void> Engine<Sink>::space_activate(SpaceId id) {
  Space* space = find_space(id);
  if (space == nullptr || space->retired) return Fail(Status::kInvalid);
  activated_id_ = id;
  activated_ = space;
  sink_.root_activate(space->root);
  return {};
}

template <PageTableSink Sink>
Result<Frame> Engine<Sink>::root(SpaceId id) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired) return Fail(Status::kInvalid);
  return space->root;
}

template <PageTableSink Sink>
auto Engine<Sink>::peek(SpaceId id, Gva va) const -> std::optional<Installed> {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired || !Format::canonical(va)) return std::nullopt;
  const Cursor<Sink> cursor(tables_, Format::kernel_half(va) ? kernel_.root : space->root, va);
  return installed_at(cursor, cursor.entry());
}

template <PageTableSink Sink>
Result<u64> Engine<Sink>::region_resident(SpaceId id, VaRange range) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired || !valid_range(id, range) || range.pages() > kMostResident) {
    return Fail(Status::kInvalid);
  }
  u64 resident = 0;
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
      if (cached || peek(id, va)) resident |= u64{1} << ((va - range.begin) / kPageBytes);
    }
  }
  return resident;
}

template <PageTableSink Sink>
auto Engine<Sink>::installed_at(const Cursor<Sink>& cursor, Entry entry) const -> std::optional<Installed> {
  const bool large = cursor.level() > 1 && entry.holds_frame() && entry.large();
  if (entry.empty() || (cursor.level() > 1 && !large)) return std::nullopt;
  return Installed{entry, cursor.level(), entry.perm() & cursor.path_rights(),
                   entry.user() && cursor.path_user()};
}

template <PageTableSink Sink>
template <class Visit>
void Engine<Sink>::for_each_installed(SpaceId id, Visit visit) const {
  const Space* space = find_space(id);
  if (space == nullptr || space->retired) return;
  const VaRange half = id == SpaceId::kKernel ? Format::kWindowRange : Format::kUserRange;
  Cursor<Sink> cursor(tables_, space->root);
  for (Gva va = half.begin; cursor.seek_leaf_table(va, half.end); va = cursor.table_end()) {
    for (auto scan = cursor.scan(); scan.next();) {
      visit(cursor.leaf_va(scan.index()), *installed_at(cursor, scan.entry()));
    }
  }
}

}  // namespace nopte::pt
