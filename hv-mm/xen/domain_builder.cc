#include "hv-mm/xen/domain_builder.h"

#include <cstring>

#include "pvops/interfaces/xen.h"
#include "pvops/mm_ops.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr u64 tables_for(u64 entries) { return (entries + pt::kEntriesPerTable - 1) / pt::kEntriesPerTable; }

}  // namespace

Result<void> DomainBuilder::build(const GuestImage& image, u64 first, abi::BootBlock& block) {
  next_ = first;
  const auto list = take(bytes_to_pages(frames_.count() * sizeof(u64)));
  if (!list) return Fail(list.error());
  for (u64 frame = 0; frame < frames_.count(); ++frame) {
    const u64 machine = order_.machine(frame);
    std::memcpy(pointer(*list + (frame * sizeof(u64) >> kPageShift)) + frame * sizeof(u64) % kPageBytes,
                &machine, sizeof(machine));
  }
  block.kind = abi::BootKind::kMachine;
  block.machine_list = abi::kMachineDirectBase + pages_to_bytes(*list);
  block.built_begin = *list;

  const u64 tables_begin = next_;
  const auto direct = build_direct_map(block);
  if (!direct) return Fail(direct.error());
  const auto mapped_image = build_image_map(image);
  if (!mapped_image) return Fail(mapped_image.error());
  const auto root = take(1);
  if (!root) return Fail(root.error());
  link(*root, pt::table_index(Gva(abi::kMachineDirectBase), pt::kLevels), *direct);
  link(*root, pt::table_index(kImageRange.begin, pt::kLevels), *mapped_image);
  block.built_end = next_;
  block.boot_root = *root;
  block.direct_table = *direct;

  // Now that all tables are known: what is one is seen read-only.
  for (u64 frame = 0; frame < frames_.count(); ++frame) {
    const Perm perm = frame >= tables_begin && frame < next_ ? kPermR : kPermRW;
    put(block.direct_leaves + frame / pt::kEntriesPerTable,
        static_cast<unsigned>(frame % pt::kEntriesPerTable), Entry::kernel_leaf(machine_frame(frame), perm));
  }
  return {};
}

// The tables of the direct map, its leaf tables empty; returns that of level 3.
Result<u64> DomainBuilder::build_direct_map(abi::BootBlock& block) {
  const u64 leaves = tables_for(frames_.count()), middle = tables_for(leaves);
  const auto leaf_tables = take(leaves);
  const auto middle_tables = take(middle);
  const auto top = take(1);
  if (!leaf_tables || !middle_tables || !top) return Fail(Status::kNoMemory);
  for (u64 i = 0; i < leaves; ++i) {
    link(*middle_tables + i / pt::kEntriesPerTable, static_cast<unsigned>(i % pt::kEntriesPerTable),
         *leaf_tables + i);
  }
  for (u64 i = 0; i < middle; ++i) link(*top, static_cast<unsigned>(i), *middle_tables + i);
  block.direct_leaves = *leaf_tables;
  return top;
}

// The image where it is linked, writable and executable until the guest maps it itself, as on the bare
// machine's boot tables. Returns the table of level 3.
Result<u64> DomainBuilder::build_image_map(const GuestImage& image) {
  const u64 frames = bytes_to_pages(image.physical_end());
  const u64 leaves = tables_for(frames);
  const auto leaf_tables = take(leaves);
  const auto middle = take(1);
  const auto top = take(1);
  if (!leaf_tables || !middle || !top || leaves > pt::kEntriesPerTable) return Fail(Status::kNoMemory);
  for (u64 i = 0; i < leaves; ++i) {
    const Gva va = kImageRange.begin + i * pt::entry_bytes(2);
    link(*middle, pt::table_index(va, 2), *leaf_tables + i);
  }
  link(*top, pt::table_index(kImageRange.begin, 3), *middle);
  for (const GuestSegment& segment : image.segments()) {
    for (u64 page = 0; page < bytes_to_pages(segment.memory_bytes); ++page) {
      const Gva va = segment.va + pages_to_bytes(page);
      const u64 frame = (segment.guest_physical >> kPageShift) + page;
      const u64 leaf = (va - kImageRange.begin) / pt::entry_bytes(2);
      if (leaf >= leaves) return Fail(Status::kNoMemory);
      put(*leaf_tables + leaf, pt::table_index(va, 1), Entry::kernel_leaf(machine_frame(frame), kPermRWX));
    }
  }
  return top;
}

void DomainBuilder::fill_machine_to_physical(u64* table) const {
  for (u64 frame = 0; frame < frames_.count(); ++frame) {
    table[order_.machine(frame) - frames_.begin()] = frame;
  }
}

Result<u64> DomainBuilder::take(u64 tables) {
  if (tables > frames_.count() - next_) return Fail(Status::kNoMemory);
  const u64 first = next_;
  next_ += tables;
  for (u64 table = first; table < next_; ++table) std::memset(pointer(table), 0, kPageBytes);
  return first;
}

}  // namespace nopte::hv
