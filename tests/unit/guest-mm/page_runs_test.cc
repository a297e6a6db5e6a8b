#include "guest-mm/kernel/files/tmpfs/page_runs.h"

#include <absl/container/btree_set.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/support/fake_mm_ops.h"

namespace nopte::guest::files {
namespace {

TEST(PageRuns, AgreesWithASetOfPages) {
  test::FakeMmOps mm;
  PageRuns runs;
  absl::btree_set<u64> model;
  std::mt19937_64 random(11);
  const auto missing = [&](PageRun run) {
    u64 count = 0;
    for (u64 page = run.first; page < run.end(); ++page) count += !model.contains(page);
    return count;
  };
  for (int step = 0; step < 50'000; ++step) {
    const PageRun run{random() % 200, 1 + random() % (step % 5 == 0 ? 40 : 4)};
    ASSERT_EQ(runs.missing(run), missing(run));
    const u64 most = random() % 5;
    u64 pages = 0;
    while (pages < run.pages && missing({run.first, pages + 1}) <= most) ++pages;
    ASSERT_EQ(runs.prefix(run, most), pages);
    if (random() % 10 == 0) {
      runs.cut(run.first);
      model.erase(model.lower_bound(run.first), model.end());
    } else {
      ASSERT_TRUE(runs.add(run));
      for (u64 page = run.first; page < run.end(); ++page) model.insert(page);
    }
    ASSERT_EQ(runs.pages(), model.size());
  }
}

TEST(PageRuns, AFileWrittenInOrderNeedsNoMemory) {
  test::FakeMmOps mm;
  mm.forbid_kmem(true);
  PageRuns runs;
  for (u64 page = 0; page < 1000; ++page) ASSERT_TRUE(runs.add({page, 2}));
  EXPECT_EQ(runs.pages(), 1001u);
  runs.cut(0);
  EXPECT_EQ(runs.pages(), 0u);
}

}  // namespace
}  // namespace nopte::guest::files
