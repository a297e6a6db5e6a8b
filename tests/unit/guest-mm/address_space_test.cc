#include "guest-mm/core/address_space.h"

#include "tests/unit/guest-mm/address_space_fixture.h"

namespace nopte::guest {
namespace {

TEST_F(AddressSpaceTest, PlacesFromTheTopDownwardsAndMerges) {
  const Gva first = space->map({.bytes = 100, .perm = kPermRW}).value();
  EXPECT_EQ(first, kMmapTop - kPageBytes);
  EXPECT_EQ(space->map({.bytes = 2 * kPageBytes, .perm = kPermRW}).value(), first - 2 * kPageBytes);
  EXPECT_EQ(space->regions(), 1u);
  EXPECT_EQ(space->map({.bytes = kPageBytes, .perm = kPermR}).value(), first - 3 * kPageBytes);
  EXPECT_EQ(space->regions(), 2u);
  ASSERT_TRUE(space->unmap(VaRange::of_pages(first, 1)));
  EXPECT_EQ(space->map({.bytes = 1, .perm = kPermR}).value(), first);
}

TEST_F(AddressSpaceTest, TakesAFreeHintAndIgnoresATakenOne) {
  EXPECT_EQ(space->map({.hint = kPlace, .bytes = kPageBytes, .perm = kPermRW}).value(), kPlace);
  EXPECT_EQ(space->map({.hint = kPlace, .bytes = kPageBytes, .perm = kPermRW}).value(),
            kMmapTop - kPageBytes);
}

TEST_F(AddressSpaceTest, FixedReplacesAndNoReplaceRefuses) {
  ASSERT_TRUE(map(0, 10));
  EXPECT_EQ(status(space->map({.hint = pages(9, 1).begin,
                               .bytes = 2 * kPageBytes,
                               .perm = kPermR,
                               .placement = Placement::kFixedNoReplace})),
            Status::kOverlap);
  ASSERT_TRUE(map(4, 2, kPermR));
  EXPECT_EQ(list(*space), (Specs{{.range = pages(0, 4), .perm = kPermRW},
                                 {.range = pages(4, 2), .perm = kPermR},
                                 {.range = pages(6, 4), .perm = kPermRW}}));
}

TEST_F(AddressSpaceTest, MapRefusesWhatLinuxRefuses) {
  EXPECT_EQ(status(space->map({.bytes = 0, .perm = kPermRW})), Status::kInvalid);
  EXPECT_EQ(status(space->map({.bytes = ~u64{0}, .perm = kPermRW})), Status::kNoMemory);
  EXPECT_EQ(
      status(space->map({.hint = kPlace + 1, .bytes = 1, .perm = kPermRW, .placement = Placement::kFixed})),
      Status::kInvalid);
  EXPECT_EQ(status(space->map({.hint = kUserRange.end - kPageBytes,
                               .bytes = 2 * kPageBytes,
                               .perm = kPermRW,
                               .placement = Placement::kFixed})),
            Status::kNoMemory);
  EXPECT_EQ(status(space->map({.bytes = 1, .perm = kPermRW, .flags = kVmaNoWrite})), Status::kPermission);
}

TEST_F(AddressSpaceTest, OneRequestBeyondAllMemoryIsRefusedUnlessNotReserved) {
  const u64 all = u64{1} << 30;
  EXPECT_TRUE(space->map({.bytes = all, .perm = kPermRW}));
  EXPECT_TRUE(space->map({.bytes = all, .perm = kPermRW}));
  EXPECT_EQ(status(space->map({.bytes = all + 1, .perm = kPermRW})), Status::kNoMemory);
  EXPECT_EQ(status(space->map({.bytes = all + 1, .perm = kPermRW, .sharing = Sharing::kShared})),
            Status::kNoMemory);
  EXPECT_TRUE(space->map({.bytes = 4 * all, .perm = kPermNone}));
  const Gva reserved = space->map({.bytes = 4 * all, .perm = kPermRW, .flags = kVmaNoReserve}).value();
  EXPECT_TRUE(space->protect({reserved, reserved + 4 * all}, kPermRW));
  const Gva readable = space->map({.bytes = 4 * all, .perm = kPermR}).value();
  EXPECT_EQ(status(space->protect({readable, readable + 4 * all}, kPermRW)), Status::kNoMemory);
  EXPECT_TRUE(space->protect({readable, readable + all}, kPermRW));
}

TEST_F(AddressSpaceTest, SharedAnonymousMemoryIsAnObjectThatGoesWithItsLastRegion) {
  const Gva at = space->map({.bytes = 3 * kPageBytes, .perm = kPermRW, .sharing = Sharing::kShared}).value();
  EXPECT_EQ(fake.objects(), 1u);
  ASSERT_TRUE(space->unmap({at, at + kPageBytes}));
  EXPECT_EQ(fake.objects(), 1u);
  const auto vma = space->find(at + kPageBytes);
  ASSERT_TRUE(vma);
  EXPECT_EQ(vma->object->name(), "/dev/zero (deleted)");
  EXPECT_EQ(vma->offset_bytes, kPageBytes);
  Ref<AddressSpace> child = space->clone().value();
  ASSERT_TRUE(space->unmap({at, at + 3 * kPageBytes}));
  EXPECT_EQ(fake.objects(), 1u);
  child = nullptr;
  EXPECT_EQ(fake.objects(), 0u);
  EXPECT_EQ(fake.spaces(), 1u);
}

TEST_F(AddressSpaceTest, ObjectsLiveAsLongAsSomeoneHoldsThem) {
  Ref<MemoryObject> file = MemoryObject::create(0).value();
  EXPECT_EQ(fake.objects(), 0u);  // no pages, not mapped: the backend need not know
  ASSERT_TRUE(file->resize(5000));
  EXPECT_EQ(fake.object_pages(file->id()), 2u);
  const Gva at = space->map({.bytes = 5000, .perm = kPermR, .object = file, .offset_bytes = 0}).value();
  file = nullptr;
  EXPECT_EQ(fake.objects(), 1u);
  ASSERT_TRUE(space->unmap(VaRange::of_pages(at, 2)));
  EXPECT_EQ(fake.objects(), 0u);
  // An empty file gets its object when it is mapped.
  Ref<MemoryObject> empty = MemoryObject::create(0).value();
  ASSERT_TRUE(space->map({.bytes = 1, .perm = kPermR, .object = empty}));
  EXPECT_EQ(fake.objects(), 1u);
}

TEST_F(AddressSpaceTest, UnmapIgnoresHolesAndCallsOnlyWhenSomethingIsThere) {
  ASSERT_TRUE(map(2, 2));
  const u64 calls = fake.calls();
  EXPECT_TRUE(space->unmap(pages(4, 10)));
  EXPECT_TRUE(space->unmap({Gva{0}, Gva{0x1000}}));
  EXPECT_EQ(fake.calls(), calls);
  EXPECT_TRUE(space->unmap(pages(0, 3)));
  EXPECT_EQ(fake.calls(), calls + 1);
  EXPECT_EQ(list(*space), (Specs{{.range = pages(3, 1), .perm = kPermRW}}));
  EXPECT_EQ(status(space->unmap(pages(0, 0))), Status::kInvalid);
  EXPECT_EQ(status(space->unmap({kPlace + 1, kPlace + kPageBytes})), Status::kInvalid);
}

TEST_F(AddressSpaceTest, ProtectChangesWhatLiesBeforeAHole) {
  ASSERT_TRUE(map(0, 4));
  EXPECT_EQ(status(space->protect(pages(2, 4), kPermR)), Status::kNoRegion);
  EXPECT_EQ(list(*space),
            (Specs{{.range = pages(0, 2), .perm = kPermRW}, {.range = pages(2, 2), .perm = kPermR}}));
  const u64 calls = fake.calls();
  EXPECT_TRUE(space->protect(pages(2, 2), kPermR));
  EXPECT_EQ(fake.calls(), calls);
}

TEST_F(AddressSpaceTest, AReadOnlySharedFileNeverBecomesWritable) {
  const Ref<MemoryObject> file = MemoryObject::create(kPageBytes).value();
  const Gva at = space
                     ->map({.bytes = kPageBytes,
                            .perm = kPermR,
                            .sharing = Sharing::kShared,
                            .flags = kVmaNoWrite,
                            .object = file})
                     .value();
  EXPECT_EQ(status(space->protect(VaRange::of_pages(at, 1), kPermRW)), Status::kPermission);
  EXPECT_TRUE(space->protect(VaRange::of_pages(at, 1), kPermNone));
}

TEST_F(AddressSpaceTest, RemapShrinksGrowsInPlaceAndMoves) {
  ASSERT_TRUE(map(0, 4));
  EXPECT_EQ(space->remap({.old = pages(0, 4), .new_pages = 2}).value(), pages(0, 1).begin);
  EXPECT_EQ(space->remap({.old = pages(0, 2), .new_pages = 6}).value(), pages(0, 1).begin);
  EXPECT_EQ(list(*space), (Specs{{.range = pages(0, 6), .perm = kPermRW}}));
  ASSERT_TRUE(map(6, 1, kPermR));
  EXPECT_EQ(status(space->remap({.old = pages(0, 6), .new_pages = 8})), Status::kNoMemory);
  const Gva moved = space->remap({.old = pages(0, 6), .new_pages = 8, .may_move = true}).value();
  EXPECT_EQ(list(*space), (Specs{{.range = pages(6, 1), .perm = kPermR},
                                 {.range = VaRange::of_pages(moved, 8), .perm = kPermRW}}));
  EXPECT_EQ(space
                ->remap({.old = VaRange::of_pages(moved, 8),
                         .new_pages = 3,
                         .may_move = true,
                         .fixed = true,
                         .new_address = pages(5, 1).begin})
                .value(),
            pages(5, 1).begin);
  EXPECT_EQ(list(*space), (Specs{{.range = pages(5, 3), .perm = kPermRW}}));
}

TEST_F(AddressSpaceTest, RemapContinuesAFile) {
  const Ref<MemoryObject> file = MemoryObject::create(100 * kPageBytes).value();
  ASSERT_TRUE(space->map({.hint = kPlace,
                          .bytes = 2 * kPageBytes,
                          .perm = kPermR,
                          .placement = Placement::kFixed,
                          .object = file,
                          .offset_bytes = 5 * kPageBytes}));
  ASSERT_TRUE(map(2, 1));
  const Gva moved = space->remap({.old = pages(0, 2), .new_pages = 4, .may_move = true}).value();
  const auto vma = space->find(moved);
  ASSERT_TRUE(vma);
  EXPECT_EQ(vma->range, VaRange::of_pages(moved, 4));
  EXPECT_EQ(vma->offset_bytes, 5 * kPageBytes);
}

TEST_F(AddressSpaceTest, RemapRefusals) {
  ASSERT_TRUE(map(0, 4));
  ASSERT_TRUE(map(4, 2, kPermR));
  EXPECT_EQ(status(space->remap({.old = pages(10, 1), .new_pages = 2})), Status::kBadAddress);
  EXPECT_EQ(status(space->remap({.old = pages(2, 4), .new_pages = 8, .may_move = true})),
            Status::kBadAddress);
  EXPECT_EQ(status(space->remap({.old = pages(0, 4), .new_pages = 0})), Status::kInvalid);
  EXPECT_EQ(status(space->remap({.old = pages(0, 4),
                                 .new_pages = 4,
                                 .may_move = true,
                                 .fixed = true,
                                 .new_address = pages(3, 1).begin})),
            Status::kInvalid);
  EXPECT_EQ(status(space->remap({.old = pages(0, 1), .new_pages = u64{1} << 60, .may_move = true})),
            Status::kInvalid);
  EXPECT_EQ(status(space->remap({.old = pages(0, 1), .new_pages = u64{1} << 19, .may_move = true})),
            Status::kNoMemory);
}

TEST_F(AddressSpaceTest, AdviseGoesThroughAndReportsHoles) {
  ASSERT_TRUE(map(0, 2));
  EXPECT_TRUE(space->advise(pages(0, 2), Advice::kDontNeed));
  EXPECT_EQ(fake.advised().back().range, pages(0, 2));
  EXPECT_EQ(status(space->advise(pages(1, 2), Advice::kDontNeed)), Status::kNoRegion);
  EXPECT_EQ(fake.advised().back().range, pages(1, 2));
  const u64 calls = fake.calls();
  EXPECT_EQ(status(space->advise(pages(10, 2), Advice::kDontNeed)), Status::kNoRegion);
  EXPECT_EQ(fake.calls(), calls);
}

TEST_F(AddressSpaceTest, PopulateIsAskedForAfterMapping) {
  const Gva at = space->map({.bytes = kPageBytes, .perm = kPermRW, .populate = true}).value();
  ASSERT_EQ(fake.advised().size(), 1u);
  EXPECT_EQ(fake.advised()[0].range, VaRange::of_pages(at, 1));
  EXPECT_EQ(fake.advised()[0].advice, Advice::kPopulate);
}

TEST_F(AddressSpaceTest, AnUntouchedPageCostsOneCallEachWay) {
  ASSERT_TRUE(space->map({.bytes = kPageBytes, .perm = kPermRW}));
  const u64 calls = fake.calls();
  const Gva at = space->map({.bytes = kPageBytes, .perm = kPermR}).value();
  EXPECT_EQ(fake.calls(), calls + 1);
  ASSERT_TRUE(space->unmap(VaRange::of_pages(at, 1)));
  EXPECT_EQ(fake.calls(), calls + 2);
}

TEST_F(AddressSpaceTest, ACloneIsEqualAndIndependent) {
  ASSERT_TRUE(map(0, 4));
  ASSERT_TRUE(space->map_stack());
  space->set_brk_start(kPlace + (1 << 20));
  const Ref<AddressSpace> child = space->clone().value();
  EXPECT_EQ(list(*child), list(*space));
  EXPECT_EQ(child->brk(), space->brk());
  ASSERT_TRUE(child->unmap(pages(0, 1)));
  EXPECT_NE(list(*child), list(*space));
  EXPECT_EQ(fake.regions(child->id()), list(*child));
}

TEST_F(AddressSpaceTest, TheNumberOfRegionsIsLimited) {
  // Linux's edges: mmap makes one more than the limit, a split needs two below it, a move that splits more.
  ASSERT_TRUE(map(0, 3));
  for (u64 i = 2; i <= kMostRegionsByDefault; ++i) ASSERT_TRUE(map(2 * i, 1)) << i;
  const auto grow = [&] {
    return status(space->remap({.old = pages(6, 1), .new_pages = 2, .may_move = true}));
  };
  const auto move = [&] {
    return status(space->remap({.old = pages(6, 1),
                                .new_pages = 1,
                                .may_move = true,
                                .fixed = true,
                                .new_address = pages(3 * kMostRegionsByDefault, 1).begin}));
  };
  EXPECT_EQ(space->regions(), kMostRegionsByDefault);
  EXPECT_EQ(status(space->unmap(pages(1, 1))), Status::kNoMemory);
  EXPECT_EQ(status(space->protect(pages(1, 1), kPermR)), Status::kNoMemory);
  EXPECT_TRUE(map(2 * kMostRegionsByDefault + 2, 1));
  EXPECT_EQ(space->regions(), kMostRegionsByDefault + 1);
  EXPECT_EQ(status(map(2 * kMostRegionsByDefault + 4, 1)), Status::kNoMemory);
  EXPECT_EQ(status(map(5, 1)), Status::kNoMemory) << "it would merge, but Linux counts first";
  const auto unmap_to = [&](u64 count) {
    for (u64 i = 2 * kMostRegionsByDefault + 2; space->regions() > count; i -= 2)
      ASSERT_TRUE(space->unmap(pages(i, 1)));
  };
  unmap_to(kMostRegionsByDefault - 3);
  ASSERT_TRUE(map(7, 1)) << "in the way of growing in place";
  ASSERT_TRUE(space->protect(pages(7, 1), kPermR));
  ASSERT_TRUE(space->unmap(pages(10, 1)));
  EXPECT_EQ(space->regions(), kMostRegionsByDefault - 3);
  EXPECT_EQ(grow(), Status::kNoMemory);
  EXPECT_EQ(move(), Status::kNoMemory);
  unmap_to(kMostRegionsByDefault - 4);
  EXPECT_EQ(grow(), Status::kOk);
  ASSERT_TRUE(map(6, 1));
  unmap_to(kMostRegionsByDefault - 5);
  EXPECT_EQ(move(), Status::kNoMemory);
  unmap_to(kMostRegionsByDefault - 6);
  EXPECT_EQ(move(), Status::kOk);
  ASSERT_TRUE(space->unmap({kUserRange.begin, kUserRange.end}));
}

}  // namespace
}  // namespace nopte::guest
