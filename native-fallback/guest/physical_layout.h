// Which frames the pool may give out: RAM without what lies in it already (the image, the initramfs, the low
// 1 MiB that firmware and devices use). Pure.
#pragma once

#include <algorithm>
#include <array>
#include <span>

#include "native-fallback/frames/frame_table.h"

namespace nopte::pt {

class PhysicalLayout {
 public:
  static constexpr u64 kMaxRanges = FrameTable::kMaxRanges;

  // Adds the whole frames of a span of RAM; spans are added in ascending order and do not overlap. What does
  // not fit into the list is left unused.
  void add_ram(PhysAddr begin, PhysAddr end) {
    const FrameRange range = FrameRange::inside(begin, end);
    if (!range.empty() && count_ < kMaxRanges) {
      ram_[ram_count_++] = range;
      ranges_[count_++] = range;
      covered_end_ = std::max(covered_end_, range.end);
      ram_frames_ += range.frames();
    }
  }

  // Takes a range out of what was added.
  void reserve(FrameRange taken) {
    if (taken.empty()) {
      return;
    }
    std::array<FrameRange, kMaxRanges> result;
    u64 count = 0;
    const auto keep = [&](Frame begin, Frame end) {
      if (begin < end && count < kMaxRanges) {
        result[count++] = {begin, end};
      }
    };
    for (u64 i = 0; i < count_; ++i) {
      keep(ranges_[i].begin, std::min(ranges_[i].end, taken.begin));
      keep(std::max(ranges_[i].begin, taken.end), ranges_[i].end);
    }
    ranges_ = result;
    count_ = count;
  }

  [[nodiscard]] std::span<const FrameRange> usable() const { return {ranges_.data(), count_}; }
  // All RAM lies below its end.
  [[nodiscard]] FrameRange covered() const { return {Frame(0), covered_end_}; }
  // What was added, whole.
  [[nodiscard]] std::span<const FrameRange> ram() const { return {ram_.data(), ram_count_}; }
  [[nodiscard]] u64 ram_frames() const { return ram_frames_; }

 private:
  std::array<FrameRange, kMaxRanges> ranges_{};
  u64 count_ = 0;
  std::array<FrameRange, kMaxRanges> ram_{};
  u64 ram_count_ = 0;
  Frame covered_end_;
  u64 ram_frames_ = 0;
};

}  // namespace nopte::pt
