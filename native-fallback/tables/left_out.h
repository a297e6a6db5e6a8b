// What a copy of a leaf table leaves to the caller (Cursor::copy_pages).
#pragma once

#include <array>

#include "native-fallback/format/format.h"

namespace nopte::pt {

// Pages that are not in the copy.
template <PageTableFormat Format>
struct LeftOut {
  static constexpr unsigned kMost = 4;
  struct Page {
    unsigned index;
    typename Format::Entry entry;
  };
  explicit LeftOut(unsigned at_most) : most(at_most) {}
  const unsigned most;  // up to kMost
  unsigned count = 0;
  bool are_more = false;  // which were not left out
  std::array<Page, kMost> pages;
};
enum class WhichPages : u8 { kAll, kAnonymous };

}  // namespace nopte::pt
