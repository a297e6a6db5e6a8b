// Who refers to a block (frame_table.h): large leaves to all of it, small ones to its frames, or both.
//
//   whole    kBlock: refs counts large leaves; the other frames' metadata says nothing
//   broken   each frame is a kAnon of its own: one reference for each small leaf, and one for all large ones
//            together, whose number is the `index` of the first
//
// So a table of large leaves is copied at a count for each, a small leaf's page is its own when its frame has
// one reference, as anywhere, and no frame is free as long as some large leaf shows it.
//
// Concurrency: the engine's.
#pragma once

#include "native-fallback/frames/frame_table.h"

namespace nopte::pt {

// Which references are meant is said by the first frame.
class Blocks {
 public:
  constexpr explicit Blocks(FrameTable& frames) : frames_(frames) {}

  // One large leaf more shows it.
  void add_large(Frame first) const {
    FrameMeta& meta = frames_.meta(first);
    if (meta.kind == FrameKind::kBlock) {
      ++meta.refs;
    } else {
      ++meta.index;
    }
  }
  // A large leaf was split into small ones.
  void split_large(Frame first) const;
  // Nothing but one large leaf shows any of it; then it is whole again.
  [[nodiscard]] bool has_one(Frame first) const;

  // A large leaf is gone, and with it...
  enum class Left : u8 {
    kAll,     // nothing: others show it
    kSome,    // the frames that `release(frame, meta)` was called for: nobody refers to them
    kNothing  // the whole block, which nobody refers to
  };
  template <class Release>
  Left drop_large(Frame first, const Release& release) const {
    FrameMeta& meta = frames_.meta(first);
    if (meta.kind == FrameKind::kBlock) return --meta.refs == 0 ? Left::kNothing : Left::kAll;
    if (has_one(first)) return Left::kNothing;
    if (--meta.index != 0) return Left::kAll;
    for (u64 i = 0; i < kBlockFrames; ++i) {
      FrameMeta& part = frames_.meta(first + i);
      if (--part.refs == 0) release(first + i, part);
    }
    return Left::kSome;
  }

 private:
  FrameTable& frames_;
};

}  // namespace nopte::pt
