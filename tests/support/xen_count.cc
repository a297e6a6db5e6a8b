#include "tests/support/xen_count.h"

#include "pvops/base/panic.h"

namespace nopte::hv::testing {

XenCount::XenCount(const PageTypes& types, u64 reserved, const std::map<u64, unsigned>& pins, u64 base)
    : types_(types), reserved_(reserved), pins_(pins), counts_(types.frames().count()) {
  for (const auto& [frame, level] : pins) count_use(frame, level);
  count_use(base, 4);
  for (const u64 machine : types.unfinished()) {
    const u64 frame = machine - types.frames().begin();
    count_use(frame, static_cast<unsigned>(info(frame).type));
  }
  for (u64 frame = 0; frame < counts_.size(); ++frame) {
    // Checked in part, and not in use.
    if (info(frame).uses == 0 && info(frame).validated != 0) {
      count_entries(frame, static_cast<unsigned>(info(frame).type), info(frame).validated);
    }
  }
}

void XenCount::count_entries(u64 table, unsigned level, u64 end) {
  if (level == 4) NOPTE_ASSERT(end < 512 || raw(table, abi::xen::kReservedSlot) == reserved_);
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
    if (!(e & kXP) || (level == 4 && abi::xen::is_reserved_slot(index))) continue;
    NOPTE_ASSERT((e & ((level == 1 ? 0x0010'0000'0000'0000 : 0x7ff0'0000'0000'0000 | kXG) | kXPs | 0x18)) ==
                 0);
    const u64 frame = ((e & kXFrame) >> 12) - types_.frames().begin();
    NOPTE_ASSERT(frame < counts_.size());
    if (level > 1) {
      count_use(frame, level - 1);
    } else if (e & kXW) {
      count_use(frame, 5);
    } else {
      ++counts_[frame].references;
    }
  }
}
void XenCount::count_use(u64 frame, unsigned type) {
  Count& count = counts_[frame];
  ++count.references;
  const bool first = count.uses[type]++ == 0;
  if (first && type <= 4) {
    // One that is being counted out has entries left up to `validated`.
    count_entries(frame, type, info(frame).validated);
  }
}

void XenCount::check() const {
  const bool settled = types_.unfinished().empty();
  for (u64 frame = 0; frame < counts_.size(); ++frame) {
    const FrameInfo& known = info(frame);
    const Count& count = counts_[frame];
    NOPTE_ASSERT(known.references == count.references);
    NOPTE_ASSERT(known.pinned == pins_.contains(frame));
    u64 uses = 0;
    for (unsigned type = 1; type <= 5; ++type) {
      NOPTE_ASSERT(count.uses[type] == 0 || type == static_cast<unsigned>(known.type));
      uses += count.uses[type];
    }
    NOPTE_ASSERT(known.uses == uses);
    if (settled && uses != 0 && is_table(known.type)) NOPTE_ASSERT(known.validated == 512);
    if (!is_table(known.type)) NOPTE_ASSERT(known.validated == 0);
  }
}

std::map<u64, unsigned> XenCount::pins_of(const PageTypes& types) {
  const MachineFrames& frames = types.frames();
  std::map<u64, unsigned> pins;
  for (u64 frame = 0; frame < frames.count(); ++frame) {
    const FrameInfo& known = frames.info(frames.begin() + frame);
    if (known.pinned) pins[frame] = static_cast<unsigned>(known.type);
  }
  return pins;
}

}  // namespace nopte::hv::testing
