#include "hv-mm/xen/page_types.h"

#include "pvops/base/panic.h"

namespace nopte::hv {

using pt::Entry;

namespace {

constexpr u64 kSharedBits = Entry::kPresent | Entry::kWritable | Entry::kUser | Entry::kAccessed |
                            Entry::kDirty | Entry::kSoftwareMask | Entry::kFrameMask | Entry::kNoExecute;

// Those that the processor leaves to software and Xen to its guests: all but bit 52.
constexpr u64 kHighSoftwareBits = u64{0x3ff} << 53;

// What a present entry may have set.
constexpr u64 allowed_bits(unsigned level) {
  return level == 1 ? kSharedBits | Entry::kGlobal | kHighSoftwareBits : kSharedBits;
}

// Xen answers so where what is to be a table cannot be one.
constexpr XenErrno as_invalid(XenErrno error) {
  return error == XenErrno::kNone || error == XenErrno::kRestart ? error : XenErrno::kInval;
}

constexpr bool is_reserved(unsigned level, unsigned index) {
  return level == pt::kLevels && abi::xen::is_reserved_slot(index);
}

void fill_reserved(u8* root, Entry first) {
  for (unsigned i = 0; i < abi::xen::kReservedSlots; ++i) {
    pt::store_entry(root, abi::xen::kReservedSlot + i, i == 0 ? first : Entry());
  }
}
// Most tables are sparse: entries are looked at by groups first.
bool any_present(const u8* table, unsigned group) {
  constexpr unsigned kGroup = PageTypes::kGroup;
  // The hypervisor's slots are whole groups.
  static_assert(abi::xen::kReservedSlot % kGroup == 0 && abi::xen::kReservedSlots % kGroup == 0);
  u64 any = 0;
#pragma GCC unroll 8
  for (unsigned i = 0; i < kGroup; ++i) any |= pt::load_entry(table, group * kGroup + i).word();
  return (any & Entry::kPresent) != 0;
}

// Present entries that count alike: the same frame, used the same way.
constexpr bool counts_alike(Entry a, Entry b, unsigned level) {
  const u64 counted = Entry::kPresent | Entry::kFrameMask | (level == 1 ? Entry::kWritable : 0);
  return ((a.word() ^ b.word()) & counted) == 0;
}

// More rights, or the same for the same frame, lose nothing.
constexpr bool loses(Entry old, Entry entry) {
  constexpr u64 kGained = Entry::kWritable | Entry::kUser | Entry::kAccessed | Entry::kDirty;
  return ((old.word() ^ entry.word()) & ~(kGained | Entry::kSoftwareMask | kHighSoftwareBits)) != 0 ||
         (old.word() & ~entry.word() & kGained) != 0;
}

}  // namespace

bool PageTypes::finish() {
  while (unfinished_count_ != 0) {
    if (!end_use(unfinished_[unfinished_count_ - 1])) return false;
    --unfinished_count_;
  }
  return true;
}

XenErrno PageTypes::update(u64 frame, unsigned index, Entry entry, bool preserve) {
  if (!frames_.owns(frame)) return XenErrno::kPerm;
  const FrameInfo& info = frames_.info(frame);
  if (info.uses == 0 || !is_table(info.type)) {
    // Memory like any other (a table that nothing present leads to, for one): a plain store.
    if (const XenErrno error = hold_writable(frame); error != XenErrno::kNone) return error;
    pt::store_entry(frames_.pointer(frame), index, entry);
    release_writable(frame);
    return XenErrno::kNone;
  }
  const unsigned level = level_of(info.type);
  if (is_reserved(level, index)) return XenErrno::kInval;
  u8* const table = frames_.pointer(frame);
  const Entry old = pt::load_entry(table, index);
  const bool alike = old.present() && counts_alike(old, entry, level);
  if (entry.present()) {
    if (entry.word() & ~allowed_bits(level)) return XenErrno::kInval;
    if (!alike) {
      if (const XenErrno error = count_in(entry, level); error != XenErrno::kNone) return error;
    }
  }
  // The vCPU is stopped: nobody sets A or D meanwhile.
  pt::store_entry(table, index,
                  preserve ? entry.with(old.word() & (Entry::kAccessed | Entry::kDirty)) : entry);
  ++counters_.entries_written;
  if (old.present() && (!flush_.others || level > 1) && loses(old, entry)) {
    flush_.others = lost_ = true;
    way_lost_ = way_lost_ || level > 1;
  }
  if (old.present() && !alike && !count_out(old, level)) {
    unfinished_[unfinished_count_++] = old.frame().number();
  }
  return XenErrno::kNone;
}

XenErrno PageTypes::pin(u64 frame, unsigned level) {
  if (!frames_.owns(frame)) return XenErrno::kInval;
  FrameInfo& info = frames_.info(frame);
  if (info.pinned) return XenErrno::kInval;
  if (const XenErrno error = use(frame, table_type(level)); error != XenErrno::kNone)
    return as_invalid(error);
  info.pinned = true;
  ++counters_.pins;
  return XenErrno::kNone;
}

XenErrno PageTypes::unpin(u64 frame) {
  if (!frames_.owns(frame)) return XenErrno::kInval;
  FrameInfo& info = frames_.info(frame);
  if (!info.pinned) return XenErrno::kInval;
  info.pinned = false;
  ++counters_.unpins;
  end_use_later(frame);
  return XenErrno::kNone;
}

XenErrno PageTypes::set_base(u64 frame) {
  if (const XenErrno error = use(frame, FrameType::kL4); error != XenErrno::kNone) return as_invalid(error);
  const u64 old = base_;
  base_ = frame;
  ++counters_.bases;
  if (old == kNoBase) {
    flush_everything();
  } else {
    change_flush(old);
    end_use_later(old);
  }
  return XenErrno::kNone;
}

// What was lost with `old` as the base, it will not know when it is loaded again, as on a processor. A base
// that is loaded is flushed where it is the old one, or what was lost in this call may be its.
void PageTypes::change_flush(u64 old) {
  flush_.base = old == base_ || flush_.others;
  flush_.others = flush_.others || (old != base_ && lost_);
  flush_.count = 0;
  lost_ = way_lost_ = false;
}

// Counts one more use of the frame, as `type`.
XenErrno PageTypes::use(u64 frame, FrameType type) {
  if (!frames_.owns(frame)) return XenErrno::kPerm;
  FrameInfo& info = frames_.info(frame);
  if (info.uses != 0) {
    if (info.type != type) return XenErrno::kBusy;
  } else {
    if (info.type != type) {
      if (info.validated != 0 && !invalidate(frame, info)) return XenErrno::kRestart;
      if (info.stamp == clock_) {
        flush_everything();
        ++counters_.type_flushes;
      }
      info.type = type;
    }
    if (is_table(type)) return begin_table(frame, info);
  }
  ++info.uses;
  ++info.references;
  return XenErrno::kNone;
}

// The first use of a table.
XenErrno PageTypes::begin_table(u64 frame, FrameInfo& info) {
  // From now on, so that no entry below can use the frame as something else.
  info.uses = 1;
  ++info.references;
  const XenErrno error = validate(frame, info);
  if (error == XenErrno::kRestart) {
    info.uses = 0;
    --info.references;
  } else if (error != XenErrno::kNone) {
    end_use_later(frame);
  }
  return error;
}

bool PageTypes::end_use(u64 frame) {
  FrameInfo& info = frames_.info(frame);
  if (info.uses == 1) {
    if (is_table(info.type) && !invalidate(frame, info)) return false;
    info.stamp = clock_;
  }
  --info.uses;
  --info.references;
  return true;
}

XenErrno PageTypes::validate(u64 frame, FrameInfo& info) {
  if (!pay(kTableCost)) return XenErrno::kRestart;
  work::did(work::Unit::kNode);
  const unsigned level = level_of(info.type);
  u8* const table = frames_.pointer(frame);
  for (unsigned index = info.validated; index < pt::kEntriesPerTable;) {
    const unsigned end = (index / kGroup + 1) * kGroup;
    if (!any_present(table, index / kGroup) || is_reserved(level, index)) {
      index = end;
    } else if (!pay(kGroup)) [[unlikely]] {
      info.validated = static_cast<u16>(index);
      return XenErrno::kRestart;
    }
    for (; index < end; ++index) {
      work::did(work::Unit::kPage);
      const Entry entry = pt::load_entry(table, index);
      if (!entry.present()) continue;
      const XenErrno error = entry.word() & ~allowed_bits(level) ? XenErrno::kInval : count_in(entry, level);
      if (error != XenErrno::kNone) [[unlikely]] {
        info.validated = static_cast<u16>(index);
        return error;
      }
    }
  }
  info.validated = pt::kEntriesPerTable;
  if (level == pt::kLevels) fill_reserved(table, reserved_);
  ++counters_.tables_validated;
  return XenErrno::kNone;
}

// False: some of the counted entries still are.
bool PageTypes::invalidate(u64 frame, FrameInfo& info) {
  if (!pay(kTableCost)) return false;
  work::did(work::Unit::kNode);
  const unsigned level = level_of(info.type);
  u8* const table = frames_.pointer(frame);
  for (unsigned end = info.validated; end != 0;) {
    const unsigned begin = (end - 1) / kGroup * kGroup;
    if (!any_present(table, begin / kGroup) || is_reserved(level, begin)) {
      end = begin;
    } else if (!pay(kGroup)) [[unlikely]] {
      info.validated = static_cast<u16>(end);
      return false;
    }
    for (; end > begin; --end) {
      work::did(work::Unit::kPage);
      const Entry entry = pt::load_entry(table, end - 1);
      if (!entry.present()) continue;
      if (!count_out(entry, level)) [[unlikely]] {
        info.validated = static_cast<u16>(end);
        return false;
      }
    }
  }
  // One that was not checked to its end was not given the hypervisor's slots: the page is as it was.
  if (level == pt::kLevels && pt::load_entry(table, abi::xen::kReservedSlot) == reserved_) {
    fill_reserved(table, Entry());
  }
  info.validated = 0;
  ++counters_.tables_released;
  return true;
}

// Counts what a present entry with allowed bits names.
XenErrno PageTypes::count_in(Entry entry, unsigned level) {
  const u64 frame = entry.frame().number();
  if (level > 1) return as_invalid(use(frame, table_type(level - 1)));
  if (entry.writable()) return use(frame, FrameType::kWritable);
  if (!frames_.owns(frame)) return XenErrno::kPerm;
  ++frames_.info(frame).references;
  return XenErrno::kNone;
}

bool PageTypes::count_out(Entry entry, unsigned level) {
  const u64 frame = entry.frame().number();
  if (level > 1 || entry.writable()) return end_use(frame);
  --frames_.info(frame).references;
  return true;
}

}  // namespace nopte::hv
