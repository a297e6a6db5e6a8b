// What a call does between two looks at whether it should stop is bounded by a number, whatever a guest has
// made: many regions, many mappings, index nodes without a page.
#include <array>
#include <random>
#include <vector>

#include "tests/unit/hv-mm/vma_fixture.h"

namespace nopte::hv {
namespace {

class VmaAgainBig : public VmaAgainTest {
 protected:
  VmaAgainBig() : VmaAgainTest(40000) {}
};

// A shortage between a node and the page below it leaves the node: there can be many.
TEST_F(VmaAgainTest, WillNeedOverEmptyIndexNodes) {
  const u64 object = call(Call::object_create, {u64{1} << 36}).value;
  const u64 space = active_space();
  constexpr Gva kFar{0x6000'0000'0000};
  ASSERT_EQ(map(space, kFar, 1, 1, object, (u64{1} << 36) - 1), Status::kOk);
  ASSERT_TRUE(touch(kFar, Access::kRead));
  constexpr Gva kBegin{0x1000'0000'0000};
  ASSERT_EQ(map(space, kBegin, u64{1} << 34, 1, object), Status::kOk);
  for (u64 made = 0; made < 2000; ++made) {
    frames_.fail_allocation(made % 512 == 0 ? 4 : 3);
    EXPECT_FALSE(touch(kBegin + pages_to_bytes(made << 18), Access::kRead));
    frames_.fail_allocation(0);
  }
  const u64 checks = stop_.checks;
  EXPECT_EQ(call(Call::region_advise, {space, kBegin.value(), u64{1} << 34, 1}).status, Status::kOk);
  EXPECT_GT(stop_.checks, checks + 2);
  stop_.requested = true;
  EXPECT_EQ(until_done(Stub::kGoesOn, Call::region_advise, {space, kBegin.value(), u64{1} << 34, 1}).status,
            Status::kOk);
  EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 1}).status, Status::kOk);
}

TEST_F(VmaAgainBig, HowManyRegionsAreUsed) {
  const u64 space = active_space();
  const RegionTree& tree = **memory_.declared(SpaceId(static_cast<u32>(space)));
  constexpr u64 kRegions = 5000;
  for (u64 i = 0; i < kRegions; ++i) ASSERT_EQ(map(space, kA + i * 2 * kPageBytes, 1), Status::kOk);
  const Registers random{space, kA.value(), 2 * kRegions, static_cast<u64>(Advice::kRandom)};
  const Registers normal{space, kA.value(), 2 * kRegions, static_cast<u64>(Advice::kNormal)};
  for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
    stop_.requested = true;
    EXPECT_EQ(until_done(stub, Call::region_advise, random).status, Status::kOk);
    EXPECT_EQ(issues_, (kRegions + work::kMostAtOnce - 1) / work::kMostAtOnce);
    for (const RegionNode* node = tree.first(); node != nullptr; node = tree.next(*node)) {
      ASSERT_EQ(node->spec.usage, Usage(AccessPattern::kRandom));
    }
    stop_.requested = false;
    EXPECT_EQ(call(Call::region_advise, normal).status, Status::kOk);
    EXPECT_EQ(tree.last()->spec.usage, Usage());
    EXPECT_EQ(tree.regions(), kRegions);
  }
}

