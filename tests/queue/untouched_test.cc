// Unmaps without exits of what the hypervisor has heard of: its words say in what nothing was installed, and
// whatever a guest makes of them, what is unmapped is gone.
#include "tests/queue/untouched.h"

#include "tests/support/work_meter.h"

namespace nopte::test {
namespace {

using enum ViolationReason;

TEST_F(UntouchedTest, WhatNobodyTouchedIsUnmappedWithoutAnExit) {
  for (u64 round = 0; round < 40; ++round) {
    map_heard(3, 2);
    EXPECT_EQ(unmap_exits(3, 2), 0u);
    // And the place is there to be used again at once.
    EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a_, 4, 1, kPermR)); }), 0u);
    EXPECT_EQ(guest_.store(3, 1), kNoRegion);
    EXPECT_EQ(guest_.store(4, 1), kPermission);
    EXPECT_TRUE(unmap(a_, 4));
    EXPECT_EQ(guest_.store(4, 1), kNoRegion);
  }
}

TEST_F(UntouchedTest, WhatWasTouchedIsUnmappedByACall) {
  map_heard(0, 8);
  EXPECT_EQ(guest_.store(5, 1), kNone);
  EXPECT_EQ(unmap_exits(0, 8), 1u);
  EXPECT_EQ(guest_.store(5, 1), kNoRegion);
  // The access at which it is heard of touches it.
  EXPECT_TRUE(map(a_, 20, 8));
  EXPECT_EQ(guest_.store(20, 1), kNone);
  EXPECT_EQ(unmap_exits(20, 8), 1u);
  EXPECT_EQ(guest_.store(20, 1), kNoRegion);
}

TEST_F(UntouchedTest, OnlyWhatWasMappedIsUnmappedWithoutAnExit) {
  map_heard(0, 8);
  EXPECT_EQ(unmap_exits(1, 7), 1u);
  EXPECT_EQ(unmap_exits(0, 1), 1u);
  map_heard(20, 8);
  EXPECT_EQ(unmap_exits(20, 9), 1u);
  EXPECT_EQ(guest_.store(20, 1), kNoRegion);
  map_heard(40, 2);
  // Where it would have the same word.
  VaRange odd = at(40, 2);
  do {
    odd = {odd.begin + 1, odd.end + 1};
  } while (abi::word_index(odd.begin) != abi::word_index(at(40, 1).begin));
  ASSERT_LT(odd.begin, at(41, 1).begin);
  EXPECT_FALSE(guest_.ops().region_unmap(a_, odd));
}

// Pages come into it ahead of the faults of another that it continues.
TEST_F(UntouchedTest, WhatCameAheadIsTakenOut) {
  EXPECT_TRUE(map(a_, 0, 40));
  map_heard(40, 40);
  u64 ahead = 0;
  for (u64 page = 0; page < 40 && ahead == 0; ++page) {
    EXPECT_EQ(guest_.store(page, 1), kNone);
    ahead = guest_.installed(kA + pages_to_bytes(40));
  }
  ASSERT_EQ(ahead, 1u);
  EXPECT_EQ(unmap_exits(40, 40), 1u);
  EXPECT_EQ(guest_.store(40, 1), kNoRegion);
  EXPECT_EQ(guest_.store(39, 1), kNone);
}

// Other regions in the same leaf table may be touched.
TEST_F(UntouchedTest, NeighboursAreTouchedBeside) {
  map_heard(10, 2);
  map_heard(14, 2, kPermR);
  map_heard(16, 2);
  EXPECT_EQ(guest_.store(11, 1), kNone);
  EXPECT_EQ(guest_.store(300, 1), kNoRegion);
  EXPECT_EQ(guest_.store(17, 1), kNone);
  EXPECT_EQ(unmap_exits(14, 2), 0u);
  EXPECT_EQ(unmap_exits(10, 2), 1u);
  EXPECT_EQ(unmap_exits(16, 2), 1u);
  u64 value = 0;
  EXPECT_EQ(guest_.load(14, value), kNoRegion);
}

