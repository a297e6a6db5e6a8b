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

// Of a fault that gives many leaves back the right to write, the hypervisor hears all: none of them faults by
// itself.
TEST_P(ToldExits, RightsThatComeBackAreToldInTheirFault) {
  constexpr u64 kPages = 256;
  World world(*GetParam(), 4 * kPages, 1);
  ASSERT_TRUE(world.start());
  const SpaceId parent = *world.create();
  ASSERT_TRUE(world.activate(parent));
  world.map(parent, {.range = VaRange::of_pages(kBase, kPages), .perm = kPermRW});
  const auto write_all = [&world](u64 value) {
    const u64 before = world.kind().exits();
    for (u64 i = 0; i < kPages; ++i) {
      EXPECT_EQ(world.write(kBase + pages_to_bytes(i), value), ViolationReason::kNone);
    }
    return world.kind().exits() - before;
  };
  write_all(1);
  ASSERT_TRUE(world.destroy(*world.clone(parent)));
  const u64 faults_before = world.engine().counters().faults;
  const u64 exits = write_all(2);
  const u64 faults = world.engine().counters().faults - faults_before;
  std::printf("%s: rights of %lu pages, %lu faults, %lu exits\n", GetParam()->name, kPages, faults, exits);
  EXPECT_LE(faults, kPages / 16);
  EXPECT_LE(exits, 2 * faults);  // the fault, and what it tells
  world.check();
  world.finish();
}

}  // namespace
}  // namespace nopte::model
