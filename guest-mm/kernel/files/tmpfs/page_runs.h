// A set of a file's pages, kept as runs. Files are mostly written in order: the run that grew last lies
// beside the others, so that one run needs no memory of its own.
#pragma once

#include <boost/intrusive/set.hpp>
#include <optional>

#include "guest-mm/kernel/files/tmpfs/window_plan.h"

namespace nopte::guest::files {

class PageRuns {
 public:
  PageRuns() = default;
  PageRuns(const PageRuns&) = delete;
  PageRuns& operator=(const PageRuns&) = delete;
  ~PageRuns() { cut(0); }

  [[nodiscard]] u64 pages() const { return pages_; }
  // How many pages of the run are not in the set.
  [[nodiscard]] u64 missing(PageRun run) const {
    return covers(recent_, run) ? 0 : run.pages - overlap_with_all(run);
  }
  // How long a prefix of the run has at most `most` pages that are not in the set.
  [[nodiscard]] u64 prefix(PageRun run, u64 most) const;
  // The first page from `page` on that is in the set, or is not; all that follow the last run are not. Null:
  // none is.
  [[nodiscard]] std::optional<u64> next_in(u64 page) const;
  [[nodiscard]] u64 next_out(u64 page) const;
  // False: no memory, and nothing has changed.
  [[nodiscard]] bool add(PageRun run);
  // Takes out the pages from `page` on. Needs no memory.
  void cut(u64 page);

 private:
  struct Node : boost::intrusive::set_base_hook<> {
    PageRun run;
    friend bool operator<(const Node& a, const Node& b) { return a.run.first < b.run.first; }
  };
  struct ByFirst {
    using type = u64;
    u64 operator()(const Node& node) const { return node.run.first; }
  };
  using Set = boost::intrusive::set<Node, boost::intrusive::key_of_value<ByFirst>>;

  static constexpr bool covers(PageRun a, PageRun b) { return a.first <= b.first && b.end() <= a.end(); }
  [[nodiscard]] u64 overlap_with_all(PageRun run) const;
  // The first of rest_ that ends at or after `page`.
  [[nodiscard]] Set::const_iterator ending_from(u64 page) const;

  // No two runs touch, this one included.
  PageRun recent_;
  Set rest_;
  u64 pages_ = 0;
};

}  // namespace nopte::guest::files