// In whatever leaf table it lies.
TEST_F(UntouchedTest, FarFromTheFirst) {
  for (const u64 table : {1, 5, 62, 63, 64, 100}) {
    const u64 page = 512 * table + 7;
    map_heard(page, 4);
    EXPECT_EQ(guest_.store(page + 1, 1), kNone);
    EXPECT_EQ(unmap_exits(page, 4), 1u) << table;
    EXPECT_EQ(guest_.store(page + 1, 1), kNoRegion);
  }
}

TEST_F(UntouchedTest, WhatIsTooLongForAWordHasNone) {
  for (const u64 pages : {abi::kMostWordPages, abi::kMostWordPages + 1}) {
    EXPECT_TRUE(map(a_, 0, pages));
    static_cast<void>(resident(a_, abi::kMostWordPages + 10));
    const u64 word = guest_.queue(a_).words[abi::word_index(kA)];
    EXPECT_EQ(word != 0, pages == abi::kMostWordPages);
    EXPECT_EQ(unmap_exits(0, pages), word != 0 ? 0u : 1u);
    EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  }
}

// Wherever it is touched, of leaf tables few and many.
TEST_F(UntouchedTest, LongRegions) {
  for (const u64 pages : {u64{700}, u64{63 * 512}, u64{64 * 512}, u64{70 * 512}}) {
    for (const u64 touched : {u64{0}, u64{400}, pages / 2, pages - 1}) {
      map_heard(300, pages);
      EXPECT_EQ(guest_.store(300 + touched, 1), kNone);
      EXPECT_EQ(unmap_exits(300, pages), 1u) << pages << " " << touched;
      EXPECT_EQ(guest_.store(300 + touched, 1), kNoRegion);
    }
    map_heard(300, pages);
    EXPECT_EQ(guest_.store(299, 1), kNoRegion);
    EXPECT_EQ(unmap_exits(300, pages), 0u);
  }
}

TEST_F(UntouchedTest, CallsThatMayInstallOrChangeItEndIt) {
  map_heard(0, 4);
  EXPECT_TRUE(guest_.ops().region_advise(a_, at(2, 1), Advice::kPopulate));
  EXPECT_EQ(unmap_exits(0, 4), 1u);
  EXPECT_EQ(guest_.store(2, 1), kNoRegion);
  map_heard(0, 4);
  EXPECT_TRUE(guest_.ops().region_protect(a_, at(2, 1), kPermR, RightsChange::kAny));
  EXPECT_EQ(unmap_exits(0, 4), 1u);
  map_heard(0, 4);
  EXPECT_TRUE(guest_.ops().region_move(a_, at(0, 4), kA + pages_to_bytes(500)));
  EXPECT_TRUE(map(a_, 0, 4, kPermR));
  EXPECT_TRUE(unmap(a_, 0, 4));
  EXPECT_EQ(unmap_exits(500, 4), 1u);
  map_heard(0, 4);
  EXPECT_TRUE(guest_.ops().region_map(a_, anonymous(0, 4), kMapReplace | kMapPopulate));
  EXPECT_EQ(unmap_exits(0, 4), 1u);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
}

TEST_F(UntouchedTest, RightsThatCameEndIt) {
  const auto gain = [&] {
    EXPECT_TRUE(guest_.ops().region_protect(a_, at(1, 2), kPermRW, RightsChange::kFromNone));
  };
  map_heard(0, 4, kPermNone);
  gain();
  // The unmap comes behind.
  EXPECT_EQ(unmap_exits(0, 4), 0u);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  map_heard(0, 4, kPermNone);
  gain();
  heard(a_);
  EXPECT_EQ(unmap_exits(0, 4), 1u);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
}

// A clone's pages are its own, and it has no words; the original's are still true.
TEST_F(UntouchedTest, AClonesPagesAreItsOwn) {
  map_heard(0, 4);
  EXPECT_TRUE(map(a_, 10, 4));
  EXPECT_EQ(guest_.store(10, 7), kNone);
  const NoRegions none;
  const auto child = guest_.ops().space_clone(a_, none);
  ASSERT_TRUE(child);
  guest_.ops().space_activate(*child);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(*child, 0, 4)); }), 1u);
  guest_.ops().space_activate(a_);
  EXPECT_EQ(unmap_exits(0, 4), 0u);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  u64 value = 0;
  EXPECT_EQ(guest_.load(10, value), kNone);
  EXPECT_EQ(value, 7u);
}

