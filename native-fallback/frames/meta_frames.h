// Zeroed frames for the engine's own structures.
#pragma once

#include "native-fallback/frames/frame_table.h"
#include "pvops/base/function_ref.h"

namespace nopte::pt {

struct MetaFrames {
  FrameTable& frames;
  FunctionRef<void(u8*)> zero_page;

  // Errors: kNoMemory.
  [[nodiscard]] Result<Frame> alloc() const {
    const auto frame = frames.alloc(FrameKind::kMeta);
    if (frame) zero_page(frames.pointer(*frame));
    return frame;
  }
};

}  // namespace nopte::pt
