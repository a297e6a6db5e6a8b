// Words and unmaps in queues as no guest of ours writes them: they hurt that guest alone.
#include "hv-mm/vma/declared.h"
#include "pvops/base/work.h"
#include "tests/queue/untouched.h"

namespace nopte::test {
namespace {

using enum ViolationReason;

class BadWordsTest : public UntouchedTest {
 protected:
  explicit BadWordsTest(u64 frames = 3000) : UntouchedTest(frames) {}

  void put(abi::Call call, u64 page, u64 pages, u64 perm = 0) {
    queue_->calls[queue_->tail % abi::kQueueSlots] = {static_cast<u64>(call),
                                                      {at(page, 1).begin.value(), pages, perm, 0, 0}};
    ++queue_->tail;
  }
  void put_unmap(u64 page, u64 pages) { put(abi::Call::region_unmap, page, pages); }
  u64& word(u64 page) { return queue_->words[abi::word_index(at(page, 1).begin)]; }

  abi::RegionQueue* queue_ = &guest_.queue(a_);
};

// Nothing that may be installed is unmapped in a queue, whatever its word says.
TEST_F(BadWordsTest, AWordMakesNothingUntouched) {
  map_heard(0, 16);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  u64 untouched = 8;  // a page that shows whether it is promised still
  for (const u64 state : {u64{0}, u64{1}, u64{2}, u64{3}}) {
    word(0) = (abi::untouched_word(at(0, 16)) & ~u64{3}) | state;
    put_unmap(0, 16);
    put_unmap(1, 1);
    put_unmap(untouched, 1);
    put_unmap(20, 1);
    put_unmap(0, ~u64{0});
    heard(a_);
    EXPECT_EQ(guest_.store(untouched++, 1), kNone);
  }
  EXPECT_EQ(queue_->head, queue_->tail);
}

// Nor does a map that was refused, of what is there.
TEST_F(BadWordsTest, WhatIsMappedTwiceIsNotUntouched) {
  map_heard(0, 4);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  put(abi::Call::region_map, 0, 4, 3);
  heard(a_);
  put_unmap(0, 4);
  heard(a_);
  EXPECT_EQ(guest_.store(2, 1), kNone);
}

// What is dying gets no page, and what a guest never unmaps may be unmapped by a call.
TEST_F(BadWordsTest, WhatIsDyingIsNotTouched) {
  map_heard(0, 4);
  word(0) = abi::dying_word(abi::untouched_word(at(0, 4)));
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  map_heard(30);
  EXPECT_EQ(guest_.store(30, 1), kNone);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  EXPECT_TRUE(guest_.ops().region_unmap(a_, at(0, 4)));
  EXPECT_TRUE(map(a_, 0, 4));
  EXPECT_EQ(guest_.store(1, 1), kNone);
}

// A word that is true of its range says nothing of what lies behind that.
TEST_F(BadWordsTest, AnUnmapOfMoreThanIsUntouchedIsLeftOut) {
  map_heard(4, 4);
  EXPECT_EQ(guest_.store(4, 1), kNone);
  map_heard(0, 4);
  put_unmap(0, 8);
  heard(a_);
  EXPECT_EQ(guest_.store(5, 1), kNone);
  EXPECT_EQ(guest_.store(1, 1), kNone);
}

// Nor does another take its word, so that its unmap, when it comes, is done.
TEST_F(BadWordsTest, WhatIsDyingKeepsItsWord) {
  map_heard(0);
  word(0) = abi::dying_word(abi::untouched_word(at(0, 1)));
  u64 other = 1;
  while (&word(other) != &word(0)) ++other;
  map_heard(other);
  put_unmap(0, 1);
  EXPECT_EQ(guest_.store(other, 1), kNone);
  EXPECT_TRUE(map(a_, 0, 1, kPermR));
  EXPECT_EQ(guest_.store(0, 1), kPermission);
}

TEST_F(BadWordsTest, NonsenseInAWordIsNoWord) {
  for (const u64 nonsense : {u64{0}, u64{7}, ~u64{0}, ~u64{1}, u64{2}}) {
    map_heard(0, 4);
    word(0) = nonsense;
    EXPECT_EQ(guest_.store(1, 1), kNone);
    EXPECT_EQ(unmap_exits(0, 4), 1u);
    EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  }
}

// Rights may be queued between a word's death and the unmap, as many as there are credits. Of more a prefix
// goes.
TEST_F(BadWordsTest, AnUnmapOfManyRegionsIsBounded) {
  constexpr u64 kMany = 2 * work::kMostAtOnce;
  map_heard(0, 2 * kMany, kPermNone);
  word(0) = abi::dying_word(abi::untouched_word(at(0, 2 * kMany)));
  for (u64 n = 0; n < kMany; ++n) {
    put(abi::Call::region_protect, 2 * n, 1, Perm::kAll & 3);
    if (n % 4 == 3) heard(a_);
  }
  put_unmap(0, 2 * kMany);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  EXPECT_EQ(guest_.store(2 * kMany - 2, 1), kNone);
  EXPECT_EQ(guest_.store(2 * kMany - 1, 1), kPermission);
}

class BadFullWordsTest : public BadWordsTest {
 protected:
  BadFullWordsTest() : BadWordsTest(10'000) {}
};

// Each hole is a region more.
TEST_F(BadFullWordsTest, QueuedUnmapsMakeNoMoreRegionsThanThereMayBe) {
  EXPECT_TRUE(map(a_, 15));
  EXPECT_EQ(fill_with_regions(a_), hv::kMaxRegionsPerSpace - 1);
  constexpr u64 kLast = 16 * 11;
  for (u64 first = 16; first < kLast; first += 16) {
    for (u64 n = 0; n < 16; ++n) {
      put(abi::Call::region_map, first + n, 1, 3);
      heard(a_);
    }
    for (u64 n = 1; n < 15; n += 2) put_unmap(first + n, 1);
    heard(a_);
  }
  u64 holes = 0;
  for (u64 page = 16; page < kLast; ++page) holes += guest_.store(page, 1) == kNoRegion;
  EXPECT_GT(holes, 0u);
  EXPECT_LE(holes, hv::RegionNodeSlab::kReserved + abi::kQueueSlots);
}

// A hole is a region more, and paid for ahead.
TEST(Untouched, AQueuedUnmapNeedsNoMemory) {
  QueueGuest guest(400);
  const SpaceId a = guest.make_active();
  const auto heard = [&] { static_cast<void>(guest.ops().region_resident(a, at(1000, 1))); };
  constexpr u64 kPages = 16;
  for (u64 n = 0; n < kPages; ++n) {
    ASSERT_TRUE(guest.ops().region_map(a, anonymous(n, 1), 0));
    heard();
  }
  while (guest.ops().kmem_alloc(1)) {
  }
  while (guest.ops().object_create(1, NoMappings())) {
  }
  for (u64 n = 0; guest.ops().region_map(a, anonymous(100 + 2 * n, 1), kMapReplace); ++n) {
  }
  std::array<bool, kPages> gone{};
  unsigned holes = 0;
  const auto& words = guest.queue(a).words;
  const u64 before = guest.exits();
  for (u64 n = 1; n < kPages - 1; ++n) {
    if (gone[n - 1] || words[abi::word_index(at(n, 1).begin)] != abi::untouched_word(at(n, 1))) continue;
    gone[n] = true;
    ++holes;
    EXPECT_TRUE(guest.ops().region_unmap(a, at(n, 1)));
  }
  EXPECT_EQ(guest.exits(), before);
  EXPECT_GE(holes, 3u);
  heard();
  for (u64 n = 0; n < kPages; ++n) {
    const ViolationReason reason = guest.store(n, 1);
    EXPECT_TRUE(gone[n] ? reason == kNoRegion : reason == kNone || reason == kNoMemory) << n;
  }
}

// Who maps many at once gets words for the last of them.
TEST_F(UntouchedTest, TheLastOfManyHaveWords) {
  for (u64 n = 0; n < 8; ++n) EXPECT_TRUE(map(a_, 2 * n));
  heard(a_);
  u64 exits = 0;
  for (u64 n = 0; n < 8; ++n) exits += unmap_exits(2 * n);
  EXPECT_EQ(exits, 6u);
  for (u64 n = 0; n < 8; ++n) EXPECT_EQ(guest_.store(2 * n, 1), kNoRegion);
}

// Nor does the hypervisor wait for a call that is being put for ever.
TEST_F(UntouchedTest, AnObjectBehindACallThatIsNeverPutIsBusy) {
  const ObjectId object = guest_.make_object(1);
  const RegionSpec shown{at(0, 1), kPermRW, Sharing::kShared, Usage(), object, 0};
  EXPECT_TRUE(guest_.ops().region_map(a_, shown, 0));
  heard(a_);
  abi::RegionQueue& queue = guest_.queue(a_);
  queue.calls[queue.tail % abi::kQueueSlots].state = abi::kQueuedFilling;
  ++queue.tail;
  EXPECT_EQ(
      guest_.guest().call(static_cast<u64>(abi::Call::object_destroy), {static_cast<u32>(object)}).status,
      Status::kBusy);
}

}  // namespace
}  // namespace nopte::test
