// Engine: large pages, leaves of 2 MiB that programs' anonymous memory gets instead of a table of small ones.
// Included by engine.h.
//
// A large page lies inside one region, and shows a block (block.h). It is installed whole, at the first touch
// of what it maps, where there is a block and no table yet; else small pages do. What happens to all of it
// happens to the leaf; what happens to a part first puts a table of small leaves in its place, which shows
// the same. Ends of a range that lie amidst one are split before anything else, so that only that may fail
// for want of memory.
//
// After a clone both sides' leaves are read-only, as small ones are. The side that writes takes the leaf's
// rights back when the block is its alone; else it splits, and copies the page that it writes.
#pragma once

namespace nopte::pt {

// A fault where no leaf table is: at a large page, or where one may be installed. With a cursor of its own:
// that of other faults stays in registers.
template <PageTableSink Sink>
auto Engine<Sink>::resolve_large(Space& space, SpaceId id, const Promise& promise, Gva va, Access access)
    -> Result<Large> {
  Cursor<Sink> cursor(tables_, space.root, va);
  const RegionSpec& region = promise.region;
  const bool inside = region.range.contains(cursor.large_page());
  const Entry entry = cursor.entry();
  if (entry.empty()) {
    return inside && id != SpaceId::kKernel && give_large(cursor, space, promise, access) ? Large::kDone
                                                                                          : Large::kNone;
  }
  const bool ours = blocks_.has_one(entry.large_frame());
  if (!inside || (access == Access::kWrite && !ours)) {
    NOPTE_TRY(split_large(cursor));
    return Large::kSplit;
  }
  const Entry desired =
      entry.with_perm(ours ? region.perm : without_write(region.perm))
          .with(access == Access::kWrite ? Entry::kAccessed | Entry::kDirty : Entry::kAccessed);
  if (desired != entry) {
    cursor.replace_large_page(entry, desired);
    ++counters_.entries_written;
  }
  return Large::kDone;
}

// Installs a large page at the cursor, if there is to be one and there is a block.
template <PageTableSink Sink>
bool Engine<Sink>::give_large(Cursor<Sink>& cursor, Space& space, const Promise& promise, Access access) {
  const bool wanted = wants_large(promise);
  if ((!wanted && !earned_large(space, promise, cursor.va()))) return false;
  const auto block = frames_.alloc_block();
  if (!block) return false;
  if (!cursor.make_tables(2)) {
    frames_.free_block(*block);
    return false;
  }
  work::did(work::Unit::kPage, kBlockFrames - 1);  // and the one that is touched
  for (u64 i = 0; i < kBlockFrames; ++i) sink_.zero_page(frames_.pointer(*block + i));
  counters_.frames_zeroed += kBlockFrames;
  cursor.install_large_page(
      Entry::leaf(*block, promise.region.perm, Privilege::kUser, access).as_large(*block));
  ++counters_.entries_written;
  ++counters_.large_pages;
  space.shares = true;
  if (!wanted) {
    space.ahead.pay(cursor.large_page().end, kBlockFrames - 1);
    counters_.pages_ahead += kBlockFrames - 1;
  }
  return true;
}

// Puts a table of small leaves in the large page's place, and the cursor there. Precondition: mine(). Errors:
// kNoMemory, nothing has changed.
template <PageTableSink Sink>
Result<void> Engine<Sink>::split_large(Cursor<Sink>& cursor) {
  const Frame block = cursor.entry().large_frame();
  NOPTE_TRY(cursor.split());
  work::did(work::Unit::kTable);
  blocks_.split_large(block);
  ++counters_.large_split;
  return {};
}

// What a leaf showed that is gone. A block is no matter for the batch, which has no room for one.
template <PageTableSink Sink>
void Engine<Sink>::drop_large(Entry entry, Batch& batch) {
  const Frame block = entry.large_frame();
  const auto left =
      blocks_.drop_large(block, [&](Frame frame, FrameMeta& meta) { batch.frame(frame, meta); });
  if (left == Blocks::Left::kNothing) {
    batch.flush();
    frames_.free_block(block);
  }
  work::did(work::Unit::kPage, left == Blocks::Left::kSome ? kBlockFrames : 1);
}

template <PageTableSink Sink>
void Engine<Sink>::zap_large(Cursor<Sink>& cursor, Space& space, Batch& batch) {
  // Whether it was used is not known.
  if (space.ahead.paid()) note_gone(space, cursor.large_page(), kBlockFrames - 1);
  const Entry entry = cursor.remove_large_page();
  ++counters_.entries_written;
  if (entry.present()) batch.page(cursor.va());
  drop_large(entry, batch);
  cursor.prune(batch);
}

template <PageTableSink Sink>
void Engine<Sink>::protect_large(Cursor<Sink>& cursor, Perm perm, Batch& batch) {
  const Entry entry = cursor.entry();
  const bool may_write = entry.writable() || blocks_.has_one(entry.large_frame());
  const Entry desired = entry.with_perm(may_write ? perm : without_write(perm));
  if (desired == entry) return;
  cursor.replace_large_page(entry, desired);
  ++counters_.entries_written;
  if (entry.present() && desired.lacks_rights_of(entry)) batch.page(cursor.va());
}

// The clone gets the large page at va too; both sides lose the right to write. Errors: kNoMemory.
template <PageTableSink Sink>
Result<void> Engine<Sink>::share_large(Frame parent, Frame child, Gva va) {
  Cursor<Sink> to(tables_, child);
  to.walk(va);
  NOPTE_TRY(to.make_tables(2));
  Cursor<Sink> from(tables_, parent);
  from.walk(va);
  const Entry entry = from.entry();
  const Entry shared = entry.without(Entry::kWritable);
  if (shared != entry) from.replace_large_page(entry, shared);
  blocks_.add_large(entry.large_frame());
  to.install_large_page(shared);
  counters_.entries_written += 2;
  return {};
}

// A move comes to a large page, of which `part` moves to `there`. True: it can go whole; false: it was split.
// Errors: kNoMemory.
template <PageTableSink Sink>
Result<bool> Engine<Sink>::make_large_way(Cursor<Sink>& source, VaRange part, Cursor<Sink>& destination,
                                          Gva there, Batch& batch) {
  if (part == source.large_page() && there.value() % Format::table_bytes(1) == 0) {
    NOPTE_TRY(own(source, 2, batch));
    destination.walk(there);
    NOPTE_TRY(own(destination, 2, batch));
    NOPTE_TRY(destination.make_tables(2));
    if (destination.level() == 2 && !destination.kept()) return true;
  }
  NOPTE_TRY(own(source, 1, batch));
  NOPTE_TRY(split_large(source));
  return false;
}

}  // namespace nopte::pt
