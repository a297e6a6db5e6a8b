// What a kernel window has shown already, and so what a transfer should have installed ahead in one call.
// Pure arithmetic in pages of the object.
#pragma once

#include <algorithm>
#include <bit>

#include "pvops/base/types.h"

namespace nopte::guest::files {

struct PageRun {
  u64 first = 0;
  u64 pages = 0;
  [[nodiscard]] constexpr u64 end() const { return first + pages; }
  friend constexpr bool operator==(PageRun, PageRun) = default;
};

// Remembers one run of pages, which is what sequential use and re-use need: a page outside it may be
// installed all the same, and costs at most a needless call.
class ShownPages {
 public:
  // The part of a transfer's pages that was not shown before. One page is not worth a call: it faults.
  [[nodiscard]] constexpr PageRun to_install(PageRun run) const {
    u64 first = run.first;
    u64 end = run.end();
    if (first >= shown_.first && first < shown_.end()) {
      first = std::min(shown_.end(), end);
    }
    if (end > shown_.first && end <= shown_.end()) {
      end = std::max(shown_.first, first);
    }
    return end - first > 1 ? PageRun{first, end - first} : PageRun{};
  }
  // The transfer's pages are installed now. The longer of two runs apart is kept.
  constexpr void note(PageRun run) {
    if (run.first <= shown_.end() && shown_.first <= run.end() && shown_.pages != 0) {
      const u64 first = std::min(run.first, shown_.first);
      shown_ = {first, std::max(run.end(), shown_.end()) - first};
    } else if (run.pages >= shown_.pages) {
      shown_ = run;
    }
  }
  // Pages from `pages` on have left the object.
  constexpr void cut(u64 pages) {
    if (shown_.end() > pages) {
      shown_.pages = pages > shown_.first ? pages - shown_.first : 0;
    }
  }
  constexpr void reset() { shown_ = {}; }

 private:
  PageRun shown_;
};

// The size in pages to give an object that must hold `pages`, when nobody but the kernel sees its end.
constexpr u64 grown_pages(u64 pages) { return std::bit_ceil(std::max<u64>(pages, 4)); }

}  // namespace nopte::guest::files
