#include "native-fallback/frames/frame_table.h"

#include <utility>

namespace nopte::pt {

Result<void> FrameTable::init(u64 direct_base, FrameRange covered, std::span<const FrameRange> usable) {
  if (usable.size() > kMaxRanges) return Fail(Status::kLimit);
  direct_base_ = direct_base;
  covered_ = covered;
  Frame previous = covered.begin;
  for (const FrameRange range : usable) {
    if (range.begin < previous || range.end > covered.end || range.end < range.begin) {
      return Fail(Status::kInvalid);
    }
    previous = range.end;
  }

  const u64 metadata_frames = bytes_to_pages(covered.frames() * sizeof(FrameMeta));
  u64 host = usable.size();
  for (u64 i = 0; i < usable.size(); ++i) {
    if (usable[i].frames() >= metadata_frames &&
        (host == usable.size() || usable[i].frames() > usable[host].frames())) {
      host = i;
    }
  }
  if (host == usable.size()) return Fail(Status::kNoMemory);
  metadata_ = FrameRange::of(usable[host].begin, metadata_frames);
  metas_ = reinterpret_cast<u64>(window(metadata_.begin)) - covered.begin.number() * sizeof(FrameMeta);

  for (u64 i = 0; i < usable.size(); ++i) {
    FrameRange range = usable[i];
    if (i == host) range.begin = metadata_.end;
    if (range.empty()) continue;
    ranges_[range_count_++] = range;
    total_ += range.frames();
  }
  free_ = total_;
  if (range_count_ != 0) {
    high_range_ = range_count_ - 1;
    low_ = ranges_[0].begin;
    high_ = ranges_[high_range_].end;
  }
  return {};
}

void FrameTable::rebase(u64 direct_base) {
  metas_ += direct_base - direct_base_;
  direct_base_ = direct_base;
}

bool FrameTable::pop(u64& list, Frame& out) const {
  if (list == 0) return false;
  out = Frame(list - 1);
  list = meta(out).back;
  return true;
}

bool FrameTable::take_low(Frame& out) {
  if (low_ >= high_) return false;
  out = low_;
  low_ = low_ + 1;
  if (low_ == ranges_[low_range_].end && low_range_ < high_range_) low_ = ranges_[++low_range_].begin;
  return true;
}

bool FrameTable::take_high(Frame& out) {
  if (low_ >= high_) return false;
  high_ = Frame(high_.number() - 1);
  out = high_;
  if (high_ == ranges_[high_range_].begin && low_range_ < high_range_) high_ = ranges_[--high_range_].end;
  return true;
}

[[gnu::noinline]] Result<Frame> FrameTable::alloc_specially(FrameKind kind) {
  if (unwritable_ != nullptr) std::exchange(unwritable_, nullptr)->make_writable();
  const bool fails = fail_in_ != 0 && --fail_in_ == 0;
  if (fails && failing_ == Failing::kFrom) fail_in_ = 1;
  slowly_ = fail_in_ != 0;
  if (fails) return Fail(Status::kNoMemory);
  return alloc_now(kind);
}

Result<Frame> FrameTable::alloc_slowly(FrameKind kind) {
  return slowly_ ? alloc_specially(kind) : alloc_now(kind);
}

Result<Frame> FrameTable::alloc_now(FrameKind kind) {
  Frame frame;
  const bool got = kind == FrameKind::kTable
                       ? pop(zeroed_, frame) || pop(tables_, frame) || take_high(frame) || pop(data_, frame)
                       : pop(data_, frame) || take_low(frame) || pop(tables_, frame) || pop(zeroed_, frame);
  if (!got) return Fail(Status::kNoMemory);
  --free_;
  meta(frame) = FrameMeta{.kind = kind, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  return frame;
}

void FrameTable::adopt(Frame frame, FrameKind kind) {
  NOPTE_ASSERT(covers(frame));
  for (u64 i = 0; i < range_count_; ++i) NOPTE_ASSERT(!ranges_[i].contains(frame));
  meta(frame) = FrameMeta{.kind = kind, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  ++total_;
}

}  // namespace nopte::pt