// Regions without a page are work too.
TEST_F(VmaAgainBig, CallsOverManyRegions) {
  const u64 object = call(Call::object_create, {16}).value;
  const u64 space = active_space();
  constexpr u64 kRegions = 5000;
  for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
    const auto make = [&] {
      for (u64 i = 0; i < kRegions; ++i) {
        ASSERT_EQ(map(space, kA + i * kPageBytes, 1, 1 | abi::kRegionShared, object, 8), Status::kOk);
      }
    };
    make();
    stop_.requested = true;
    const Registers whole{space, kA.value(), kRegions, 3};
    EXPECT_EQ(until_done(stub, Call::region_protect, whole).status, Status::kOk);
    EXPECT_EQ(issues_, kRegions / work::kMostAtOnce + 1);
    EXPECT_EQ((*memory_.declared(SpaceId(static_cast<u32>(space))))->find(kA + 4999 * kPageBytes)->perm,
              kPermRW);
    EXPECT_EQ(until_done(stub, Call::region_unmap, whole).status, Status::kOk);
    EXPECT_EQ((*memory_.declared(SpaceId(static_cast<u32>(space))))->regions(), 0u);
    make();
    Registers map_over{space, kA.value(), kRegions, 3 | abi::kRegionReplace};
    EXPECT_EQ(until_done(stub, Call::region_map, map_over).status, Status::kOk);
    EXPECT_EQ((*memory_.declared(SpaceId(static_cast<u32>(space))))->regions(), 1u);
    EXPECT_EQ(until_done(stub, Call::region_unmap, whole).status, Status::kOk);
    stop_.requested = false;
  }
  // Without an interrupt one issue does it all.
  for (u64 i = 0; i < kRegions; ++i) ASSERT_EQ(map(space, kA + i * 2 * kPageBytes, 1), Status::kOk);
  EXPECT_EQ(call(Call::region_unmap, {space, kA.value(), 2 * kRegions}).status, Status::kOk);
}

TEST_F(VmaAgainBig, ResizingAnObjectWithManyMappings) {
  const u64 object = call(Call::object_create, {16}).value;
  constexpr u64 kRegions = 3000;
  std::vector<u64> spaces;
  for (int s = 0; s < 3; ++s) {
    spaces.push_back(active_space());
    for (u64 i = 0; i < kRegions; ++i) {
      ASSERT_EQ(map(spaces.back(), kA + i * 2 * kPageBytes, 1, 1, object, 8), Status::kOk);
      ASSERT_TRUE(i % 7 != 0 || touch(kA + i * 2 * kPageBytes, Access::kRead));
    }
  }
  stop_.requested = true;
  EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 4}).status, Status::kOk);
  EXPECT_GT(issues_, spaces.size() * kRegions / work::kMostAtOnce);
  for (const u64 space : spaces) EXPECT_EQ(installed(space), 0u);
  ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
  for (const u64 space : spaces) {
    EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::space_destroy, {space}).status, Status::kOk);
    EXPECT_GT(issues_, kRegions / work::kMostAtOnce);
  }
}

// A region of many tables is gone through once, though they stay where a clone has them too.
TEST_F(VmaAgainTest, ResizingAnObjectThatClonesShow) {
  constexpr u64 kTable = 512, kTables = 600;
  for (const bool stops : {false, true}) {
    const u64 object = call(Call::object_create, {kTables * kTable}).value;
    const u64 space = active_space();
    ASSERT_EQ(map(space, kA, kTables * kTable, 3 | abi::kRegionShared, object), Status::kOk);
    for (u64 table = 0; table < kTables; ++table) ASSERT_TRUE(touch(kA + pages_to_bytes(table * kTable)));
    const u64 clone = call(Call::space_clone, {space}).value;
    stop_.requested = stops;
    const u64 before = work::g_done[static_cast<unsigned>(work::Unit::kNode)];
    EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 1}).status, Status::kOk);
    EXPECT_LE(work::g_done[static_cast<unsigned>(work::Unit::kNode)] - before, 6 * kTables);
    stop_.requested = false;
    EXPECT_EQ(installed(space), 1u);
    EXPECT_EQ(installed(clone), 1u);
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    for (const u64 gone : {space, clone}) {
      ASSERT_EQ(call(Call::space_destroy, {gone}).status, Status::kOk);
    }
    ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  }
}

