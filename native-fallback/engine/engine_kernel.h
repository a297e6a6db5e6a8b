// Engine: the kernel space, shared by all roots through top-level slots that never change. Included by
// engine.h.
#pragma once

namespace nopte::pt {

// visit(address) for each top-level slot that the kernel's ranges use, ascending.
template <PageTableFormat Format, class Visit>
constexpr void for_each_kernel_slot(Visit visit) {
  unsigned last = 0;  // the kernel's is the upper part
  for (const VaRange range :
       {Format::kDirectRange, Format::kWindowRange, Format::kKmemRange, Format::kImageRange}) {
    for (u64 offset = 0; offset < range.bytes(); offset += Format::entry_bytes(Format::kLevels)) {
      const unsigned index = Format::table_index(range.begin + offset, Format::kLevels);
      if (index != last) visit(range.begin + offset);
      last = index;
    }
  }
}
template <PageTableFormat Format>
consteval unsigned kernel_slot_count() {
  unsigned count = 0;
  for_each_kernel_slot<Format>([&](Gva) { ++count; });
  return count;
}
template <PageTableFormat Format>
inline constexpr auto kKernelSlots = [] {
  std::array<Gva, kernel_slot_count<Format>()> slots;
  unsigned next = 0;
  for_each_kernel_slot<Format>([&](Gva va) { slots[next++] = va; });
  return slots;
}();

template <PageTableSink Sink>
Result<void> Engine<Sink>::init(std::optional<Frame> direct_table) {
  if (Format::kPoolLimit < frames_.covered().end) return Fail(Status::kInvalid);
  const auto root = tables_.make(Format::kLevels);
  if (!root) return Fail(root.error());
  for (const Gva begin : kKernelSlots<Format>) {
    // Where the root itself can hold the direct map's leaves, map_direct fills it.
    if (Format::kLargestLeaf == Format::kLevels && Format::kDirectRange.contains(begin)) continue;
    if (direct_table && begin == Format::kDirectRange.begin) {
      frames_.adopt(*direct_table, FrameKind::kTable);
      fill_root(*root, begin, *direct_table, Privilege::kKernel);
    } else {
      NOPTE_TRY(make_in_root(*root, begin, Privilege::kKernel));
    }
  }
  kernel_.root = *root;
  sink_.root_create(*root);
  return {};
}

// An empty table below a private root. Errors: kNoMemory.
template <PageTableSink Sink>
Result<void> Engine<Sink>::make_in_root(Frame root, Gva va, Privilege privilege) {
  const auto table = tables_.make(Format::kLevels - 1);
  if (!table) return Fail(table.error());
  sink_.publish(*table, Format::kLevels - 1, va);
  fill_root(root, va, *table, privilege);
  return {};
}

template <PageTableSink Sink>
void Engine<Sink>::fill_root(Frame root, Gva va, Frame table, Privilege privilege) {
  frames_.meta(table).refs = 1;
  tables_.fill(root, Format::table_index(va, Format::kLevels),
               Format::table_entry(table, privilege, Format::kLevels));
}

// A root whose kernel slots are the kernel's; private until the sink's root_create. Errors: kNoMemory.
template <PageTableSink Sink>
Result<Frame> Engine<Sink>::new_root() {
  const auto root = tables_.make(Format::kLevels);
  if (!root) return root;
  if constexpr (Format::kFixedRoot) {
    for (Gva va; va < Format::kUserRange.end; va += Format::entry_bytes(Format::kLevels)) {
      const auto filled = make_in_root(*root, va, Privilege::kUser);
      if (filled) continue;
      Batch unused(sink_, frames_, counters_, *root, FlushScope::kSpace);
      (void)free_below(*root, Format::kLevels, unused, nullptr);
      unused.flush();
      tables_.discard(*root);
      return Fail(filled.error());
    }
  }
  fill_kernel_slots(*root, Slots::kKernels);
  sink_.root_create(*root);
  return root;
}

// The kernel's slots of a private root. Not counted as live: live entries of a space's root are its own.
template <PageTableSink Sink>
[[gnu::noinline]] void Engine<Sink>::fill_kernel_slots(Frame root, Slots with) {
  choose_way(
      sink_,
      []<class Way>(Engine* engine, Frame filled, Slots slots) {
        Way& sink = engine->way<Way>();
        const FillerOf<Way> filler = sink.filler(filled);
        const Frame kernel = engine->kernel_.root;
        for (const Gva begin : kKernelSlots<Format>) {
          const Slot slot = Slot::of<Format>(kernel, kernel, begin, Format::kLevels);
          filler.fill(slot.index, slots == Slots::kEmpty ? Entry() : sink.read(slot));
        }
      },
      this, root, with);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::install_kernel(Gva va, Entry leaf, unsigned level) {
  Cursor<Sink> cursor(tables_, kernel_.root);
  cursor.walk(va);
  if (cursor.level() < level || !cursor.entry().empty()) return Fail(Status::kInvalid);
  ++counters_.entries_written;
  return cursor.install(leaf, level);
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::map_kernel_frames(Gva begin, FrameRange frames, Perm perm) {
  const VaRange range = VaRange::of_pages(begin, frames.frames());
  if (!range.page_aligned() || range.empty() || !Format::kImageRange.contains(range) || perm.none()) {
    return Fail(Status::kInvalid);
  }
  for (u64 i = 0; i < frames.frames(); ++i) {
    NOPTE_TRY(install_kernel(begin + pages_to_bytes(i), Entry::kernel_leaf(frames.begin + i, perm)));
  }
  return {};
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::map_kernel_image(Gva begin, u64 pages, std::span<const u8> contents, Perm perm) {
  const VaRange range = VaRange::of_pages(begin, pages);
  if (!begin.page_aligned() || pages == 0 || pages > Format::kImageRange.pages() ||
      !Format::kImageRange.contains(range) || contents.size() > range.bytes() || perm.none()) {
    return Fail(Status::kInvalid);
  }
  for (u64 i = 0; i < pages; ++i) {
    const auto frame = zeroed_frame(FrameKind::kKernel);
    if (!frame) return Fail(frame.error());
    const u64 offset = pages_to_bytes(i);
    if (offset < contents.size()) {
      const u64 left = contents.size() - offset;
      __builtin_memcpy(frames_.pointer(*frame), contents.data() + offset,
                       left < kPageBytes ? left : kPageBytes);
    }
    const auto installed = install_kernel(begin + offset, Entry::kernel_leaf(*frame, perm));
    if (!installed) {
      frames_.free(*frame);
      return installed;
    }
  }
  return {};
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::map_direct(FrameRange range, Caching caching) {
  constexpr u64 kLargeFrames = Format::entry_bytes(2) >> kPageShift;
  if (range.empty() || pages_to_bytes(range.end.number()) > Format::kDirectRange.bytes())
    return Fail(Status::kInvalid);
  if (Format::kLargestLeaf == Format::kLevels && spaces_.count() != 0) return Fail(Status::kBusy);
  for (Frame frame = range.begin; frame < range.end;) {
    const Gva va = Format::kDirectRange.begin + frame.address().value();
    const bool large =
        sink_.large_leaves() && frame.number() % kLargeFrames == 0 && range.end - frame >= kLargeFrames;
    const auto installed = large ? install_kernel(va, Entry::large_kernel_leaf(frame, kPermRW, caching), 2)
                                 : install_kernel(va, Entry::kernel_leaf(frame, kPermRW, caching));
    NOPTE_TRY(installed);
    frame = frame + (large ? kLargeFrames : 1);
  }
  return {};
}

template <PageTableSink Sink>
Result<void> Engine<Sink>::commit(Gva va) {
  const auto frame = zeroed_frame(FrameKind::kKernel);
  if (!frame) return Fail(frame.error());
  const auto installed = install_kernel(va, Entry::kernel_leaf(*frame, kPermRW));
  if (!installed) frames_.free(*frame);
  return installed;
}

template <PageTableSink Sink>
Result<u8*> Engine<Sink>::kernel_pointer(Gva va) {
  if (!Format::kKmemRange.contains(va) && !Format::kImageRange.contains(va)) return Fail(Status::kInvalid);
  const auto installed = peek(SpaceId::kKernel, va);
  if (!installed || installed->level != 1) return Fail(Status::kInvalid);
  return frames_.pointer(installed->entry.frame()) + va.page_offset();
}

template <PageTableSink Sink>
void Engine<Sink>::shut_down() {
  (void)zap(SpaceId::kKernel, kernel_, Format::kWindowRange, Whose::kOwn, nullptr);
  (void)zap(SpaceId::kKernel, kernel_, Format::kKmemRange, Whose::kOwn, nullptr);
  Batch batch(sink_, frames_, counters_, kernel_.root, FlushScope::kKernel);
  sink_.root_retire(kernel_.root);
  constexpr Gva kUpper(Format::kDirectRange.begin.value() & ~(Format::table_bytes(Format::kLevels) - 1));
  free_kernel_tables(kernel_.root, Format::kLevels, kUpper, batch);
  batch.page(Gva(0));
  batch.flush();
  kmem_.release(frames_);
  spaces_.release(frames_);
  objects_.release(frames_);
}

// Frees a table of the retired kernel root, which maps addresses from `begin` on, and what lies below:
// tables, and image pages that are the pool's.
template <PageTableSink Sink>
void Engine<Sink>::free_kernel_tables(Frame table, unsigned level, Gva begin, Batch& batch) {
  const unsigned last = Format::entries(level) - 1;
  for (TableScan<Sink> scan(sink_, frames_.meta(table), table, 0, last); scan.next();) {
    const Entry entry = scan.entry();
    const Gva va = begin + scan.index() * Format::entry_bytes(level);
    if (level != 1 && !entry.large()) {
      free_kernel_tables(entry.frame(), level - 1, va, batch);
      continue;
    }
    // The direct map shows frames that others own.
    if (!Format::kDirectRange.contains(va) && frames_.covers(entry.frame()) &&
        frames_.meta(entry.frame()).kind == FrameKind::kKernel) {
      drop_reference(entry.frame(), frames_.metas(), batch);
    }
  }
  batch.table(table);
}

}  // namespace nopte::pt
