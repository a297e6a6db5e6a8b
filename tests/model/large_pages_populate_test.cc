// Large pages that populating gives, asked for or not: it wants each page that they show.
#include "tests/model/large_pages.h"
#include "tests/support/work_meter.h"

namespace nopte::model {
namespace {

constexpr Usage kPlain{};

TEST_P(LargePages, PopulatingInstallsThem) {
  const u64 before = free_frames();
  map(0, 3 * kLarge, kPermRW, kPlain);
  const u64 zeroed = counted(&pt::EngineCounters::frames_zeroed);
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  w.check();
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 3u);
  EXPECT_EQ(counted(&pt::EngineCounters::frames_zeroed), zeroed + 3 * kLarge);
  const u64 faults = counted(&pt::EngineCounters::faults);
  for (u64 i = 0; i < 3 * kLarge; ++i) ASSERT_EQ(w.read(at(i)), 0u) << i;
  fill(0, 3 * kLarge);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
  ASSERT_TRUE(w.unmap(parent, pages(0, 3 * kLarge)));
  EXPECT_EQ(free_frames(), before);
  EXPECT_EQ(counted(&pt::EngineCounters::pages_ahead), 0u);
  EXPECT_EQ(counted(&pt::EngineCounters::ahead_unused), 0u);
}

// What may be read alone, likewise; and what a program says of the order of its touches is no matter.
TEST_P(LargePages, PopulatingInstallsThemWhateverTheRightsAndTheOrder) {
  map(0, kLarge, kPermR, kPlain);
  map(kLarge, 2 * kLarge, kPermRW, Usage(AccessPattern::kRandom));
  ASSERT_TRUE(w.advise(parent, pages(0, 2 * kLarge), Advice::kPopulate));
  w.check();
  EXPECT_TRUE(is_large(parent, 0));
  EXPECT_TRUE(is_large(parent, kLarge));
  EXPECT_EQ(w.write(at(1), 1), ViolationReason::kPermission);
}

TEST_P(LargePages, PopulatingInstallsNothingThatWasNotAskedFor) {
  map(0, 4 * kLarge, kPermRW, kPlain);
  ASSERT_TRUE(w.advise(parent, pages(5, 4 * kLarge - 7), Advice::kPopulate));
  w.check();
  const auto installed = [&](u64 page) { return w.engine().peek(parent, at(page)).has_value(); };
  for (u64 i = 0; i < 4 * kLarge; ++i) ASSERT_EQ(installed(i), 5 <= i && i < 4 * kLarge - 7) << i;
  EXPECT_FALSE(is_large(parent, 5));
  EXPECT_TRUE(is_large(parent, kLarge));
  EXPECT_TRUE(is_large(parent, 2 * kLarge));
  EXPECT_FALSE(is_large(parent, 3 * kLarge));
}

TEST_P(LargePages, PopulatingGoesByWhatTheProgramWants) {
  const Usage barred = UsageChange{Usage::kBarred, Usage::kBarred}.of(kWanted);
  for (const Usage usage : {Usage(AccessPattern::kNormal, LargeLeaves::kNever), barred}) {
    map(0, 2 * kLarge, kPermRW, usage);
    ASSERT_TRUE(w.advise(parent, pages(0, 2 * kLarge), Advice::kPopulate));
    w.check();
    fill(0, 2 * kLarge);
    ASSERT_TRUE(w.unmap(parent, pages(0, 2 * kLarge)));
  }
  EXPECT_EQ(counted(&pt::EngineCounters::large_pages), 0u);
}

// Regions that meet amidst it, and what is no program's memory.
TEST_P(LargePages, PopulatingKeepsThemInsideOneRegion) {
  map(0, kLarge + 9, kPermRW, kPlain);
  map(kLarge + 9, 2 * kLarge, kPermR, kPlain);
  const ObjectId object = *w.object_create(kLarge);
  w.map(parent, {.range = pages(2 * kLarge, 3 * kLarge), .perm = kPermRW, .object = object});
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  w.check();
  EXPECT_TRUE(is_large(parent, 0));
  for (u64 i = kLarge; i < 3 * kLarge; ++i) {
    ASSERT_TRUE(w.engine().peek(parent, at(i))) << i;
    ASSERT_FALSE(is_large(parent, i)) << i;
  }
}

TEST_P(LargePages, PopulatingKeepsWhatWasTouched) {
  map(0, 3 * kLarge, kPermRW, kPlain);
  EXPECT_EQ(w.write(at(kLarge + 5), 6), kFine);
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  w.check();
  EXPECT_TRUE(is_large(parent, 0));
  EXPECT_FALSE(is_large(parent, kLarge));
  EXPECT_TRUE(is_large(parent, 2 * kLarge));
  for (u64 i = 0; i < 3 * kLarge; ++i) ASSERT_EQ(w.read(at(i)), i == kLarge + 5 ? 6u : 0u) << i;
  // Again, it finds all there.
  const u64 zeroed = counted(&pt::EngineCounters::frames_zeroed);
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  EXPECT_EQ(counted(&pt::EngineCounters::frames_zeroed), zeroed);
}

TEST_P(LargePages, WhatWasPopulatedComesApartAsAnyOther) {
  map(0, 3 * kLarge, kPermRW, kPlain);
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  fill(0, 3 * kLarge);
  clone();
  ASSERT_TRUE(w.unmap(parent, pages(3, 9)));
  w.check();
  ASSERT_TRUE(w.protect(parent, pages(kLarge + 1, kLarge + 2), kPermR));
  w.check();
  // Holes, shared pages and all: what is missing comes, and nobody else's changes.
  w.map(parent, {.range = pages(3, 9), .perm = kPermRW});
  ASSERT_TRUE(w.advise(parent, pages(0, 3 * kLarge), Advice::kPopulate));
  w.check();
  for (u64 i = 0; i < 3 * kLarge; ++i) ASSERT_EQ(w.read(at(i)), 3 <= i && i < 9 ? 0 : i + 1) << i;
  EXPECT_EQ(w.write(at(kLarge + 1), 1), ViolationReason::kPermission);
  in(child);
  expect_filled(0, 3 * kLarge);
  ASSERT_TRUE(w.advise(child, pages(0, 3 * kLarge), Advice::kPopulate));
  w.check();
  fill(0, 3 * kLarge);
}

// Small pages do where there is no block; else what is done is a prefix.
TEST_P(LargePages, PopulatingWithoutABlockInstallsSmallPages) {
  u64 whole = 0;
  u64 without = 0;
  for (u64 nth = 1; whole == 0; ++nth) {
    ASSERT_LT(nth, 2000u);
    map(0, kLarge + 3, kPermRW, kPlain);
    w.frames().fail_allocation(nth);
    const Result<void> done = w.advise(parent, pages(0, kLarge + 3), Advice::kPopulate);
    const bool failed = !w.frames().fails_later();
    w.frames().fail_allocation(0);
    w.check();
    if (done) {
      fill(0, kLarge + 3);
      if (!failed) ++whole;
      if (failed && !is_large(parent, 0)) ++without;
      EXPECT_TRUE(failed || is_large(parent, 0));
    } else {
      EXPECT_EQ(done, Fail(Status::kNoMemory));
      ASSERT_TRUE(w.advise(parent, pages(0, kLarge + 3), Advice::kPopulate));
      fill(0, kLarge + 3);
    }
    ASSERT_TRUE(w.unmap(parent, pages(0, kLarge + 3)));
  }
  EXPECT_GE(without, 1u);
}

// An interrupt at every look: each issue gets further, and does no more than it may.
TEST_P(LargePages, PopulatingStopsAndGoesOn) {
  map(0, 4 * kLarge, kPermRW, kPlain);
  test::WorkMeter meter;
  const auto stop = [&] {
    meter.look();
    return true;
  };
  pt::Checkpoint checkpoint(stop);
  const VaRange all = pages(3, 4 * kLarge);
  Gva next = all.begin;
  for (u64 issues = 0; next < all.end; ++issues) {
    ASSERT_LT(issues, 100u);
    meter.begin();
    const Result<void> done = w.advise(parent, {next, all.end}, Advice::kPopulate, &checkpoint);
    meter.look();
    EXPECT_TRUE(meter.kept()) << meter.most();
    w.check();
    if (done) break;
    ASSERT_EQ(done, Fail(Status::kAgain));
    ASSERT_LT(next, checkpoint.next());
    next = checkpoint.next();
  }
  EXPECT_FALSE(is_large(parent, 3));
  for (u64 i = 1; i < 4; ++i) EXPECT_TRUE(is_large(parent, i * kLarge)) << i;
  const u64 faults = counted(&pt::EngineCounters::faults);
  fill(3, 4 * kLarge);
  EXPECT_EQ(counted(&pt::EngineCounters::faults), faults);
}

// Small pages behind a large one are the next thing to do at once.
TEST_P(LargePages, PopulatingLooksBehindEach) {
  map(0, kLarge + 40, kPermRW, kPlain);
  test::WorkMeter meter;
  const auto goes_on = [&] {
    meter.look();
    return false;
  };
  pt::Checkpoint checkpoint(goes_on);
  meter.begin();
  ASSERT_TRUE(w.advise(parent, pages(0, kLarge + 40), Advice::kPopulate, &checkpoint));
  meter.look();
  EXPECT_TRUE(meter.kept()) << meter.most();
  EXPECT_TRUE(is_large(parent, 0));
}

}  // namespace
}  // namespace nopte::model