// Whatever the guest does between two issues, nothing past the end stays: its frames are gone.
TEST_F(VmaAgainBig, RegionsThatChangeWhileTheirObjectShrinks) {
  std::mt19937_64 random(2012);
  for (int round = 0; round < 30; ++round) {
    const u64 object = call(Call::object_create, {32}).value;
    const u64 space = active_space();
    constexpr u64 kRegions = 1200;
    for (u64 i = 0; i < kRegions; ++i) {
      ASSERT_EQ(map(space, kA + i * 4 * kPageBytes, 2, 3 | abi::kRegionShared, object, 2 * (i % 16)),
                Status::kOk);
      ASSERT_TRUE(random() % 3 != 0 || touch(kA + i * 4 * kPageBytes));
      ASSERT_TRUE(random() % 3 != 0 || touch(kA + (i * 4 + 1) * kPageBytes));
    }
    stop_.requested = true;
    const auto change = [&] {
      for (u64 n = random() % 64; n != 0; --n) {
        const u64 i = random() % (kRegions - 1);
        const u64 at = (kA + i * 4 * kPageBytes).value();
        switch (random() % 6) {
          case 0:
            (void)call(Call::region_unmap, {space, at, 1 + random() % 2});
            break;
          case 1:
            (void)call(Call::region_protect, {space, at + kPageBytes * (random() % 2), 1,
                                              std::array<u64, 4>{0, 1, 3, 3}[random() % 4]});
            break;
          case 2:  // to where it continues another, perhaps
            (void)call(Call::region_move, {space, at, 2, at - 2 * kPageBytes});
            break;
          case 3:
            (void)call(Call::region_move, {space, at, 1, (kA + (u64{1} << 32) + i * kPageBytes).value()});
            break;
          case 4:
            (void)map(space, Gva(at), 2, 3 | abi::kRegionShared, object, 2 * (i % 16));
            break;
          case 5:
            (void)map(space, Gva(at) - 2 * kPageBytes, 2, 3 | abi::kRegionShared, object, 2 * (i % 16) - 2);
            break;
        }
        (void)touch(Gva(at));
      }
    };
    const u64 left = random() % 32;
    EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, left}, change).status,
              Status::kOk);
    stop_.requested = false;
    const SpaceId id{static_cast<u32>(space)};
    const RegionTree& tree = **memory_.declared(id);
    engine_.for_each_installed(id, [&](Gva va, const auto&) {
      const auto region = tree.find(va);
      ASSERT_TRUE(region);
      EXPECT_LT(region->object_page + (va - region->range.begin) / kPageBytes, left);
    });
    expect_promised(space);
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
    ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  }
}

// What takes the place of a region that was half gone through is gone through from its beginning.
TEST_F(VmaAgainTest, ARegionThatGoesHalfWayWhileItsObjectShrinks) {
  constexpr u64 kPages = 1536;
  for (const bool moves : {false, true}) {
    const u64 object = call(Call::object_create, {kPages}).value;
    const u64 space = active_space();
    const Gva other = kA + (u64{1} << 32);
    for (const Gva begin : {kA, other}) {
      ASSERT_EQ(map(space, begin, kPages, 3 | abi::kRegionShared, object), Status::kOk);
      for (u64 page = 0; page < kPages; page += 16) ASSERT_TRUE(touch(begin + pages_to_bytes(page)));
    }
    stop_.requested = true;
    ASSERT_EQ(call(Call::object_resize, {object, 0}).status, Status::kAgain);
    EXPECT_EQ(installed(space), 2 * kPages / 16 - 512 / 16);
    stop_.requested = false;
    ASSERT_EQ(call(Call::region_unmap, {space, kA.value(), kPages}).status, Status::kOk);
    if (moves) {
      ASSERT_EQ(call(Call::region_move, {space, other.value(), kPages, kA.value()}).status, Status::kOk);
    }
    EXPECT_EQ(call(Call::object_resize, {object, 0}).status, Status::kOk);
    EXPECT_EQ(installed(space), 0u);
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
    ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  }
}

// A region that was visited takes over one that was not.
TEST_F(VmaAgainTest, RegionsThatMergeWhileTheirObjectShrinks) {
  const u64 object = call(Call::object_create, {16}).value;
  const u64 space = active_space();
  const Gva first = kA + (u64{1} << 32);
  ASSERT_EQ(map(space, first, 1, 3 | abi::kRegionShared, object, 8), Status::kOk);
  for (u64 i = 0; i < 1000; ++i) {
    ASSERT_EQ(map(space, kA + i * 2 * kPageBytes, 1, 1 | abi::kRegionShared, object, 8), Status::kOk);
  }
  ASSERT_EQ(map(space, first + kPageBytes, 1, 1 | abi::kRegionShared, object, 9), Status::kOk);
  ASSERT_TRUE(touch(first + kPageBytes, Access::kRead));
  stop_.requested = true;
  ASSERT_EQ(call(Call::object_resize, {object, 4}).status, Status::kAgain);
  const u64 regions = (*memory_.declared(SpaceId{static_cast<u32>(space)}))->regions();
  ASSERT_EQ(call(Call::region_protect, {space, (first + kPageBytes).value(), 1, 3}).status, Status::kOk);
  ASSERT_EQ((*memory_.declared(SpaceId{static_cast<u32>(space)}))->regions(), regions - 1);
  EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 4}).status, Status::kOk);
  EXPECT_EQ(installed(space), 0u);
}

