#include "guest-mm/kernel/files/tmpfs/page_runs.h"

#include "guest-mm/core/heap.h"

namespace nopte::guest::files {

namespace {

u64 overlap(PageRun a, PageRun b) {
  const u64 first = std::max(a.first, b.first);
  const u64 end = std::min(a.end(), b.end());
  return first < end ? end - first : 0;
}

bool touch(PageRun a, PageRun b) { return a.first <= b.end() && b.first <= a.end(); }

PageRun joined(PageRun a, PageRun b) {
  const u64 first = std::min(a.first, b.first);
  return {first, std::max(a.end(), b.end()) - first};
}

}  // namespace

PageRuns::Set::const_iterator PageRuns::ending_from(u64 page) const {
  auto at = rest_.upper_bound(page);
  if (at != rest_.begin()) {
    if (const auto before = std::prev(at); before->run.end() >= page) {
      return before;
    }
  }
  return at;
}

u64 PageRuns::overlap_with_all(PageRun run) const {
  u64 found = overlap(run, recent_);
  for (auto at = ending_from(run.first); at != rest_.end() && at->run.first < run.end(); ++at) {
    found += overlap(run, at->run);
  }
  return found;
}

std::optional<u64> PageRuns::next_in(u64 page) const {
  std::optional<u64> found;
  if (page < recent_.end()) {
    found = std::max(page, recent_.first);
  }
  for (auto at = ending_from(page); at != rest_.end(); ++at) {
    if (page < at->run.end()) {
      const u64 here = std::max(page, at->run.first);
      return found ? std::min(*found, here) : here;
    }
  }
  return found;
}

u64 PageRuns::next_out(u64 page) const {
  // No two runs touch: behind one is a hole.
  if (overlap(recent_, {page, 1}) != 0) {
    return recent_.end();
  }
  const auto at = ending_from(page);
  for (auto run = at; run != rest_.end() && run->run.first <= page; ++run) {
    if (page < run->run.end()) {
      return run->run.end();
    }
  }
  return page;
}

u64 PageRuns::prefix(PageRun run, u64 most) const {
  u64 pages = 0;
  for (; pages < run.pages; ++pages) {
    if (missing({run.first + pages, 1}) != 0 && most-- == 0) {
      break;
    }
  }
  return pages;
}

bool PageRuns::add(PageRun run) {
  if (run.pages == 0 || covers(recent_, run)) {
    return true;
  }
  const u64 more = missing(run);
  if (recent_.pages != 0 && !touch(run, recent_)) {
    Node* const node = make<Node>();
    if (node == nullptr) {
      return false;
    }
    node->run = recent_;
    rest_.insert(*node);
  } else if (recent_.pages != 0) {
    run = joined(run, recent_);
  }
  for (auto at = ending_from(run.first); at != rest_.end() && touch(run, at->run);) {
    run = joined(run, at->run);
    at = rest_.erase_and_dispose(at, [](Node* node) { destroy(node); });
  }
  recent_ = run;
  pages_ += more;
  return true;
}

void PageRuns::cut(u64 page) {
  const auto shorten = [&](PageRun& run) {
    const u64 kept = page > run.first ? std::min(run.pages, page - run.first) : 0;
    pages_ -= run.pages - kept;
    run.pages = kept;
  };
  shorten(recent_);
  while (!rest_.empty() && rest_.rbegin()->run.end() > page) {
    Node& last = *rest_.rbegin();
    shorten(last.run);
    if (last.run.pages != 0) {
      break;
    }
    rest_.erase_and_dispose(std::prev(rest_.end()), [](Node* node) { destroy(node); });
  }
}

}  // namespace nopte::guest::files
