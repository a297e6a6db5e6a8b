// Region calls without exits: what is queued, when it happens, what it may need, and what a guest can do
// wrong.
#include "hv-mm/vma/declared.h"
#include "native-fallback/engine/picture.h"
#include "tests/queue/queue_guest.h"

namespace nopte::test {
namespace {

using enum ViolationReason;

TEST_F(QueueTest, AMapThatIsTakenBackIsNeverSeen) {
  const SpaceId a = guest_.make_active();
  EXPECT_EQ(exits_of([&] {
              for (int i = 0; i < 100; ++i) {
                EXPECT_TRUE(map(a, 3, 2));
                EXPECT_TRUE(unmap(a, 3, 2));
              }
            }),
            0u);
  EXPECT_EQ(guest_.store(3, 1), kNoRegion);
}

TEST_F(QueueTest, AMapHappensAtTheFirstTouch) {
  const SpaceId a = guest_.make_active();
  EXPECT_EQ(exits_of([&] {
              EXPECT_TRUE(map(a, 0, 2));
              EXPECT_TRUE(map(a, 5, 1, kPermR));
            }),
            0u);
  EXPECT_EQ(exits_of([&] { EXPECT_EQ(guest_.store(1, 1), kNone); }), 1u);
  EXPECT_EQ(guest_.store(5, 1), kPermission);
  EXPECT_EQ(guest_.store(2, 1), kNoRegion);
  // What was seen is unmapped by a call.
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 0, 2)); }), 1u);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
}

TEST_F(QueueTest, PartOfWhatIsQueuedIsUnmappedByACall) {
  const SpaceId a = guest_.make_active();
  EXPECT_TRUE(map(a, 0, 3));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 1)); }), 1u);
  EXPECT_EQ(guest_.store(0, 1), kNone);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
  EXPECT_EQ(guest_.store(2, 1), kNone);
  EXPECT_TRUE(map(a, 10, 3));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 10)); }), 1u);
  EXPECT_EQ(guest_.store(10, 1), kNoRegion);
  EXPECT_EQ(guest_.store(11, 1), kNone);
}

TEST_F(QueueTest, OneOfManyIsTakenBack) {
  const SpaceId a = guest_.make_active();
  EXPECT_EQ(exits_of([&] {
              for (u64 page = 0; page < 6; page += 2) EXPECT_TRUE(map(a, page));
              EXPECT_TRUE(unmap(a, 2));
              EXPECT_TRUE(map(a, 2, 1, kPermR));
            }),
            0u);
  EXPECT_EQ(guest_.store(0, 1), kNone);
  EXPECT_EQ(guest_.store(2, 1), kPermission);
  EXPECT_EQ(guest_.store(4, 1), kNone);
}

TEST_F(QueueTest, AFullQueueIsACallThatComesLast) {
  const SpaceId a = guest_.make_active();
  for (u64 round = 0; round < 20; ++round) {
    EXPECT_EQ(exits_of([&] {
                for (u64 n = 0; n <= abi::kQueueSlots; ++n) EXPECT_TRUE(map(a, 100 * round + 2 * n));
              }),
              1u);
    EXPECT_EQ(guest_.queue(a).head, guest_.queue(a).tail);
  }
  for (u64 n = 0; n <= abi::kQueueSlots; ++n) EXPECT_EQ(guest_.store(2 * n, n), kNone);
}

