// Makes what a direct-paging guest starts on: which machine frame each of its frames is, the table that says
// so in both directions, and its first page tables, which it can neither write nor do without.
//
//   guest frames:  | ... image, block, initramfs | list | leaf tables of the direct map | its upper tables |
//                  | the image's tables | root | free ...
//
// Machine frames are the guest's in an order of their own, not an offset: whoever mixes up the two sees it.
// Hosted. Source: Xen's public headers; order, place, and the boot block's fields are ours.
#pragma once

#include "hv-mm/boot/guest_image.h"
#include "hv-mm/xen/machine_frames.h"
#include "pvops/abi/boot_block.h"

namespace nopte::hv {

// Guest frame -> machine frame, for `count` frames from machine frame `begin` on.
class FrameOrder {
 public:
  FrameOrder(u64 begin, u64 count) : begin_(begin), count_(count) {}
  // A prime above every possible count, so that the steps reach each frame once.
  [[nodiscard]] u64 machine(u64 guest_frame) const {
    return begin_ + (guest_frame * kStep + count_ / 3) % count_;
  }

 private:
  static constexpr u64 kStep = 2'654'435'761;
  static_assert(kStep > MachineFrames::kMaxFrames);
  u64 begin_;
  u64 count_;
};

class DomainBuilder {
 public:
  DomainBuilder(const MachineFrames& frames, FrameOrder order) : frames_(frames), order_(order) {}

  // Where guest frame n is seen.
  [[nodiscard]] u8* pointer(u64 guest_frame) const { return frames_.pointer(order_.machine(guest_frame)); }

  // Builds list and tables in guest frames from `first` on, and fills the block's fields of kind kMachine.
  // Errors: kNoMemory.
  Result<void> build(const GuestImage& image, u64 first, abi::BootBlock& block);
  // The machine-to-physical table, `frames.count()` entries.
  void fill_machine_to_physical(u64* table) const;

 private:
  // A zeroed table. Errors: kNoMemory.
  Result<u64> take(u64 tables);
  [[nodiscard]] pt::Frame machine_frame(u64 guest_frame) const {
    return pt::Frame(order_.machine(guest_frame));
  }
  void put(u64 table, unsigned index, pt::Entry entry) const {
    pt::store_entry(pointer(table), index, entry);
  }
  void link(u64 table, unsigned index, u64 child) const {
    put(table, index, pt::Entry::table(machine_frame(child), pt::Privilege::kKernel));
  }
  Result<u64> build_direct_map(abi::BootBlock& block);
  Result<u64> build_image_map(const GuestImage& image);

  MachineFrames frames_;
  FrameOrder order_;
  u64 next_ = 0;
};

}  // namespace nopte::hv
