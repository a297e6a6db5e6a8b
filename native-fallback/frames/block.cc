#include "native-fallback/frames/block.h"

namespace nopte::pt {

void Blocks::split_large(Frame first) const {
  FrameMeta& meta = frames_.meta(first);
  if (meta.kind == FrameKind::kBlock) {
    const u32 others = meta.refs - 1;
    for (u64 i = 0; i < kBlockFrames; ++i) {
      frames_.meta(first + i) = FrameMeta{.kind = FrameKind::kAnon,
                                          .level = 0,
                                          .live = 0,
                                          .refs = others == 0 ? 1u : 2u,
                                          .back = 0,
                                          .index = 0};
    }
    meta.index = others;
    return;
  }
  // What counted for the last large leaf counts for the small one.
  if (--meta.index == 0) return;
  for (u64 i = 0; i < kBlockFrames; ++i) ++frames_.meta(first + i).refs;
}

bool Blocks::has_one(Frame first) const {
  FrameMeta& meta = frames_.meta(first);
  if (meta.kind == FrameKind::kBlock) return meta.refs == 1;
  if (meta.index != 1) return false;
  for (u64 i = 0; i < kBlockFrames; ++i) {
    if (frames_.meta(first + i).refs != 1) return false;
  }
  meta = FrameMeta{.kind = FrameKind::kBlock, .level = 0, .live = 0, .refs = 1, .back = 0, .index = 0};
  return true;
}

}  // namespace nopte::pt
