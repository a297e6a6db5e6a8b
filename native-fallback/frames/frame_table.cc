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

  const u64 meta_bytes = covered.frames() * sizeof(FrameMeta);
  const u64 metadata_frames = bytes_to_pages(meta_bytes + span_count() * sizeof(Span));
  u64 host = usable.size();
  for (u64 i = 0; i < usable.size(); ++i) {
    if (usable[i].frames() >= metadata_frames &&
        (host == usable.size() || usable[i].frames() > usable[host].frames())) {
      host = i;
    }
  }
  if (host == usable.size()) return Fail(Status::kNoMemory);
  metadata_ = FrameRange::of(usable[host].begin, metadata_frames);
  spans_ = reinterpret_cast<u64>(pointer(metadata_.begin)) + meta_bytes;
  metas_ = spans_ - meta_bytes - covered.begin.number() * sizeof(FrameMeta);
  for (u64 i = 0; i < span_count(); ++i) span(i) = {};

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
  spans_ += direct_base - direct_base_;
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

// What slowly_ stands for; whether the allocation is to fail.
[[gnu::noinline]] bool FrameTable::refuses() {
  if (unwritable_ != nullptr) std::exchange(unwritable_, nullptr)->make_writable();
  const bool fails = fail_in_ != 0 && --fail_in_ == 0;
  if (fails && failing_ == Failing::kFrom) fail_in_ = 1;
  slowly_ = fail_in_ != 0;
  return fails;
}

[[gnu::noinline]] Result<Frame> FrameTable::alloc_specially(FrameKind kind) {
  if (refuses()) return Fail(Status::kNoMemory);
  return alloc_now(kind);
}

Result<Frame> FrameTable::alloc_slowly(FrameKind kind) {
  return slowly_ ? alloc_specially(kind) : alloc_now(kind);
}

inline Frame FrameTable::give(Frame frame, FrameKind kind) {
  --free_;
  meta(frame) = FrameMeta{.kind = kind, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  return frame;
}

// Its side has none, and no frame was never used. Spans that are free in part give theirs before whole
// blocks; then each side takes the other's.
Result<Frame> FrameTable::take_another(FrameKind kind) {
  Frame frame;
  const bool got = pop(data_, frame) || ((unsort() || break_free_block()) && pop(data_, frame)) ||
                   pop(tables_, frame) || pop(zeroed_, frame) ||
                   (keeper_ != nullptr && keeper_->give_up() && (pop(tables_, frame) || pop(data_, frame)));
  if (!got) return Fail(Status::kNoMemory);
  return give(frame, kind);
}

Result<Frame> FrameTable::alloc_now(FrameKind kind) {
  Frame frame;
  const bool got = kind == FrameKind::kTable ? pop(zeroed_, frame) || pop(tables_, frame) || take_high(frame)
                                             : pop(data_, frame) || take_low(frame);
  if (!got) [[unlikely]]
    return take_another(kind);
  return give(frame, kind);
}

void FrameTable::count_kept(Frame table) {
  meta(table).kind = FrameKind::kFree;
  ++free_;
}
Frame FrameTable::take_kept_now(unsigned level) {
  const Frame table = keeper_->take(level);
  if (table == Frame()) return table;
  --free_;
  FrameMeta& m = meta(table);
  m = FrameMeta{.kind = FrameKind::kTable,
                .level = static_cast<u8>(level),
                .live = 0,
                .refs = 0,
                .back = 0,
                .index = m.index};
  return table;
}

// --- blocks ---

void FrameTable::push_data(Frame frame) {
  FrameMeta& m = meta(frame);
  m.kind = FrameKind::kFree;
  m.back = data_;
  data_ = frame.number() + 1;
}

Result<Frame> FrameTable::alloc_block() {
  if (slowly_ && refuses()) return Fail(Status::kNoMemory);
  Frame frame;
  if (!pop(blocks_, frame) && !take_low_block(frame)) {
    sort_some();
    if (!pop(blocks_, frame)) return Fail(Status::kNoMemory);
  }
  free_ -= kBlockFrames;
  meta(frame) = FrameMeta{.kind = FrameKind::kBlock, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  return frame;
}

void FrameTable::free_block(Frame first) {
  NOPTE_ASSERT(meta(first).kind == FrameKind::kBlock);
  push_block(first);
  free_ += kBlockFrames;
}

void FrameTable::push_block(Frame first) {
  FrameMeta& m = meta(first);
  m.kind = FrameKind::kFreeBlock;
  m.back = blocks_;
  blocks_ = first.number() + 1;
}

// The next of the frames never used that make a block; those before it are single ones from then on.
bool FrameTable::take_low_block(Frame& out) {
  if (low_ >= high_) return false;
  const Frame end = low_range_ < high_range_ ? ranges_[low_range_].end : high_;
  const Frame first((low_.number() + kBlockFrames - 1) & ~(kBlockFrames - 1));
  if (first + kBlockFrames > end) return false;
  for (Frame frame = first; frame > low_;) {
    frame = Frame(frame.number() - 1);
    push_data(frame);
  }
  out = first;
  low_ = first + kBlockFrames;
  if (low_ == ranges_[low_range_].end && low_range_ < high_range_) low_ = ranges_[++low_range_].begin;
  return true;
}

// Sorts frames that came back by where they lie, at most so many as a block has.
void FrameTable::sort_some() {
  Frame frame;
  for (u64 left = kBlockFrames; left != 0 && pop(data_, frame); --left) {
    const u64 number = span_of(frame);
    Span& to = span(number);
    meta(frame).back = to.first;
    to.first = frame.number() + 1;
    if (++to.frames == kBlockFrames) {
      to.first = to.frames = 0;
      push_block(Frame(frame.number() & ~(kBlockFrames - 1)));
    } else if (!to.listed) {
      to.listed = true;
      to.next = static_cast<u32>(sorted_);
      sorted_ = number + 1;
    }
  }
}

// The sorted frames of one span are the next to be given. False: there are none. Precondition: data_ is
// empty.
bool FrameTable::unsort() {
  while (sorted_ != 0) {
    Span& from = span(sorted_ - 1);
    sorted_ = from.next;
    data_ = from.first;
    from = {};
    if (data_ != 0) return true;
  }
  return false;
}

// A whole block's frames become single ones. False: there is none. Precondition: data_ is empty.
bool FrameTable::break_free_block() {
  Frame first;
  if (!pop(blocks_, first)) return false;
  for (u64 i = kBlockFrames; i-- != 0;) push_data(first + i);
  return true;
}

void FrameTable::adopt(Frame frame, FrameKind kind) {
  NOPTE_ASSERT(covers(frame));
  for (u64 i = 0; i < range_count_; ++i) NOPTE_ASSERT(!ranges_[i].contains(frame));
  meta(frame) = FrameMeta{.kind = kind, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  ++total_;
}

}  // namespace nopte::pt
