#include "guest-mm/core/address_space.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/support/fake_mm_ops.h"

namespace nopte::guest {
namespace {

constexpr Gva kPlace{0x1000'0000};
constexpr VaRange pages(u64 first, u64 count) {
  return VaRange::of_pages(kPlace + pages_to_bytes(first), count);
}

class AddressSpaceTest : public testing::Test {
 protected:
  AddressSpaceTest() { space = AddressSpace::create().value(); }
  ~AddressSpaceTest() override { check(); }

  using Specs = std::vector<RegionSpec>;
  static Specs list(const AddressSpace& of) {
    Specs specs;
    for (auto vma = of.at_or_after(Gva{0}); vma; vma = of.at_or_after(vma->range.end)) {
      specs.push_back(of.tree().find(vma->range.begin).value());
    }
    return specs;
  }
  // What the guest promised and what the backend was told are the same.
  void check() {
    if (!space) return;
    EXPECT_TRUE(space->tree().consistent());
    EXPECT_EQ(backend_view(list(*space)), fake.regions(space->id()));
  }
  // The backend does not know tags: regions that differ by them alone are one.
  static Specs backend_view(const Specs& specs) {
    Specs merged;
    for (const RegionSpec& spec : specs) {
      if (!merged.empty()) {
        RegionSpec expected = merged.back();
        expected.range = spec.range;
        if (spec.object != ObjectId::kNone) expected.object_page += merged.back().range.pages();
        if (merged.back().range.end == spec.range.begin && expected == spec) {
          merged.back().range.end = spec.range.end;
          continue;
        }
      }
      merged.push_back(spec);
    }
    return merged;
  }
  Result<Gva> map(u64 first, u64 count, Perm perm = kPermRW, u32 flags = 0) {
    return space->map({.hint = pages(first, count).begin,
                       .bytes = pages_to_bytes(count),
                       .perm = perm,
                       .placement = Placement::kFixed,
                       .flags = flags});
  }
  template <class T>
  static Status status(const Result<T>& result) {
    return result ? Status::kOk : result.error();
  }

  test::FakeMmOps fake{1 << 18};
  Ref<AddressSpace> space;
};

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
  const Gva lowest = kStackTop - kStackLimitBytes;
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
  for (u64 i = 0; i < kMostRegions; ++i) {
    ASSERT_TRUE(map(2 * i, 1)) << i;
  }
  EXPECT_EQ(status(map(2 * kMostRegions, 1)), Status::kNoMemory);
  ASSERT_TRUE(space->unmap(pages(0, 1)));
  EXPECT_TRUE(map(2 * kMostRegions, 1));
  ASSERT_TRUE(space->unmap({kUserRange.begin, kUserRange.end}));
}

// Every operation, with the nth call to the backend failing, for every n: all is as before.
class FailureTest : public AddressSpaceTest {
 protected:
  using Operation = std::function<bool()>;  // whether it succeeded

  void fail_each(const char* name, const Operation& operation) {
    SCOPED_TRACE(name);
    for (u64 n = 1;; ++n) {
      ASSERT_LT(n, 20u);
      const Specs before = list(*space);
      const u64 objects = fake.objects();
      const u64 spaces = fake.spaces();
      fake.fail_at(n);
      const bool succeeded = operation();
      const bool failed = fake.failed();
      fake.fail_at(0);
      check();
      if (!failed) {
        EXPECT_TRUE(succeeded);
        return;
      }
      EXPECT_FALSE(succeeded);
      EXPECT_EQ(list(*space), before);
      EXPECT_EQ(fake.objects(), objects);
      EXPECT_EQ(fake.spaces(), spaces);
    }
  }