// The region that would have been next goes to the end of the list.
TEST_F(VmaAgainTest, ARegionThatMovesWhileItsObjectShrinks) {
  for (u64 others = 0; others <= work::kMostAtOnce; ++others) {
    const u64 object = call(Call::object_create, {16}).value;
    const u64 space = active_space();
    for (u64 i = 0; i < others; ++i) {
      ASSERT_EQ(map(space, kA + i * 2 * kPageBytes, 1, 1 | abi::kRegionShared, object, 8), Status::kOk);
    }
    const Gva here = kA + (u64{1} << 32);
    ASSERT_EQ(map(space, here, 1, 1 | abi::kRegionShared, object, 9), Status::kOk);
    ASSERT_TRUE(touch(here, Access::kRead));
    stop_.requested = true;
    if (call(Call::object_resize, {object, 4}).status == Status::kAgain) {
      ASSERT_EQ(call(Call::region_move, {space, here.value(), 1, (here + kPageBytes).value()}).status,
                Status::kOk);
    }
    EXPECT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 4}).status, Status::kOk);
    EXPECT_EQ(installed(space), 0u);
    stop_.requested = false;
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
    ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
  }
}

// A clone and a move run to their end: what they do is bounded by what they copy and move.
TEST_F(VmaAgainTest, ACloneAndAMoveDoWhatTheirPagesAre) {
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, 1600), Status::kOk);
  for (u64 page = 0; page < 1600; page += 2) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
  for (u64 i = 0; i < 600; ++i)
    ASSERT_EQ(map(space, kA + (u64{1} << 32) + i * 2 * kPageBytes, 1), Status::kOk);
  // Tables of few entries, more than are copied.
  ASSERT_EQ(map(space, kA + (u64{1} << 33), 20 * 512), Status::kOk);
  for (u64 page = 0; page < 20 * 512; page += 512)
    ASSERT_TRUE(touch(kA + (u64{1} << 33) + pages_to_bytes(page)));
  stop_.requested = true;
  const u64 checks = stop_.checks;
  ASSERT_EQ(call(Call::space_clone, {space}).status, Status::kOk);
  EXPECT_EQ(stop_.meter.most_of(work::Unit::kRegion), 602u);
  EXPECT_EQ(stop_.meter.most_of(work::Unit::kPage), 8u);
  // Of the 16 that are copied three are above the leaves' tables.
  EXPECT_EQ(stop_.meter.most_of(work::Unit::kTable), 16u - 3);
  EXPECT_LE(stop_.meter.most_of(work::Unit::kNode), 4u);
  ASSERT_EQ(
      call(Call::region_move, {space, kA.value(), 1600, (kA + (u64{1} << 34) + kPageBytes).value()}).status,
      Status::kOk);
  EXPECT_LE(stop_.meter.most(), 2 * 800u);
  // The tables that both have are copied first: those of the pages, and two above.
  EXPECT_LE(stop_.meter.most_of(work::Unit::kTable), 1600u / 512 + 1 + 2);
  EXPECT_EQ(stop_.checks, checks);
}

// One look comes between what goes and what is made ahead in its place.
TEST_F(VmaAgainTest, ARegionThatReplacesAWholeTableOfPagesAndIsPopulated) {
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, 512), Status::kOk);
  for (u64 page = 0; page < 512; ++page) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
  const CallResult made =
      call(Call::region_map, {space, kA.value(), 512, 1 | abi::kRegionReplace | abi::kRegionPopulate});
  EXPECT_EQ(made.status, Status::kOk);
  EXPECT_EQ(made.value, 512u);
  EXPECT_LE(stop_.meter.most(), work::kMostAtOnce);
}

