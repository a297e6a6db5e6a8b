// What grows by itself or by brk, and the gaps that are kept for it.
#include "tests/unit/guest-mm/address_space_fixture.h"

namespace nopte::guest {
namespace {

TEST_F(AddressSpaceTest, BrkMovesByBytesAndMapsByPages) {
  space->set_brk_start(kPlace + 100);
  EXPECT_EQ(space->set_brk(Gva{0}), kPlace + 100);
  const u64 calls = fake.calls();
  EXPECT_EQ(space->set_brk(kPlace + 200), kPlace + 200);
  EXPECT_EQ(space->set_brk(kPlace + (kPageBytes + 1)), kPlace + (kPageBytes + 1));
  EXPECT_EQ(list(*space), (Specs{{.range = pages(1, 1), .perm = kPermRW}}));
  EXPECT_EQ(space->set_brk(kPlace + 5 * kPageBytes), kPlace + 5 * kPageBytes);
  EXPECT_EQ(list(*space), (Specs{{.range = pages(1, 4), .perm = kPermRW}}));
  EXPECT_EQ(space->set_brk(kPlace + 2 * kPageBytes), kPlace + 2 * kPageBytes);
  EXPECT_EQ(list(*space), (Specs{{.range = pages(1, 1), .perm = kPermRW}}));
  EXPECT_LE(fake.calls(), calls + 4);
  // A neighbour keeps a page between.
  ASSERT_TRUE(map(5, 1, kPermR));
  EXPECT_EQ(space->set_brk(kPlace + 5 * kPageBytes), kPlace + 2 * kPageBytes);
  EXPECT_EQ(space->set_brk(kPlace + 4 * kPageBytes), kPlace + 4 * kPageBytes);
  EXPECT_EQ(space->set_brk(kPlace + (u64{2} << 40)), kPlace + 4 * kPageBytes);
  EXPECT_EQ(space->set_brk(Gva{~u64{0}}), kPlace + 4 * kPageBytes);
}

TEST_F(AddressSpaceTest, TheStackGrowsToItsLimitAndKeepsAGap) {
  ASSERT_TRUE(space->map_stack());
  const Gva lowest = kStackTop - SpaceLimits().stack_bytes;
  EXPECT_FALSE(space->grow_stack(kStackTop - kPageBytes));  // there already
  EXPECT_TRUE(space->grow_stack(kStackTop - kStackInitialBytes - 1));
  EXPECT_TRUE(space->grow_stack(lowest));
  EXPECT_FALSE(space->grow_stack(lowest - 1));
  EXPECT_EQ(list(*space), (Specs{{.range = {lowest, kStackTop}, .perm = kPermRW}}));
}

TEST_F(AddressSpaceTest, NoGrowthIntoTheGuardGap) {
  const Gva top = pages(1000, 1).end;
  ASSERT_TRUE(map(1000, 1, kPermRW, kVmaGrowsDown));
  ASSERT_TRUE(map(600, 1));
  const Gva first_allowed = pages(601 + kStackGuardPages, 1).begin;
  EXPECT_FALSE(space->grow_stack(first_allowed - 1));
  EXPECT_TRUE(space->grow_stack(first_allowed));
  EXPECT_TRUE(space->covered({first_allowed, top}));
  // Something inaccessible needs no gap.
  ASSERT_TRUE(space->protect(pages(600, 1), kPermNone));
  EXPECT_TRUE(space->grow_stack(pages(601, 1).begin));
  EXPECT_FALSE(space->grow_stack(pages(600, 1).begin));
}

TEST_F(AddressSpaceTest, PlacingKeepsTheGapBelowAStack) {
  const Gva stack = space->map({.bytes = kPageBytes, .perm = kPermRW, .flags = kVmaGrowsDown}).value();
  const Gva next = space->map({.bytes = kPageBytes, .perm = kPermRW}).value();
  EXPECT_EQ(next, stack - pages_to_bytes(kStackGuardPages + 1));
  EXPECT_NE(space->map({.hint = stack - kPageBytes, .bytes = kPageBytes, .perm = kPermRW}).value(),
            stack - kPageBytes);
}

TEST_F(AddressSpaceTest, AHintIsRoundedDownAndRaisedToTheLowestPlace) {
  const auto at = [&](u64 hint) {
    return space->map({.hint = Gva{hint}, .bytes = kPageBytes, .perm = kPermR});
  };
  EXPECT_EQ(at(0x1000'0005), Gva{0x1000'0000});
  EXPECT_EQ(at(0x1000), kMmapBottom);
  EXPECT_GT(at(5).value(), kPlace);  // rounds to no hint
}

TEST_F(AddressSpaceTest, TheGapBelowAStackNearAddressZeroEndsThere) {
  for (const u64 low : {0x1'0000, 0x2'0000}) {
    space = AddressSpace::create().value();
    const MapRequest stack{.hint = Gva{low},
                           .bytes = kPageBytes,
                           .perm = kPermRW,
                           .placement = Placement::kFixed,
                           .flags = kVmaGrowsDown};
    ASSERT_TRUE(space->map(stack));
    for (const u64 hint : {low, low - kPageBytes}) {
      const auto at = space->map({.hint = Gva{hint}, .bytes = kPageBytes, .perm = kPermR});
      ASSERT_TRUE(at);
      EXPECT_GT(*at, Gva{low});
    }
    // Nothing but the gap is left.
    ASSERT_TRUE(space->map({.hint = Gva{low} + kPageBytes,
                            .bytes = (kUserRange.end - Gva{low}) - kPageBytes,
                            .placement = Placement::kFixed}));
    EXPECT_EQ(space->map({.bytes = kPageBytes, .perm = kPermR}).error(), Status::kNoMemory);
  }
}

}  // namespace
}  // namespace nopte::guest
