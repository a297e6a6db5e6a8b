// Direct paging's validator: which frame of a guest may be used as what, and every change of an entry that
// the processor may walk. The rules are Xen's:
//   - a frame is used as a table of one level, or mapped writable, or neither; never two of these at once;
//   - its uses are counted, and its type changes only when there is none;
//   - an entry of a table in use names a table of the level below, or (level 1) any frame of the guest's,
//     writable only one that is used as such. Present entries with other bits than P, RW, US, A, D, G (level
//     1), the three for software, and NX are refused: large pages, cache attributes, reserved bits;
//   - a table is checked when its first use begins, and counted out when its last use ends; so a tree that is
//     pinned is checked whole. A table that leads to itself is refused: levels only descend.
//
// Before a frame changes its type, translations made while it had the old one are flushed: each frame keeps
// the time of its last use by a clock that counts flushes of everything.
//
// What the processor knows is tagged by root (container/guest_tlb.h), so that to load one flushes nothing. It
// is not known which roots lead to a table: where an entry loses rights, all but the base are stale. What the
// base loses the guest has flushed itself, as on a processor.
//
// Work is bounded: after so many tables and entries it is looked whether an interrupt waits. If so, it stops:
//   - a first use that was not checked to the end answers kRestart; the entries counted so far stay counted
//     (`validated`), and the next attempt goes on there. A use as another type counts them out first.
//   - a last use that was not counted out to the end stays in `unfinished_`, with its use, and is finished
//     before anything else is done.
//
// Nothing that a guest passes trips an assertion. Everything that fails has changed nothing, but for what
// kRestart says. Hosted. Concurrency: one vCPU, stopped.
#pragma once

#include <array>
#include <span>

#include "hv-mm/xen/machine_frames.h"
#include "pvops/base/function_ref.h"
#include "pvops/base/work.h"
#include "pvops/interfaces/xen.h"

namespace nopte::hv {

using XenErrno = abi::xen::Errno;

class PageTypes {
 public:
  // Entries that may be checked or counted out between two looks; a table costs as much as so many, as all of
  // an empty one is looked through. So that each call comes further, it is more than a table of each level,
  // and below the last of them one more tree that has to be counted out first.
  static constexpr u64 kEntriesPerLook = work::kMostAtOnce;
  static constexpr u64 kTableCost = 64;
  static constexpr unsigned kGroup = 8;  // entries that are looked at, and paid for, at once
  static constexpr u64 kLeastPerLook = (2 * pt::kLevels - 1) * (kTableCost + kGroup);
  static_assert(kEntriesPerLook >= kLeastPerLook);

  // `reserved` is what every root has in abi::xen::kReservedSlot. `stop`: an interrupt waits. Precondition:
  // entries_per_look is not below kLeastPerLook.
  PageTypes(MachineFrames frames, pt::Entry reserved, FunctionRef<bool()> stop,
            u64 entries_per_look = kEntriesPerLook)
      : frames_(frames), reserved_(reserved), stop_(stop), entries_per_look_(entries_per_look) {}

  // A call begins. False: it comes no further than what earlier calls left; answer kRestart.
  [[nodiscard]] bool begin_call() {
    budget_ = entries_per_look_;
    return finish();
  }
  // The same between the steps of a call.
  [[nodiscard]] bool finish();

  // --- steps; finish() has answered true ---

  // Replaces entry `index` of the table in use `frame`. `preserve`: the A and D bits of the entry stay. A
  // frame that is not in use as a table is written like memory, as Xen does (do_mmu_update,
  // PGT_writable_page). Errors: kPerm (`frame`, or the frame that `entry` names, is not the guest's), kInval
  // (a reserved slot, bits), kBusy (type), kRestart.
  XenErrno update(u64 frame, unsigned index, pt::Entry entry, bool preserve);
  // Errors: kInval (not the guest's, pinned already, cannot be such a table), kRestart.
  XenErrno pin(u64 frame, unsigned level);
  // Errors: kInval (not the guest's, not pinned).
  XenErrno unpin(u64 frame);
  // The processor runs on `frame` from now on. Errors: as pin's.
  XenErrno set_base(u64 frame);
  // Keeps the frame writable for the hypervisor to write to. Errors: kPerm, kBusy, kRestart.
  XenErrno hold_writable(u64 frame) { return use(frame, FrameType::kWritable); }
  void release_writable(u64 frame) { (void)end_use(frame); }