// Rights that change no entry: of pages that a write copies.
TEST_F(VmaAgainTest, WhatStaysAsItIsCountsToo) {
  const u64 object = call(Call::object_create, {1024}).value;
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, 1024, 1, object), Status::kOk);
  for (u64 page = 0; page < 1024; ++page) ASSERT_TRUE(touch(kA + pages_to_bytes(page), Access::kRead));
  ASSERT_EQ(installed(space), 1024u);
  for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
    for (const u64 perm : {u64{3}, u64{1}}) {
      // From amidst the first table.
      const Registers call{space, (kA + kPageBytes).value(), 1023, perm};
      EXPECT_EQ(until_done(stub, Call::region_protect, call).status, Status::kOk);
    }
  }
  EXPECT_EQ(installed(space), 1024u);
}

// Both ends of what is taken lie amidst tables that a clone shares, which are copied first.
TEST_F(VmaAgainTest, WhatAClonesTablesTakeIsBounded) {
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, 2048), Status::kOk);
  for (const auto& [number, argument] :
       {std::pair{Call::region_protect, u64{1}}, std::pair{Call::region_advise, u64{0}},
        std::pair{Call::region_unmap, u64{0}}}) {
    for (u64 page = 0; page < 2048; ++page) {
      ASSERT_TRUE(touch(kA + pages_to_bytes(page), Access::kRead));
    }
    ASSERT_EQ(call(Call::space_clone, {space}).status, Status::kOk);
    ASSERT_EQ(call(number, {space, (kA + pages_to_bytes(100)).value(), 1800, argument}).status, Status::kOk);
    EXPECT_TRUE(stop_.meter.kept());
    EXPECT_GE(stop_.meter.most_of(work::Unit::kTable), 2u);
  }
}

// Nor does a clone's end do more at once by what it shares, or an unmap by what is empty.
TEST_F(VmaAgainTest, WhatIsSharedOrEmptyCountsToo) {
  constexpr u64 kTable = 512, kTables = 600;
  const u64 object = call(Call::object_create, {kTables * kTable}).value;
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, kTables * kTable, 3 | abi::kRegionShared, object), Status::kOk);
  for (u64 table = 0; table < kTables; ++table) {
    ASSERT_TRUE(touch(kA + pages_to_bytes(table * kTable), Access::kWrite));
  }
  const u64 clone = call(Call::space_clone, {space}).value;
  // Leaves the tables above the leaf tables its own, with all but one leaf table shared.
  for (const u64 table : {u64{7}, kTables - 7}) {
    const Gva begin = kA + pages_to_bytes(table * kTable);
    ASSERT_EQ(call(Call::region_unmap, {clone, begin.value(), kTable}).status, Status::kOk);
  }
  ASSERT_EQ(call(Call::space_destroy, {clone}).status, Status::kOk);
  // Cut where they are, as the tables may be another's too, the leaf tables stay, empty.
  ASSERT_EQ(until_done(Stub::kIssuesAgain, Call::object_resize, {object, 0}).status, Status::kOk);
  ASSERT_EQ(call(Call::region_unmap, {space, kA.value(), kTables * kTable}).status, Status::kOk);
}

// Nor by how far it reaches: tables are looked through for what they hold.
TEST_F(VmaAgainTest, AMoveOfAFewPagesThatLieFarApart) {
  const u64 space = active_space();
  constexpr u64 kPages = u64{1} << 30;
  // What keeps the tables that the pages leave.
  ASSERT_EQ(map(space, kA, 1), Status::kOk);
  ASSERT_TRUE(touch(kA));
  const Gva from = kA + kPageBytes;
  ASSERT_EQ(map(space, from, kPages), Status::kOk);
  for (u64 page = 0; page < kPages; page += kPages / 4) ASSERT_TRUE(touch(from + pages_to_bytes(page)));
  const Gva to = from + pages_to_bytes(kPages);
  ASSERT_EQ(call(Call::region_move, {space, from.value(), kPages, to.value()}).status, Status::kOk);
  EXPECT_LE(stop_.meter.most(), 64u);
}

}  // namespace
}  // namespace nopte::hv