TEST_F(QueueTest, AnyCallThatNamesTheSpaceIsAfterWhatIsQueued) {
  const SpaceId a = guest_.make_active();
  const auto queued = [&] { return guest_.queue(a).tail - guest_.queue(a).head; };
  auto page = [&, next = u64{0}]() mutable {
    EXPECT_TRUE(map(a, next += 2));
    EXPECT_EQ(queued(), 1u);
    return next;
  };
  page();
  static_cast<void>(resident(a, 0));
  EXPECT_EQ(queued(), 0u);
  EXPECT_TRUE(guest_.ops().region_protect(a, at(page(), 1), kPermR, RightsChange::kAny));
  EXPECT_EQ(queued(), 0u);
  EXPECT_TRUE(guest_.ops().region_advise(a, at(page(), 1), Advice::kPopulate));
  EXPECT_EQ(queued(), 0u);
  EXPECT_TRUE(guest_.ops().region_move(a, at(page(), 1), kA + pages_to_bytes(1001)));
  EXPECT_EQ(queued(), 0u);
  page();
  guest_.ops().space_activate(SpaceId::kKernel);
  EXPECT_EQ(queued(), 1u);
  guest_.ops().space_activate(a);
  EXPECT_EQ(queued(), 0u);
  const u64 cloned = page();
  const NoRegions none;
  const auto child = guest_.ops().space_clone(a, none);
  ASSERT_TRUE(child);
  EXPECT_EQ(queued(), 0u);
  guest_.ops().space_activate(*child);
  EXPECT_EQ(guest_.store(cloned, 1), kNone);
}

TEST_F(QueueTest, APictureShowsWhatIsQueued) {
  const SpaceId space = guest_.make_active();
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(space, 0, 3)); }), 0u);
  std::string text;
  const auto append = [&](std::string_view piece) { text += piece; };
  pt::PictureWriter picture(append);
  EXPECT_TRUE(guest_.guest().mode().draw(picture));
  EXPECT_NE(text.find("[[" + std::to_string(kA.page()) + ",3,"), std::string::npos) << text;
}

TEST_F(QueueTest, RightsThatAreGainedAreQueued) {
  const SpaceId a = guest_.make_active();
  const auto protect = [&](u64 page, u64 pages, Perm perm, RightsChange change = RightsChange::kFromNone) {
    return guest_.ops().region_protect(a, at(page, pages), perm, change).has_value();
  };
  EXPECT_TRUE(map(a, 0, 64, kPermNone));
  EXPECT_EQ(guest_.store(0, 1), kPermission);
  EXPECT_EQ(exits_of([&] {
              EXPECT_TRUE(protect(8, 4, kPermR));
              EXPECT_TRUE(protect(9, 1, kPermRW));
            }),
            0u);
  EXPECT_EQ(exits_of([&] { EXPECT_EQ(guest_.store(9, 1), kNone); }), 1u);
  EXPECT_EQ(guest_.store(8, 1), kPermission);
  EXPECT_EQ(guest_.store(7, 1), kPermission);
  // What is installed gains them with what it is queued behind.
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(protect(9, 1, kPermR, RightsChange::kAny)); }), 1u);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(protect(9, 1, kPermRW)); }), 0u);
  EXPECT_EQ(exits_of([&] { EXPECT_EQ(guest_.store(9, 2), kNone); }), 1u);
  // Much is a call, so that little happens at once; and so is an unmap of a region whose rights are queued.
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(protect(16, abi::kQueuedProtectPages + 1, kPermRW)); }), 1u);
  EXPECT_TRUE(map(a, 100, 1, kPermNone));
  EXPECT_TRUE(protect(100, 1, kPermRW));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(unmap(a, 100)); }), 1u);
  EXPECT_EQ(guest_.store(100, 1), kNoRegion);
}

class FullQueueTest : public QueueTest {
 protected:
  FullQueueTest() : QueueTest(10'000) {}
};

TEST_F(FullQueueTest, AQueueGoesOnWhenThereIsRoomForRegionsAgain) {
  const SpaceId a = guest_.make_active();
  const u64 regions = fill_with_regions(a);
  EXPECT_EQ(regions, hv::kMaxRegionsPerSpace);
  EXPECT_TRUE(unmap(a, kFull, 2 * regions));
  EXPECT_TRUE(map(a, 1));
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 5)); }), 0u);
}

