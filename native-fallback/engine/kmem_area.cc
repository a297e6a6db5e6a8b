#include "native-fallback/engine/kmem_area.h"

namespace nopte::pt {
namespace {
constexpr u64 kChunkBytes = pages_to_bytes(KmemArea::kChunkPages);
}  // namespace

KmemArea::Bit KmemArea::bit(const FrameTable& frames, Map map, u64 chunk) const {
  u64* words = reinterpret_cast<u64*>(frames.window(Frame(bitmap_frames_[chunk / kChunksPerFrame])));
  const u64 in_frame = chunk % kChunksPerFrame;
  return {words + static_cast<u64>(map) + in_frame / 64, u64{1} << in_frame % 64};
}

Result<Gva> KmemArea::grant(u64 pages, const MetaFrames& memory) {
  const u64 chunks = chunks_of(pages);
  if (chunks > limit_) return Fail(Status::kNoMemory);
  u64 first = lowest_free_;
  for (u64 run = 0; run < chunks;) {
    const u64 chunk = first + run;
    if (chunk >= known_chunks_) {
      if (known_chunks_ == limit_) return Fail(Status::kNoMemory);
      const auto frame = memory.alloc();
      if (!frame) return Fail(frame.error());
      bitmap_frames_[frame_count_++] = frame->number();
      known_chunks_ = std::min(frame_count_ * kChunksPerFrame, limit_);
    }
    const Bit used = bit(memory.frames, Map::kUsed, chunk);
    if (run == 0 && ~*used.word == 0) {
      first = (chunk / 64 + 1) * 64;
    } else if (used.get()) {
      first = chunk + 1;
      run = 0;
    } else {
      ++run;
    }
  }
  for (u64 i = 0; i < chunks; ++i) bit(memory.frames, Map::kUsed, first + i).set();
  bit(memory.frames, Map::kLast, first + chunks - 1).set();
  if (chunks == 1 || first == lowest_free_) lowest_free_ = first + chunks;
  return begin_ + pages_to_bytes(first * kChunkPages);
}

Result<void> KmemArea::check(Gva begin, u64 pages, const FrameTable& frames) const {
  if (begin < begin_ || pages == 0) return Fail(Status::kInvalid);
  const u64 offset = begin - begin_;
  const u64 first = offset / kChunkBytes;
  const u64 chunks = chunks_of(pages);
  if (offset % kChunkBytes != 0 || first >= known_chunks_ || chunks > known_chunks_ - first) {
    return Fail(Status::kInvalid);
  }
  // The grant begins here when the chunk before it is free or ends a grant.
  if (first != 0 && bit(frames, Map::kUsed, first - 1).get() && !bit(frames, Map::kLast, first - 1).get()) {
    return Fail(Status::kInvalid);
  }
  for (u64 i = 0; i < chunks; ++i) {
    const bool last = bit(frames, Map::kLast, first + i).get();
    if (!bit(frames, Map::kUsed, first + i).get() || last != (i + 1 == chunks)) return Fail(Status::kInvalid);
  }
  return {};
}

Result<void> KmemArea::take_back(Gva begin, u64 pages, const FrameTable& frames) {
  NOPTE_TRY(check(begin, pages, frames));
  const u64 first = (begin - begin_) / kChunkBytes;
  const u64 chunks = chunks_of(pages);
  for (u64 i = 0; i < chunks; ++i) bit(frames, Map::kUsed, first + i).clear();
  bit(frames, Map::kLast, first + chunks - 1).clear();
  if (first < lowest_free_) lowest_free_ = first;
  return {};
}

void KmemArea::release(FrameTable& frames) {
  for (u64 i = 0; i < frame_count_; ++i) frames.free(Frame(bitmap_frames_[i]));
  frame_count_ = 0;
  known_chunks_ = 0;
  lowest_free_ = 0;
}

}  // namespace nopte::pt