// Two ranges whose words are in one place: the later one has it.
TEST_F(UntouchedTest, AWordIsTheLatestRanges) {
  u64 other = 1;
  while (abi::word_index(at(other, 1).begin) != abi::word_index(at(0, 1).begin)) ++other;
  map_heard(0);
  map_heard(other);
  EXPECT_EQ(unmap_exits(0), 1u);
  EXPECT_EQ(unmap_exits(other), 0u);
  map_heard(0);
  EXPECT_EQ(unmap_exits(0), 0u);
  heard(a_);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  EXPECT_EQ(guest_.store(other, 1), kNoRegion);
}

TEST_F(UntouchedTest, WithoutRoomItIsACall) {
  map_heard(0);
  for (u64 n = 0; n < abi::kQueueSlots; ++n) EXPECT_TRUE(map(a_, 100 + 2 * n));
  EXPECT_EQ(unmap_exits(0), 1u);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  map_heard(0);
  EXPECT_EQ(unmap_exits(0), 0u);
}

// An object may go when the last region that showed it is unmapped, if only in a queue, of whatever space.
TEST_F(UntouchedTest, AnObjectGoesAfterItsRegions) {
  const ObjectId object = guest_.make_object(4);
  const SpaceId b = guest_.make_space();
  const auto show = [&](SpaceId space) {
    const RegionSpec shown{at(30, 4), kPermRW, Sharing::kShared, Usage(), object, 0};
    EXPECT_TRUE(guest_.ops().region_map(space, shown, 0));
    heard(space);
  };
  show(a_);
  show(b);
  EXPECT_EQ(unmap_exits(30, 4), 0u);
  const auto refused = guest_.ops().object_destroy(object);
  EXPECT_EQ(refused.error(), Status::kBusy);  // b's
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(b, 30, 4)); }), 0u);
  EXPECT_TRUE(guest_.ops().object_resize(object, 1));
  EXPECT_TRUE(guest_.ops().object_destroy(object));
  EXPECT_EQ(guest_.queue(b).head, guest_.queue(b).tail);
}

// What is queued for one space after another is no more than what one of them may have queued, between two
// looks.
TEST_F(UntouchedTest, AnObjectOfManyQueuesStopsBetweenThem) {
  constexpr u64 kSpaces = 48, kRegions = 12;
  const ObjectId object = guest_.make_object(1);
  for (u64 n = 0; n < kSpaces; ++n) {
    const SpaceId space = guest_.make_space();
    u64 shown = 0;
    for (u64 page = 0; shown < kRegions; page += 2) {
      const RegionSpec region{at(page, 1), kPermRW, Sharing::kShared, Usage(), object, 0};
      u64& word = guest_.queue(space).words[abi::word_index(region.range.begin)];
      if (word != 0) continue;
      EXPECT_TRUE(guest_.ops().region_map(space, region, 0));
      heard(space);
      ++shown;
    }
    for (u64 page = 0; shown != 0; page += 2) {
      const VaRange range = at(page, 1);
      if (guest_.queue(space).words[abi::word_index(range.begin)] != abi::untouched_word(range)) continue;
      EXPECT_EQ(exits_of([&] { EXPECT_TRUE(guest_.ops().region_unmap(space, range)); }), 0u);
      --shown;
    }
  }
  WorkMeter meter;
  bool stops = false;
  guest_.guest().host().stop = [&] { return meter.look(), stops; };
  const auto destroy = [&] {
    meter.begin();
    const Status status =
        guest_.guest().call(static_cast<u64>(abi::Call::object_destroy), {static_cast<u32>(object)}).status;
    meter.look();
    EXPECT_TRUE(meter.kept());
    return status;
  };
  stops = true;
  u64 queues = 0;
  while (destroy() == Status::kAgain && queues != kSpaces / 2) ++queues;
  EXPECT_EQ(queues, kSpaces / 2);
  stops = false;
  EXPECT_EQ(destroy(), Status::kOk);
  guest_.guest().host().stop = nullptr;
}