TEST_F(QueueTest, SpacesAndWindowsHaveQueuesOfTheirOwn) {
  const SpaceId a = guest_.make_space();
  const SpaceId b = guest_.make_active();
  const ObjectId object = guest_.make_object(2);
  const Gva window = kWindowRange.begin + pages_to_bytes(7);
  EXPECT_EQ(exits_of([&] {
              EXPECT_TRUE(map(a, 0));
              EXPECT_TRUE(map(b, 1));
              const RegionSpec shown{VaRange::of_pages(window, 2), kPermRW, Sharing::kShared, {}, object, 0};
              EXPECT_TRUE(guest_.ops().region_map(SpaceId::kKernel, shown, 0));
            }),
            0u);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  u64 value = 5;
  EXPECT_EQ(guest_.touch(window, Access::kWrite, &value), kNone);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  EXPECT_EQ(guest_.queue(a).head + 1, guest_.queue(a).tail);
  guest_.ops().space_activate(a);
  EXPECT_EQ(guest_.store(0, 1), kNone);
  EXPECT_EQ(guest_.store(1, 1), kNoRegion);
}

// An id comes again; its queue begins empty, whatever was queued.
TEST_F(QueueTest, ADestroyedSpaceLosesWhatWasQueued) {
  const SpaceId a = guest_.make_space();
  EXPECT_TRUE(map(a, 0));
  guest_.ops().space_destroy(a);
  EXPECT_FALSE(map(a, 2)) << "nothing is queued for who is gone";
  EXPECT_FALSE(unmap(a, 0)) << "nor taken back";
  const SpaceId again = guest_.make_active();
  ASSERT_EQ(again, a);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  EXPECT_EQ(exits_of([&] { EXPECT_TRUE(map(a, 1)); }), 0u);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
}

// What is queued has been paid for: all of memory can go meanwhile.
TEST(Queue, WhatIsQueuedNeedsNoMemory) {
  QueueGuest guest(400);
  const SpaceId a = guest.make_active();
  const u64 grants = 20;
  for (u64 n = 0; n < abi::kQueueSlots; ++n) {
    ASSERT_TRUE(guest.ops().region_map(a, anonymous(2 * n, 1), 0));
  }
  const u64 before = guest.exits();
  for (u64 n = 0; n < grants; ++n) static_cast<void>(guest.ops().kmem_alloc(16));
  while (guest.ops().kmem_alloc(1)) {
  }
  while (guest.ops().object_create(1, NoMappings())) {
    // Records and nodes take single frames.
  }
  ASSERT_GT(guest.exits(), before);
  EXPECT_EQ(guest.queue(a).tail - guest.queue(a).head, abi::kQueueSlots);
  static_cast<void>(guest.ops().region_resident(a, at(0, 1)));
  EXPECT_EQ(guest.queue(a).tail, guest.queue(a).head);
  // All of them are promised: what they lack is memory for a page at most.
  for (u64 n = 0; n < abi::kQueueSlots; ++n) {
    const ViolationReason reason = guest.store(2 * n, 1);
    EXPECT_TRUE(reason == kNone || reason == kNoMemory) << n;
  }
  EXPECT_EQ(guest.store(1, 1), kNoRegion);
  // Nor is more than that allowed: what is queued from now on is promised, too.
  for (u64 n = 0; n < 2 * abi::kQueueSlots; ++n) {
    const u64 page = 100 + 2 * n;
    if (!guest.ops().region_map(a, anonymous(page, 1), 0)) continue;
    if (n % 8 == 7) static_cast<void>(guest.ops().region_resident(a, at(0, 1)));
    EXPECT_NE(guest.store(page, 1), kNoRegion) << n;
  }
}

TEST(Queue, AHypervisorWithoutIsAskedByCalls) {
  QueueGuest guest(3000, abi::kFeatureRegionQueue);
  EXPECT_EQ(guest.guest().call(static_cast<u64>(abi::Call::region_queues), {0}).status, Status::kUnsupported);
  const SpaceId a = guest.make_active();
  const u64 before = guest.exits();
  EXPECT_TRUE(guest.ops().region_map(a, anonymous(0, 1), 0));
  EXPECT_TRUE(guest.ops().region_unmap(a, at(0, 1)));
  EXPECT_EQ(guest.exits() - before, 2u);
}

