// Which kernel virtual addresses of one range are granted, in chunks of 16 pages: first fit over two bitmaps
// (in use; last chunk of a grant), so that freeing can be checked exactly. One frame tells of 1 GiB of
// addresses and is made when first reached.
//
// Bounds: looking for a place, marking it, checking a grant and unmarking it each go through the frames once,
// word by word: kMaxFrames units of work at most (pvops/base/work.h), so none of them needs a checkpoint.
//
// Concurrency: the engine's.
#pragma once

#include <algorithm>

#include "native-fallback/frames/meta_frames.h"
#include "pvops/base/result.h"

namespace nopte::pt {

class KmemArea {
 public:
  static constexpr u64 kChunkPages = 16;
  static constexpr u64 kMaxFrames = 64;  // 64 GiB of kernel addresses at most

  // Precondition: whole chunks.
  constexpr explicit KmemArea(VaRange area)
      : begin_(area.begin), limit_(std::min(area.pages() / kChunkPages, kMaxFrames * kChunksPerFrame)) {}

  static constexpr u64 chunks_of(u64 pages) { return pages / kChunkPages + (pages % kChunkPages != 0); }

  // Grants chunks_of(pages) chunks. Errors: kNoMemory.
  Result<Gva> grant(u64 pages, const MetaFrames& memory);
  // Errors: kInvalid: [begin, pages) is not exactly one grant.
  [[nodiscard]] Result<void> check(Gva begin, u64 pages, const FrameTable& frames) const;
  // Takes a grant back. Errors: kInvalid: as check().
  Result<void> take_back(Gva begin, u64 pages, const FrameTable& frames);
  void release(FrameTable& frames);

 private:
  static constexpr u64 kWords = kPageBytes / sizeof(u64) / 2;  // of one bitmap in a frame
  static constexpr u64 kChunksPerFrame = kWords * 64;
  // One frame's words of both.
  struct Maps {
    u64* used;
    u64* last;
  };
  // Of the frame that tells of it. Precondition: there is one.
  [[nodiscard]] Maps maps(const FrameTable& frames, u64 chunk) const;
  // visit(used, last, mask) for each word of both that tells of chunks in [first, end), which are the mask's,
  // ascending, until it answers false; whether it never did. Precondition: the frames are there.
  template <class Visit>
  bool for_each_word(const FrameTable& frames, u64 first, u64 end, const Visit& visit) const;
  // The first of so many free chunks; the frames are there. Errors: kNoMemory.
  Result<u64> find(u64 chunks, const MetaFrames& memory);

  Gva begin_;
  u64 limit_;                           // chunks that there can be
  u64 known_chunks_ = 0;                // that the bitmaps tell of
  u64 bitmap_frames_[kMaxFrames] = {};  // frame numbers
  u64 frame_count_ = 0;
  u64 lowest_free_ = 0;  // no chunk below it is free
};

}  // namespace nopte::pt