  // What is forgotten before the guest runs again.
  struct Flush {
    static constexpr u32 kMostPages = 8;

    bool everything = false;
    bool others = false;  // all roots but the base
    bool base = false;    // the base, whole
    u8 count = 0;
    std::array<Gva, kMostPages> addresses;  // of the base, one page each

    [[nodiscard]] bool any() const { return everything || others || base || count != 0; }
    [[nodiscard]] std::span<const Gva> pages() const { return {addresses.data(), count}; }
    void clear() { everything = others = base = false, count = 0; }
  };
  void flush_everything() {
    flush_.everything = true;
    ++clock_;
  }
  // As the guest asks for it: what its processor knows of the base.
  void flush() { flush_.base = true; }
  // The page, and the way there.
  void flush_page(Gva va) {
    if (way_lost_ || flush_.count == Flush::kMostPages) return flush();
    flush_.addresses[flush_.count++] = va;
  }
  [[nodiscard]] const Flush& due() const { return flush_; }
  // It is forgotten.
  void flushed() {
    if (flush_.everything || flush_.base) lost_ = way_lost_ = false;
    flush_.clear();
  }

  [[nodiscard]] u64 base() const { return base_; }
  [[nodiscard]] const MachineFrames& frames() const { return frames_; }
  // Tests: what waits for finish(), each with one use.
  [[nodiscard]] std::span<const u64> unfinished() const { return {unfinished_, unfinished_count_}; }
  [[nodiscard]] u32 clock() const { return clock_; }

  struct Counters {
    u64 entries_written = 0;
    u64 tables_validated = 0;
    u64 tables_released = 0;
    u64 pins = 0;
    u64 unpins = 0;
    u64 bases = 0;
    u64 type_flushes = 0;  // because a frame changed its type
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  // False: an interrupt waits.
  [[nodiscard]] bool pay(u64 entries) {
    if (budget_ < entries) [[unlikely]] {
      if (stop_()) return false;
      budget_ = entries_per_look_;
    }
    budget_ -= entries;
    return true;
  }
  void change_flush(u64 old);
  XenErrno use(u64 frame, FrameType type);
  XenErrno begin_table(u64 frame, FrameInfo& info);
  // False: an interrupt waits; the use, the last one, is still counted.
  [[nodiscard]] bool end_use(u64 frame);
  void end_use_later(u64 frame) {
    if (!end_use(frame)) unfinished_[unfinished_count_++] = frame;
  }

  XenErrno validate(u64 frame, FrameInfo& info);
  [[nodiscard]] bool invalidate(u64 frame, FrameInfo& info);
  XenErrno count_in(pt::Entry entry, unsigned level);
  [[nodiscard]] bool count_out(pt::Entry entry, unsigned level);

  static constexpr u64 kNoBase = ~u64{0};
  // A step leaves at most one frame of each level, and one that it unlinked.
  static constexpr u64 kMaxUnfinished = 8;

  MachineFrames frames_;
  pt::Entry reserved_;
  FunctionRef<bool()> stop_;
  u64 entries_per_look_;
  u64 base_ = kNoBase;
  u64 budget_ = 0;
  u32 clock_ = 1;
  Flush flush_;
  // Since the base was flushed whole an entry lost rights; one above the leaves.
  bool lost_ = false, way_lost_ = false;
  u64 unfinished_count_ = 0;
  u64 unfinished_[kMaxUnfinished];
  Counters counters_;
};

}  // namespace nopte::hv
