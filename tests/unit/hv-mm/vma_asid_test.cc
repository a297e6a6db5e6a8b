// Mode vma's spaces under ASIDs of their own: a switch flushes nothing, and what was taken from a space that
// did not run is not used when it does.
#include "tests/unit/hv-mm/vma_spaces.h"

namespace nopte::model {
namespace {

TEST(VmaAsids, ASwitchFlushesNothing) {
  Spaces s(6);  // the host's, the kernel space's and four
  std::vector<u64> spaces;
  for (int i = 0; i < 4; ++i) spaces.push_back(s.make_touched());
  const u64 flushes = s.flushes(), walks = s.walks(), exits = s.guest.exits;
  for (int round = 0; round < 100; ++round) {
    for (const u64 space : spaces) {
      s.activate(space);
      ASSERT_EQ(s.byte(kPage), static_cast<u8>(space));
    }
  }
  EXPECT_EQ(s.flushes(), flushes);
  EXPECT_EQ(s.walks(), walks);
  EXPECT_EQ(s.guest.exits, exits + 400);
}

TEST(VmaAsids, WithOneAloneEverySwitchForgetsAll) {
  Spaces s(2);
  const u64 a = s.make_touched(), b = s.make_touched();
  const u64 flushes = s.flushes();
  for (int round = 0; round < 10; ++round) {
    s.activate(a);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(a));
    s.activate(b);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(b));
  }
  EXPECT_EQ(s.flushes(), flushes + 20);
}