  // Leaves exactly `blocks` free blocks of this size in the heap, and no more memory, while `operation` runs.
  bool with_blocks(u64 bytes, u64 blocks, const Operation& operation) {
    fake.forbid_kmem(true);
    std::vector<void*> taken;
    while (void* block = heap_alloc(bytes)) taken.push_back(block);
    u64 given_back = 0;
    while (given_back < blocks && !taken.empty()) {
      heap_free(taken.back(), bytes);
      taken.pop_back();
      ++given_back;
    }
    const bool succeeded = operation();
    for (void* block : taken) heap_free(block, bytes);
    fake.forbid_kmem(false);
    return succeeded;
  }
  void starve_each(const char* name, u64 block_bytes, const Operation& operation) {
    SCOPED_TRACE(name);
    // The heap holds enough for the run that succeeds.
    std::vector<void*> stock;
    for (int i = 0; i < 64; ++i) stock.push_back(heap_alloc(block_bytes));
    for (void* block : stock) heap_free(block, block_bytes);
    for (u64 n = 0;; ++n) {
      ASSERT_LT(n, 64u);
      const Specs before = list(*space);
      const u64 objects = fake.objects();
      const u64 spaces = fake.spaces();
      const bool succeeded = with_blocks(block_bytes, n, operation);
      check();
      if (succeeded) return;
      EXPECT_EQ(list(*space), before);
      EXPECT_EQ(fake.objects(), objects);
      EXPECT_EQ(fake.spaces(), spaces);
    }
  }

  struct Named {
    const char* name;
    Operation operation;
  };
  std::vector<Named> operations() {
    return {
        {"map", [&] { return space->map({.bytes = kPageBytes, .perm = kPermRWX}).has_value(); }},
        {"map shared",
         [&] {
           return space->map({.bytes = kPageBytes, .perm = kPermRW, .sharing = Sharing::kShared}).has_value();
         }},
        {"unmap a hole", [&] { return space->unmap(pages(2, 1)).has_value(); }},
        {"protect the middle", [&] { return space->protect(pages(6, 1), kPermR).has_value(); }},
        {"grow in place", [&] { return space->remap({.old = pages(10, 10), .new_pages = 12}).has_value(); }},
        {"move the middle and grow",
         [&] { return space->remap({.old = pages(12, 2), .new_pages = 5, .may_move = true}).has_value(); }},
        {"advise", [&] { return space->advise(pages(10, 1), Advice::kDontNeed).has_value(); }},
        {"brk",
         [&] {
           space->set_brk_start(kPlace + (1 << 24));
           return space->set_brk(kPlace + (2 << 24)) == kPlace + (2 << 24);
         }},
        {"brk shrinks", [&] { return space->set_brk(kPlace + (1 << 24)) == kPlace + (1 << 24); }},
        {"stack", [&] { return space->grow_stack(kStackTop - (1 << 20)); }},
        {"clone", [&] { return space->clone().has_value(); }},
        {"create", [&] { return AddressSpace::create().has_value(); }},
    };
  }
  void prepare() {
    ASSERT_TRUE(map(0, 4));
    ASSERT_TRUE(map(5, 3));
    ASSERT_TRUE(map(10, 10));
    ASSERT_TRUE(space->map_stack());
    ASSERT_TRUE(space->map({.bytes = kPageBytes, .perm = kPermRW, .sharing = Sharing::kShared}));
  }
};

TEST_F(FailureTest, AFailedCallLeavesTheSpaceAsItWas) {
  prepare();
  for (const Named& each : operations()) fail_each(each.name, each.operation);
}

TEST_F(FailureTest, AMissingBlockLeavesTheSpaceAsItWas) {
  prepare();
  for (const u64 bytes : {sizeof(RegionNode), sizeof(MemoryObject), sizeof(AddressSpace)}) {
    for (const Named& each : operations()) starve_each(each.name, bytes, each.operation);
    ASSERT_TRUE(space->unmap({kUserRange.begin, kUserRange.end}));
    prepare();
  }
}

TEST_F(FailureTest, AFailedFixedMapMayHaveUnmappedWhatWasThere) {
  ASSERT_TRUE(map(0, 4));
  fake.fail_at(1);
  EXPECT_EQ(status(map(1, 1, kPermR)), Status::kNoMemory);
  EXPECT_EQ(list(*space),
            (Specs{{.range = pages(0, 1), .perm = kPermRW}, {.range = pages(2, 2), .perm = kPermRW}}));
}

}  // namespace
}  // namespace nopte::guest