// A large page that is asked for in one of two regions that continue each other shows the other, too.
TEST_F(UntouchedTest, ALargePageTouchesAllThatItShows) {
  RegionSpec half{at(0, 256), kPermRW, Sharing::kPrivate,
                  Usage(AccessPattern::kNormal, LargeLeaves::kWanted)};
  EXPECT_TRUE(guest_.ops().region_map(a_, half, 0));
  half.range = at(256, 256);
  EXPECT_TRUE(guest_.ops().region_map(a_, half, 0));
  heard(a_);
  EXPECT_EQ(guest_.store(300, 1), kNone);
  ASSERT_TRUE(guest_.installed(kA + pages_to_bytes(5)));
  EXPECT_EQ(unmap_exits(0, 256), 1u);
  EXPECT_EQ(guest_.store(5, 1), kNoRegion);
  EXPECT_FALSE(guest_.installed(kA + pages_to_bytes(5)));
}

TEST_F(UntouchedTest, KernelWindowsToo) {
  const ObjectId object = guest_.make_object(2);
  const VaRange window = VaRange::of_pages(kWindowRange.begin + pages_to_bytes(7), 2);
  const RegionSpec shown{window, kPermRW, Sharing::kShared, Usage(), object, 0};
  const auto map_window = [&] {
    EXPECT_TRUE(guest_.ops().region_map(SpaceId::kKernel, shown, 0));
    EXPECT_TRUE(guest_.ops().region_resident(SpaceId::kKernel, VaRange::of_pages(kWindowRange.begin, 1)));
  };
  const auto unmap_window = [&] { EXPECT_TRUE(guest_.ops().region_unmap(SpaceId::kKernel, window)); };
  u64 value = 5;
  map_window();
  EXPECT_EQ(exits_of(unmap_window), 0u);
  EXPECT_EQ(guest_.touch(window.begin, Access::kWrite, &value), kNoRegion);
  map_window();
  EXPECT_EQ(guest_.touch(window.begin, Access::kWrite, &value), kNone);
  EXPECT_EQ(exits_of(unmap_window), 1u);
  EXPECT_EQ(guest_.touch(window.begin, Access::kWrite, &value), kNoRegion);
}

// A space's words are empty when its id comes again.
TEST_F(UntouchedTest, ADestroyedSpaceHasNoWords) {
  const SpaceId b = guest_.make_space();
  EXPECT_TRUE(map(b, 0, 4));
  heard(b);
  guest_.ops().space_destroy(b);
  ASSERT_EQ(guest_.make_space(), b);
  for (const u64 word : guest_.queue(b).words) EXPECT_EQ(word, 0u);
  guest_.ops().space_activate(b);
  EXPECT_TRUE(map(b, 0, 4));
  EXPECT_EQ(guest_.store(0, 1), kNone);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(b, 0, 4)); }), 1u);
}

class HiddenWordsTest : public UntouchedTest {
 protected:
  HiddenWordsTest() : UntouchedTest(3000, abi::kFeatureUntouchedWords) {}
};

TEST_F(HiddenWordsTest, AHypervisorWithoutIsAskedByCalls) {
  map_heard(0, 4);
  for (const u64 word : guest_.queue(a_).words) EXPECT_EQ(word, 0u);
  EXPECT_EQ(unmap_exits(0, 4), 1u);
  EXPECT_TRUE(map(a_, 0, 4));
  EXPECT_EQ(unmap_exits(0, 4), 0u);
}

TEST_F(UntouchedTest, AGuestThatKnowsNoWordsCalls) {
  pv::use_memory_features(guest_.guest().mode().features() & ~abi::kFeatureUntouchedWords);
  map_heard(0, 4);
  EXPECT_EQ(unmap_exits(0, 4), 1u);
}

}  // namespace
}  // namespace nopte::test
