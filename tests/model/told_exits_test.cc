// What a fork costs at an interface that gathers: as many exits as full queues, and a few.
#include "tests/model/world.h"

namespace nopte::model {
namespace {

constexpr Gva kBase{0x1000'0000};

class ToldExits : public testing::TestWithParam<const KindRow*> {};
INSTANTIATE_TEST_SUITE_P(Kinds, ToldExits, testing::Values(&kToldByKvmPv, &kToldByVmi, &kToldByLguest, &kXen),
                         kKindName);

TEST_P(ToldExits, OfAForkAreItsEntriesOverTheCapacity) {
  constexpr u64 kMost = 4;  // more: the flush, and roots
  constexpr u64 kPages = (u64{64} << 20) / kPageBytes;
  World world(*GetParam(), 2 * kPages, 1);
  ASSERT_TRUE(world.start());
  const SpaceId parent = *world.create();
  ASSERT_TRUE(world.activate(parent));
  const VaRange range = VaRange::of_pages(kBase, kPages);
  world.map(parent, {.range = range, .perm = kPermRW});
  ASSERT_TRUE(world.advise(parent, range, Advice::kPopulate));
  for (u64 i = 0; i < kPages; ++i) {
    ASSERT_EQ(world.write(kBase + pages_to_bytes(i), i), ViolationReason::kNone);
  }

  u64 before = world.kind().exits();
  const SpaceId child = *world.clone(parent);
  const u64 exits = world.kind().exits() - before;
  std::printf("%s: fork of %lu pages, %lu exits\n", GetParam()->name, kPages, exits);
  EXPECT_LE(exits, (kPages + GetParam()->entries_per_exit - 1) / GetParam()->entries_per_exit + kMost);
  world.check();

  // The child's end, whatever it has.
  before = world.kind().exits();
  ASSERT_TRUE(world.destroy(child));
  EXPECT_LE(world.kind().exits() - before, kMost);
  EXPECT_EQ(world.write(kBase, 1), ViolationReason::kNone);
  world.check();
  world.finish();
}

}  // namespace
}  // namespace nopte::model
