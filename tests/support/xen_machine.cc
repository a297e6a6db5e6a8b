#include "tests/support/xen_machine.h"

namespace nopte::hv::testing {

void XenMachine::count_entries(std::vector<Count>& counts, u64 table, unsigned level, u64 end) {
  if (level == 4) NOPTE_ASSERT(end < 512 || raw(table, abi::xen::kReservedSlot) == kReserved);
  for (u64 index = 0; index < end; ++index) {
    if (index % 8 == 0) {  // most tables are sparse
      u64 any = 0;
      for (u64 i = 0; i < 8; ++i) any |= raw(table, index + i);
      if (!(any & kXP)) {
        index += 7;
        continue;
      }
    }
    const u64 e = raw(table, index);
    if (!(e & kXP) || (level == 4 && index == abi::xen::kReservedSlot)) continue;
    NOPTE_ASSERT((e & (0x7ff0'0000'0000'0000 | kXPs | 0x18 | (level == 1 ? 0 : kXG))) == 0);
    const u64 frame = ((e & kXFrame) >> 12) - kBegin;
    NOPTE_ASSERT(frame < frames_);
    if (level > 1) {
      count_use(counts, frame, level - 1);
    } else if (e & kXW) {
      count_use(counts, frame, 5);
    } else {
      ++counts[frame].references;
    }
  }
}
void XenMachine::count_use(std::vector<Count>& counts, u64 frame, unsigned type) {
  Count& count = counts[frame];
  ++count.references;
  const bool first = count.uses[type]++ == 0;
  if (first && type <= 4) {
    // One that is being counted out has entries left up to `validated`.
    count_entries(counts, frame, type, infos_[frame].validated);
  }
}

void XenMachine::check() {
  std::vector<Count> counts(frames_);
  for (const auto& [frame, level] : pins_) count_use(counts, frame, level);
  count_use(counts, base_, 4);
  for (const u64 frame : types.unfinished()) {
    count_use(counts, frame - kBegin, static_cast<unsigned>(infos_[frame - kBegin].type));
  }
  for (u64 frame = 0; frame < frames_; ++frame) {
    const FrameInfo& info = infos_[frame];
    // Checked in part, and not in use.
    if (info.uses == 0 && info.validated != 0) {
      count_entries(counts, frame, static_cast<unsigned>(info.type), info.validated);
    }
  }
  const bool settled = types.unfinished().empty();
  for (u64 frame = 0; frame < frames_; ++frame) {
    const FrameInfo& info = infos_[frame];
    const Count& count = counts[frame];
    NOPTE_ASSERT(info.references == count.references);
    NOPTE_ASSERT(info.pinned == pins_.contains(frame));
    u64 uses = 0;
    for (unsigned type = 1; type <= 5; ++type) {
      NOPTE_ASSERT(count.uses[type] == 0 || type == static_cast<unsigned>(info.type));
      uses += count.uses[type];
    }
    NOPTE_ASSERT(info.uses == uses);
    if (settled && uses != 0 && is_table(info.type)) NOPTE_ASSERT(info.validated == 512);
    if (!is_table(info.type)) NOPTE_ASSERT(info.validated == 0);
  }
  // A translation that was made before is kept by some processor.
  for (const auto& [page, cached] : tlb_) {
    const FrameInfo& info = infos_[cached.frame];
    NOPTE_ASSERT(!cached.writable || info.uses == 0 || !is_table(info.type));
    for (const u64 table : cached.tables) {
      NOPTE_ASSERT(infos_[table].uses == 0 || infos_[table].type != FrameType::kWritable);
    }
  }
}

}  // namespace nopte::hv::testing