// The memory of the queues is the guest's for good: it cannot give it back while the hypervisor writes there.
TEST_F(QueueTest, TheirMemoryIsKept) {
  const auto block = guest_.guest().call(static_cast<u64>(abi::Call::region_queues), {0});
  ASSERT_EQ(block.status, Status::kOk);
  EXPECT_EQ(guest_.guest().call(static_cast<u64>(abi::Call::region_queues), {0}).value, block.value);
  EXPECT_EQ(guest_.guest().call(static_cast<u64>(abi::Call::kmem_free), {block.value, 16}).status,
            Status::kInvalid);
  EXPECT_EQ(guest_.guest().call(static_cast<u64>(abi::Call::region_queues), {abi::kQueueBlocks}).status,
            Status::kInvalid);
}

// --- what no guest of ours does -------------------------------------------------------------------------

class BadQueueTest : public QueueTest {
 protected:
  explicit BadQueueTest(u64 frames = 3000) : QueueTest(frames) {}

  static constexpr u64 kMap = static_cast<u64>(abi::Call::region_map);
  void put(u64 state, std::array<u64, 5> arguments) {
    queue_->calls[queue_->tail % abi::kQueueSlots] = {state, arguments};
    ++queue_->tail;
  }
  void put_map(u64 page, u64 flags = 3, u64 object = 0, u64 object_page = 0) {
    put(kMap, {(kA + pages_to_bytes(page)).value(), 1, flags, object, object_page});
  }
  SpaceId space_ = guest_.make_active();
  abi::RegionQueue* queue_ = &guest_.queue(space_);
};

TEST_F(BadQueueTest, NonsenseIsLeftOut) {
  put(0, {});
  put(~u64{5}, {});
  put(static_cast<u64>(abi::Call::space_destroy), {static_cast<u32>(space_)});
  put(static_cast<u64>(abi::Call::power_off), {});
  put_map(0, 1 << 4);  // replace
  put_map(0, 1 << 5);  // populate
  put_map(0, 3, 77);
  put_map(0, 3, u64{1} << 32);
  put(kMap, {kA.value() + 1, 1, 3, 0, 0});
  put(kMap, {kWindowRange.begin.value(), 1, 3, 0, 0});
  put(kMap, {kA.value(), ~u64{0}, 3, 0, 0});
  put(kMap, {kA.value(), 0, 3, 0, 0});
  put(kMap, {kA.value(), (u64{1} << 52) + 1, 3, 0, 0});  // in bytes, one page
  put_map(1);
  put_map(1, 1);  // there is one
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  EXPECT_EQ(guest_.store(1, 1), kNone);
  EXPECT_EQ(queue_->head, queue_->tail);
}

// Nothing that is installed may lose a right without its flush being asked for by a call.
TEST_F(BadQueueTest, RightsThatAreLostAreNotQueued) {
  constexpr u64 kProtect = static_cast<u64>(abi::Call::region_protect);
  put_map(0);
  put_map(1, 1);
  EXPECT_EQ(guest_.store(0, 1), kNone);
  put(kProtect, {kA.value(), 1, 1, 0, 0});  // loses
  put(kProtect, {kA.value() + kPageBytes, 1, 0, 0, 0});
  put(kProtect, {kA.value(), 3, 7, 0, 0});      // a hole
  put(kProtect, {kA.value(), 1, 8 | 3, 0, 0});  // no right
  put(kProtect, {kA.value(), u64{1} << 40, 7, 0, 0});
  put(kProtect, {kA.value() + 1, 1, 7, 0, 0});
  EXPECT_EQ(guest_.store(1, 1), kPermission);
  EXPECT_EQ(guest_.touch(kA + kPageBytes, Access::kRead), kNone);
  EXPECT_EQ(guest_.store(0, 2), kNone);
  EXPECT_EQ(guest_.touch(kA, Access::kExec), kPermission);
  EXPECT_EQ(queue_->head, queue_->tail);
}

