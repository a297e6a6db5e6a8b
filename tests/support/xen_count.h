// Direct paging's books written apart from the validator: everything counted from scratch - what is pinned or
// loaded, what the tables below lead to, how often each frame is used as what.
#pragma once

#include <map>
#include <vector>

#include "hv-mm/xen/page_types.h"

namespace nopte::hv::testing {

// Bits by their manual numbers, not by the format header's names.
inline constexpr u64 kXP = 1, kXW = 2, kXU = 4, kXA = 0x20, kXD = 0x40, kXPs = 0x80, kXG = 0x100;
inline constexpr u64 kXNx = u64{1} << 63;
inline constexpr u64 kXFrame = 0x000f'ffff'ffff'f000;

class XenCount {
 public:
  // `pins` and `base`: frames by their place among the guest's machine frames, with the pins' levels.
  // `reserved`: what each root in use has in the reserved slot.
  XenCount(const PageTypes& types, u64 reserved, const std::map<u64, unsigned>& pins, u64 base);

  // The validator's own count is another: stops the test.
  void check() const;

  // What the validator says is pinned.
  static std::map<u64, unsigned> pins_of(const PageTypes& types);

 private:
  struct Count {
    u64 references = 0;
    u64 uses[6] = {};  // by FrameType
  };

  [[nodiscard]] const FrameInfo& info(u64 frame) const {
    return types_.frames().info(types_.frames().begin() + frame);
  }
  [[nodiscard]] u64 raw(u64 frame, u64 index) const {
    return reinterpret_cast<const u64*>(types_.frames().pointer(types_.frames().begin() + frame))[index];
  }
  void count_entries(u64 table, unsigned level, u64 end);
  void count_use(u64 frame, unsigned type);

  const PageTypes& types_;
  u64 reserved_;
  const std::map<u64, unsigned>& pins_;
  std::vector<Count> counts_;
};

}  // namespace nopte::hv::testing
