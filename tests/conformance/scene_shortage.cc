// A case without memory: all of it is taken, and some comes back.
#include <algorithm>

#include "tests/conformance/scene.h"

namespace nopte::conformance {

namespace {
// What exhaust() takes begins with a leaf table of its own, whose first pages are taken last: by then memory
// for another table may be missing while there is some for pages.
constexpr u64 kHoard = (u64{1} << 20) + Scene::kAligned;
constexpr u64 kHoardLast = 8;
}  // namespace

// By less than a large page at once: what comes is to go page by page, without memory for a split.
Status Scene::populate_singly(SpaceId space, u64 page, u64 pages) {
  constexpr u64 kAtOnce = 256;
  for (u64 done = 0; done < pages; done += kAtOnce) {
    const Status status = advise(space, page + done, std::min(kAtOnce, pages - done), Advice::kPopulate);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

void Scene::exhaust(SpaceId space) {
  const u64 pages = free_pages() + 1;
  expect(map(space, kHoard, pages + kHoardLast) == Status::kOk, "no memory for a region");
  expect(populate_singly(space, kHoard + kHoardLast, pages) == Status::kNoMemory, "memory does not run out");
  expect(populate_singly(space, kHoard, kHoardLast) == Status::kNoMemory, "memory does not run out");
  expect(free_pages() == 0, "memory is left although there was none for a page");
  relieved_ = 0;
}

void Scene::relieve(SpaceId space, u64 pages) {
  expect(advise(space, kHoard + kHoardLast + relieved_, pages, Advice::kDontNeed) == Status::kOk,
         "pages cannot be given back");
  relieved_ += pages;
}

}  // namespace nopte::conformance
