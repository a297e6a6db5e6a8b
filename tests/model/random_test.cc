// Random operations over every kind of sink. The histogram of what happened is printed, and asserted: every
// operation and every error that engine.h documents occurs often.
#include <cinttypes>

#include "tests/model/random_run.h"

namespace nopte::model {
namespace {

void print(const char* title, const RandomRun::Histogram& histogram) {
  std::printf("%s\n", title);
  for (const auto& [what, times] : histogram) std::printf("  %9" PRIu64 "  %s\n", times, what.c_str());
}

// Every operation and every documented error. Not reachable here: kLimit for want of ids (1,032,192 spaces).
constexpr const char* kExpected[] = {"activate: ok",
                                     "activate: invalid argument",
                                     "clone: ok",
                                     "clone: invalid argument",
                                     "clone: no memory",
                                     "create: ok",
                                     "create: no memory",
                                     "destroy: ok",
                                     "destroy: again",
                                     "destroy: busy",
                                     "destroy: invalid argument",
                                     "dont-need: ok",
                                     "dont-need: again",
                                     "dont-need: invalid argument",
                                     "exec: ok",
                                     "exec: no region",
                                     "exec: permission",
                                     "exec: past end",
                                     "kernel pointer: ok",
                                     "kernel pointer: invalid argument",
                                     "kmem alloc: ok",
                                     "kmem alloc: invalid argument",
                                     "kmem alloc: no memory",
                                     "kmem free: ok",
                                     "kmem free: invalid argument",
                                     "map: ok",
                                     "move: ok",
                                     "move: invalid argument",
                                     "move: no memory",
                                     "object create: ok",
                                     "object create: no memory",
                                     "object create: limit",
                                     "object destroy: ok",
                                     "object destroy: again",
                                     "object destroy: busy",
                                     "object destroy: invalid argument",
                                     "object pages: ok",
                                     "object pages: invalid argument",
                                     "object resize: ok",
                                     "object resize: again",
                                     "object resize: invalid argument",
                                     "object resize: limit",
                                     "object pointer: ok",
                                     "object pointer: invalid argument",
                                     "object pointer: no memory",
                                     "object pointer: past end",
                                     "populate: ok",
                                     "populate: again",
                                     "populate: invalid argument",
                                     "populate: no memory",
                                     "protect: ok",
                                     "protect: again",
                                     "protect: invalid argument",
                                     "read: ok",
                                     "read: no memory",
                                     "read: no region",
                                     "read: past end",
                                     "read: permission",
                                     "unmap: ok",
                                     "unmap: again",
                                     "unmap: invalid argument",
                                     "will-need: ok",
                                     "will-need: again",
                                     "will-need: invalid argument",
                                     "write: ok",
                                     "write: no memory",
                                     "write: no region",
                                     "write: past end",
                                     "write: permission"};

TEST(Random, TwoMillionOperationsDoEverything) {
  RandomRun run(kStoreInGuest, 20'240'101, 1500);
  run.run(2'000'000);
  print("store in guest, 2,000,000 operations:", run.histogram);
  if (HasFailure()) return;
  for (const char* what : kExpected) EXPECT_GE(run.histogram[what], 500u) << what;
}

TEST(Random, ASeedOfItsOwn) {
  const u64 seed = std::random_device{}();
  std::printf("seed %" PRIu64 "\n", seed);
  RandomRun run(kStoreInGuest, seed, 900);
  run.run(100'000);
  EXPECT_FALSE(HasFailure()) << "seed " << seed;
}

class RandomOver : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RandomOver,
                         testing::Values(&kStoreInHypervisor, &kXen, &kLguestLike, &kToldByKvmPv, &kToldByVmi,
                                         &kToldByLguest, &kShadowed, &kNested),
                         kKindName);

TEST_P(RandomOver, KeepsToTheReference) {
  for (const u64 seed : {1u, 2u}) {
    RandomRun run(*GetParam(), seed, 1200);
    run.run(25'000);
    ASSERT_FALSE(HasFailure()) << GetParam()->name << ", seed " << seed;
  }
}

class RandomFormats : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RandomFormats, testing::Values(&kFiveLevelStore, &kPaeStore, &kTwoLevelStore),
                         kKindName);

TEST_P(RandomFormats, ThreeHundredThousandOperationsDoEverything) {
  RandomRun run(*GetParam(), 20'240'102, 1500);
  run.run(300'000);
  if (HasFailure()) return;
  for (const char* what : kExpected) EXPECT_GE(run.histogram[what], 50u) << GetParam()->name << ", " << what;
}

// Where programs have large pages. Each run has some of everything that happens to them.
class RandomLarge : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, RandomLarge,
                         testing::Values(&kStoreInGuest, &kStoreInHypervisor, &kFiveLevelStore, &kPaeStore,
                                         &kShadowed, &kNested),
                         kKindName);

TEST_P(RandomLarge, KeepsToTheReference) {
  for (const u64 seed : {1u, 2u}) {
    RandomRun run = RandomRun::with_large_pages(*GetParam(), seed, 12'000, 1800);
    run.run(60'000);
    ASSERT_FALSE(HasFailure()) << GetParam()->name << ", seed " << seed;
    EXPECT_GE(run.counters.large_pages, 20u);
    EXPECT_GE(run.counters.large_split, 8u);
  }
}

}  // namespace
}  // namespace nopte::model