TEST(VmaAsids, APageTakenFromWhatRunsLeavesTheRestKnown) {
  Spaces s(4);
  const u64 space = s.make_touched(3);
  const u64 flushes = s.flushes(), walks = s.walks();
  const u32 asid = s.asid();
  s.unmap(space, kPage, 1);
  EXPECT_TRUE(s.reaches(kPage + kPageBytes, Access::kWrite));
  EXPECT_TRUE(s.reaches(kPage + 2 * kPageBytes, Access::kWrite));
  EXPECT_EQ(s.walks(), walks);
  EXPECT_EQ(s.flushes(), flushes);
  EXPECT_EQ(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, ATableTakenFromWhatRunsIsForgottenWithTheWayThere) {
  Spaces s(4);
  const u64 space = s.make_touched(1);
  const u32 asid = s.asid();
  s.unmap(space, kPage, 1);
  EXPECT_NE(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, OneNewAsidIsEnoughForAllThatACallTakes) {
  Spaces s(16);
  const u64 space = s.make_touched(64);
  constexpr u64 kWindows = 4;
  s.map(0, kWindowRange.begin, kWindows, kR | kW | abi::kRegionShared,
        s.call(Call::object_create, {kWindows}));
  for (u64 page = 0; page < kWindows; ++page) {
    EXPECT_TRUE(s.reaches(kWindowRange.begin + pages_to_bytes(page), Access::kWrite));
  }
  const u32 asid = s.asid();
  s.unmap(0, kWindowRange.begin, kWindows - 1);
  EXPECT_EQ(s.asid(), asid + 1);
  s.unmap(space, kPage, 64);
  EXPECT_EQ(s.asid(), asid + 2);
}

// What each takes from `space`, which does not run, is gone when it runs again.
TEST(VmaAsids, WhatIsTakenFromASpaceThatDoesNotRunIsNotUsed) {
  enum class Take : u8 { kUnmap, kUnmapOne, kProtect, kDontNeed, kMove, kClone, kShrinkObject };
  for (const Take take : {Take::kUnmap, Take::kUnmapOne, Take::kProtect, Take::kDontNeed, Take::kMove,
                          Take::kClone, Take::kShrinkObject}) {
    SCOPED_TRACE(static_cast<int>(take));
    Spaces s(8);
    const u64 object = s.call(Call::object_create, {2});
    const u64 space = s.make_touched(2);
    s.map(space, kPage + 2 * kPageBytes, 2, kR | kW | abi::kRegionShared, object);
    ASSERT_TRUE(s.reaches(kPage + 3 * kPageBytes, Access::kWrite));
    const u64 other = s.make_touched();
    switch (take) {
      case Take::kUnmap:
        s.unmap(space, kPage, 4);
        break;
      case Take::kUnmapOne:
        s.unmap(space, kPage, 1);
        break;
      case Take::kProtect:
        s.protect(space, kPage, 1, kR);
        break;
      case Take::kDontNeed:
        s.call(Call::region_advise, {space, kPage.value(), 1, kAdviseDontNeed});
        break;
      case Take::kMove:
        s.call(Call::region_move, {space, kPage.value(), 1, (kPage + 16 * kPageBytes).value()});
        break;
      case Take::kClone:
        s.call(Call::space_clone, {space});
        break;
      case Take::kShrinkObject:
        s.call(Call::object_resize, {object, 1});
        break;
    }
    ASSERT_EQ(s.status, Status::kOk);
    s.activate(space);
    EXPECT_EQ(s.reaches(kPage, Access::kWrite),
              take == Take::kDontNeed || take == Take::kClone || take == Take::kShrinkObject);
    EXPECT_EQ(s.reaches(kPage + 3 * kPageBytes, Access::kRead),
              take != Take::kUnmap && take != Take::kShrinkObject);
    s.activate(other);
    EXPECT_EQ(s.byte(kPage), static_cast<u8>(other));
  }
}

TEST(VmaAsids, ARootInTheFrameOfAnotherKnowsNothingOfIt) {
  Spaces s(8);
  const u64 other = s.make_touched();
  const u64 dead = s.make_touched();
  const u64 root = s.guest.vmcb().cr3;
  const u32 asid = s.asid();
  s.activate(other);
  s.call(Call::space_destroy, {dead});
  for (u64 space = s.make();; space = s.make()) {
    s.activate(space);
    if (s.guest.vmcb().cr3 == root) break;
  }
  EXPECT_NE(s.asid(), asid);
  EXPECT_FALSE(s.reaches(kPage, Access::kRead));
}

TEST(VmaAsids, AKernelPageThatIsTakenIsGoneForAll) {
  Spaces s(8);
  const u64 a = s.make_touched(), b = s.make_touched();
  s.map(0, kWindowRange.begin, 2, kR | kW | abi::kRegionShared, s.call(Call::object_create, {2}));
  const u64 kmem = s.call(Call::kmem_alloc, {16});
  const auto expect_reached = [&](bool window, bool memory) {
    for (const u64 space : {a, b}) {
      s.activate(space);
      EXPECT_EQ(s.reaches(kWindowRange.begin, Access::kWrite), window);
      EXPECT_EQ(s.reaches(Gva(kmem), Access::kWrite), memory);
    }
  };
  expect_reached(true, true);
  s.unmap(0, kWindowRange.begin, 1);
  expect_reached(false, true);
  s.call(Call::kmem_free, {kmem, 16});
  expect_reached(false, false);
}

TEST(VmaAsids, WhatIsCutFromSharedTablesIsGoneForAllThatHaveThem) {
  Spaces s(8);
  const u64 object = s.call(Call::object_create, {kSharedPages});
  const u64 original = s.make();
  s.map(original, kPage, kSharedPages, kR | kW | abi::kRegionShared | abi::kRegionPopulate, object);
  const u64 clone = s.call(Call::space_clone, {original});
  for (const u64 space : {original, clone}) {
    s.activate(space);
    ASSERT_TRUE(s.reaches(kPage, Access::kRead));
  }
  s.activate(s.make());
  s.call(Call::object_resize, {object, 0});
  for (const u64 space : {original, clone}) {
    s.activate(space);
    EXPECT_FALSE(s.reaches(kPage, Access::kRead));
  }
}

TEST(VmaAsids, TheWayToATableThatIsNoLongerSharedIsForgotten) {
  Spaces s(8);
  const u64 space = s.make();
  s.activate(space);
  s.map(space, kPage, kSharedPages, kR | kW | abi::kRegionPopulate);
  s.call(Call::space_clone, {space});
  ASSERT_TRUE(s.reaches(kPage, Access::kRead));
  s.unmap(space, kPage + kPageBytes, 1);
  EXPECT_TRUE(s.reaches(kPage, Access::kRead));
  EXPECT_FALSE(s.reaches(kPage + kPageBytes, Access::kRead));
}

}  // namespace
}  // namespace nopte::model
