#include "native-fallback/engine/kmem_area.h"

#include <bit>

#include "pvops/base/work.h"

namespace nopte::pt {
namespace {

constexpr u64 kChunkBytes = pages_to_bytes(KmemArea::kChunkPages);
constexpr u64 kWordBits = 64;

// Where `count` neighbouring bits of the word are set, the lowest of them; kWordBits: nowhere.
unsigned find_run(u64 word, u64 count) {
  if (count > kWordBits) return kWordBits;
  // After each step a bit says that it and so many more are set.
  for (u64 more = count - 1, step = 1; more != 0; more -= step, step *= 2) {
    if (step > more) step = more;
    word &= word >> step;
  }
  return static_cast<unsigned>(std::countr_zero(word));
}

}  // namespace

KmemArea::Maps KmemArea::maps(const FrameTable& frames, u64 chunk) const {
  work::did(work::Unit::kNode);
  u64* const words = reinterpret_cast<u64*>(frames.pointer(Frame(bitmap_frames_[chunk / kChunksPerFrame])));
  return {words, words + kWords};
}

template <class Visit>
bool KmemArea::for_each_word(const FrameTable& frames, u64 first, u64 end, const Visit& visit) const {
  for (u64 chunk = first; chunk < end;) {
    const Maps here = maps(frames, chunk);
    for (u64 word = chunk % kChunksPerFrame / kWordBits; word < kWords && chunk < end; ++word) {
      const u64 bit = chunk % kWordBits;
      const u64 count = std::min(kWordBits - bit, end - chunk);
      chunk += count;
      if (!visit(here.used[word], here.last[word], (~u64{0} >> (kWordBits - count)) << bit)) return false;
    }
  }
  return true;
}

Result<u64> KmemArea::find(u64 chunks, const MetaFrames& memory) {
  u64 run = 0;  // free chunks before `at`
  for (u64 at = lowest_free_ / kWordBits * kWordBits;;) {
    if (at >= known_chunks_) {
      if (known_chunks_ == limit_) return Fail(Status::kNoMemory);
      const auto frame = memory.alloc();
      if (!frame) return Fail(frame.error());
      bitmap_frames_[frame_count_++] = frame->number();
      known_chunks_ = std::min(frame_count_ * kChunksPerFrame, limit_);
    }
    const Maps here = maps(memory.frames, at);
    for (u64 word = at % kChunksPerFrame / kWordBits; word < kWords && at < known_chunks_; ++word) {
      u64 free = ~here.used[word];
      if (known_chunks_ - at < kWordBits) free &= (u64{1} << (known_chunks_ - at)) - 1;
      if (run + static_cast<u64>(std::countr_one(free)) >= chunks) return at - run;
      if (const unsigned inside = find_run(free, chunks); inside < kWordBits) return at + inside;
      run = ~free == 0 ? run + kWordBits : static_cast<u64>(std::countl_one(free));
      at += kWordBits;
    }
  }
}

Result<Gva> KmemArea::grant(u64 pages, const MetaFrames& memory) {
  const u64 chunks = chunks_of(pages);
  if (chunks > limit_) return Fail(Status::kNoMemory);
  const auto found = find(chunks, memory);
  if (!found) return Fail(found.error());
  const u64 first = *found, end = first + chunks;
  for_each_word(memory.frames, first, end, [](u64& used, u64&, u64 mask) {
    used |= mask;
    return true;
  });
  for_each_word(memory.frames, end - 1, end, [](u64&, u64& last, u64 mask) {
    last |= mask;
    return true;
  });
  if (chunks == 1 || first == lowest_free_) lowest_free_ = end;
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
  const u64 end = first + chunks;
  // The grant begins here when the chunk before it is free or ends a grant, and ends at the first that says
  // so.
  const auto goes_on = [](u64 used, u64 last, u64 mask) {
    return (used & mask) == mask && (last & mask) == 0;
  };
  const bool inside = first != 0 && for_each_word(frames, first - 1, first, goes_on);
  if (inside || !for_each_word(frames, first, end - 1, goes_on) ||
      !for_each_word(frames, end - 1, end,
                     [](u64 used, u64 last, u64 mask) { return (used & last & mask) != 0; })) {
    return Fail(Status::kInvalid);
  }
  return {};
}

Result<void> KmemArea::take_back(Gva begin, u64 pages, const FrameTable& frames) {
  NOPTE_TRY(check(begin, pages, frames));
  const u64 first = (begin - begin_) / kChunkBytes;
  for_each_word(frames, first, first + chunks_of(pages), [](u64& used, u64& last, u64 mask) {
    used &= ~mask;
    last &= ~mask;
    return true;
  });
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