TEST_F(BadQueueTest, RightsOfMuchAndOfWindowsAreNotQueued) {
  constexpr u64 kProtect = static_cast<u64>(abi::Call::region_protect);
  EXPECT_TRUE(map(space_, 0, 2 * abi::kQueuedProtectPages, kPermNone));
  put(kProtect, {kA.value(), abi::kQueuedProtectPages + 1, 3, 0, 0});
  EXPECT_EQ(guest_.store(0, 1), kPermission);
  put(kProtect, {kA.value(), abi::kQueuedProtectPages, 3, 0, 0});
  EXPECT_EQ(guest_.store(0, 1), kNone);
  const VaRange window = VaRange::of_pages(kWindowRange.begin, 1);
  const RegionSpec shown{window, kPermR, Sharing::kShared, {}, guest_.make_object(1), 0};
  EXPECT_TRUE(guest_.ops().region_map(SpaceId::kKernel, shown, kMapReplace));
  queue_ = &guest_.queue(SpaceId::kKernel);
  put(kProtect, {window.begin.value(), 1, 3, 0, 0});
  EXPECT_EQ(guest_.touch(window.begin, Access::kWrite), kPermission);
  EXPECT_EQ(queue_->head, queue_->tail);
}

TEST_F(BadQueueTest, IndicesThatAreNoQueueEmptyIt) {
  for (const u32 tail : {u32{abi::kQueueSlots + 1}, u32{1} << 31, ~u32{0}, u32{0}}) {
    queue_->tail = tail;
    queue_->head = ~tail;
    EXPECT_EQ(guest_.store(0, 1), kNoRegion);
    EXPECT_EQ(queue_->head, tail);
  }
  put_map(0);
  EXPECT_EQ(guest_.store(0, 1), kNone);
}

TEST_F(BadQueueTest, ASlotThatIsNeverFilledStopsOnlyItsQueue) {
  put(abi::kQueuedFilling, {});
  put_map(0);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  guest_.ops().space_activate(guest_.make_space());
  guest_.ops().space_destroy(space_);
}

// More than was paid for is no more than the memory that there is.
TEST_F(BadQueueTest, CreditsThatNobodyGaveAreWorthNothing) {
  for (u64 round = 0; round < 10; ++round) {
    for (u64 n = 0; n < abi::kQueueSlots; ++n) put_map(40 * round + 2 * n);
    queue_->cost = 0;
    queue_->limit = ~u32{0} >> 1;
    EXPECT_EQ(guest_.store(40 * round, 1), kNone);
  }
}

class BadFullQueueTest : public BadQueueTest {
 protected:
  BadFullQueueTest() : BadQueueTest(10'000) {}
};

TEST_F(BadFullQueueTest, QueuedRightsMakeNoMoreRegionsThanThereMayBe) {
  EXPECT_TRUE(map(space_, 0, 900, kPermR));
  EXPECT_EQ(fill_with_regions(space_), hv::kMaxRegionsPerSpace - 1);
  for (u64 round = 0; round < 10; ++round) {
    for (u64 n = 0; n < abi::kQueueSlots; ++n) {
      put(static_cast<u64>(abi::Call::region_protect),
          {(kA + pages_to_bytes(1 + 2 * (16 * round + n))).value(), 1, 3, 0, 0});
    }
    EXPECT_EQ(guest_.store(0, 1), kPermission);
  }
  u64 happened = 0;
  for (u64 n = 0; n < 160; ++n) happened += guest_.store(1 + 2 * n, 1) == kNone;
  EXPECT_LE(2 * happened, hv::RegionNodeSlab::kReserved + abi::kQueueSlots);
}

TEST_F(BadQueueTest, AStaleIndexOfATornQueueIsMasked) {
  std::memset(static_cast<void*>(queue_), 0xa5, abi::kQueueBytes);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  std::memset(static_cast<void*>(queue_), 0xff, abi::kQueueBytes);
  EXPECT_EQ(guest_.store(0, 1), kNoRegion);
  EXPECT_EQ(exits_of([&] { static_cast<void>(resident(space_, 0)); }), 1u);
}

}  // namespace
}  // namespace nopte::test
