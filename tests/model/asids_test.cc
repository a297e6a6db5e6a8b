// Guests with page tables under ASIDs, one for each root: a switch flushes nothing, and nothing stale is ever
// used, with FlushByAsid and without. After each operation it is looked for translations that the guest could
// use and should not; those of a space that does not run are looked at when it does. NOPTE_SEED=n
// NOPTE_OPERATIONS=100000000 is the long run. (Mode vma: unit/hv-mm/vma_asid_random_test.cc.)
#include "tests/model/launched.h"
#include "tests/model/random_run.h"
#include "tests/support/seeds.h"

namespace nopte::model {
namespace {

class Asids : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, Asids,
                         testing::Values(&kXen, &kToldByKvmPv, &kToldByVmi, &kToldByLguest, &kShadowed),
                         kKindName);

// Of the spaces' own pages and of the kernel's.
TEST_P(Asids, ASwitchFlushesNothing) {
  for (const bool flush_by_asid : {false, true}) {
    const Processors processors(flush_by_asid);
    World world(*GetParam(), 1200);
    ASSERT_TRUE(world.start());
    SpaceId spaces[2];
    const Gva va = world.layout().areas[0];
    for (SpaceId& space : spaces) {
      space = *world.create();
      world.map(space, {.range = VaRange::of_pages(va, 2), .perm = kPermRW});
    }
    const auto round = [&](u64 value) {
      for (u64 i = 0; i < 2; ++i) {
        ASSERT_TRUE(world.activate(spaces[i]));
        ASSERT_EQ(world.write(va, value + i), ViolationReason::kNone);
      }
    };
    for (u64 i = 1; i < 4; ++i) round(i);
    const u64 walks = world.machine().walks, flushes = world.machine().entry_flushes;
    const u64 page_flushes = world.machine().page_flushes;
    for (u64 i = 0; i < 5; ++i) round(10 * i);
    EXPECT_EQ(world.machine().walks, walks) << flush_by_asid;
    EXPECT_EQ(world.machine().entry_flushes, flushes);
    EXPECT_EQ(world.machine().page_flushes, page_flushes);
    for (const SpaceId space : spaces) {
      ASSERT_TRUE(world.activate(SpaceId::kKernel));
      ASSERT_TRUE(world.destroy(space));
    }
    world.finish();
  }
}

TEST_P(Asids, NoStaleTranslationIsEverUsed) {
  // A trapped store costs the model a signal.
  const u64 operations = test::operations(GetParam() == &kShadowed ? 40'000 : 120'000) / 2;
  for (const u64 seed : test::seeds()) {
    for (const bool flush_by_asid : {false, true}) {
      SCOPED_TRACE(testing::Message() << "NOPTE_SEED=" << seed << ", FlushByAsid " << flush_by_asid);
      const Processors processors(flush_by_asid);
      RandomRun run(*GetParam(), seed, 1200);
      run.run(operations);
      ASSERT_FALSE(HasFailure());
    }
  }
}

}  // namespace
}  // namespace nopte::model
