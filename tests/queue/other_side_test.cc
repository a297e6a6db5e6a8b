// Both sides at once: whatever the one does, the other does something behind any of its looks at the words
// that they share.
#include "tests/queue/other_side.h"

#include "tests/queue/untouched.h"

namespace nopte::test {
namespace {

using enum ViolationReason;

class OtherSideTest : public QueueTest {
 protected:
  // `act`, in a space of its own each time, with `other` behind the first look, the second, and so on; then
  // `check`. All take the space.
  void at_each_moment(auto prepare, auto act, auto other, auto check) {
    for (unsigned moment = 0;; ++moment) {
      SCOPED_TRACE(moment);
      const SpaceId space = guest_.make_active();
      abi::RegionQueue& queue = guest_.queue(space);
      prepare(space, queue);
      bool happened;
      {
        OtherSide side(moment, [&] { other(space, queue); });
        act(space);
        happened = side.happened();
      }
      if (!happened) other(space, queue);
      heard(space);
      check(space);
      guest_.ops().space_activate(SpaceId::kKernel);
      guest_.ops().space_destroy(space);
      if (!happened) {
        EXPECT_GT(moment, 2u);
        return;
      }
      ASSERT_LT(moment, 1000u);
    }
  }
  static abi::QueuedCall& slot(abi::RegionQueue& queue, u32 index) {
    return queue.calls[index % abi::kQueueSlots];
  }
  // All is taken, and what is put may cost as much as ever.
  void expect_at_rest(SpaceId space) {
    const abi::RegionQueue& queue = guest_.queue(space);
    EXPECT_EQ(queue.head, queue.tail);
    EXPECT_EQ(queue.limit - queue.cost, abi::kQueueSlots);
  }
};

constexpr u64 kMap = static_cast<u64>(abi::Call::region_map);

// --- the hypervisor takes ---------------------------------------------------------------------------------

// What is behind it happens all the same.
TEST_F(OtherSideTest, AMapIsCancelledWhileItIsTaken) {
  bool cancelled = false;
  at_each_moment([&](SpaceId space, auto&) { EXPECT_TRUE(map(space, 0) && map(space, 2)); },
                 [&](SpaceId) { EXPECT_EQ(guest_.store(2, 1), kNone); },
                 [&](SpaceId, abi::RegionQueue& queue) {
                   cancelled =
                       abi::shared_change(slot(queue, queue.tail - 2).state, kMap, abi::kQueuedCancelled);
                   if (cancelled) --queue.cost;
                 },
                 [&](SpaceId space) {
                   EXPECT_EQ(guest_.store(0, 1), cancelled ? kNoRegion : kNone);
                   EXPECT_EQ(guest_.store(2, 1), kNone);
                   expect_at_rest(space);
                 });
}

// The guest's own code.
TEST_F(OtherSideTest, ACancelledCallsPlaceIsUsedWhileItIsTaken) {
  at_each_moment(
      [&](SpaceId space, auto&) { EXPECT_TRUE(map(space, 0) && map(space, 2) && unmap(space, 2)); },
      [&](SpaceId) { EXPECT_EQ(guest_.store(0, 1), kNone); },
      [&](SpaceId space, auto&) { EXPECT_TRUE(map(space, 4)); },
      [&](SpaceId space) {
        EXPECT_EQ(guest_.store(2, 1), kNoRegion);
        EXPECT_EQ(guest_.store(4, 1), kNone);
        expect_at_rest(space);
      });
}

// The guest is about to use it, and does when the hypervisor has gone on.
TEST_F(OtherSideTest, WhatIsBeingFilledIsNotTaken) {
  bool filling = false;
  at_each_moment(
      [&](SpaceId space, auto&) { EXPECT_TRUE(map(space, 0) && map(space, 2) && unmap(space, 2)); },
      [&](SpaceId) { EXPECT_EQ(guest_.store(0, 1), kNone); },
      [&](SpaceId, abi::RegionQueue& queue) {
        filling =
            abi::shared_change(slot(queue, queue.tail - 1).state, abi::kQueuedCancelled, abi::kQueuedFilling);
      },
      [&](SpaceId space) {
        if (filling) {
          abi::RegionQueue& queue = guest_.queue(space);
          abi::QueuedCall& last = slot(queue, queue.tail - 1);
          EXPECT_EQ(last.state, abi::kQueuedFilling);
          last.arguments = {at(4, 1).begin.value(), 1, 3, 0, 0};
          ++queue.cost;
          abi::shared_store(last.state, kMap);
          heard(space);
        }
        EXPECT_EQ(guest_.store(4, 1), filling ? kNone : kNoRegion);
        expect_at_rest(space);
      });
}

// Each word is the old one or the new one, and stays it, whatever the call looks at it for.
TEST_F(OtherSideTest, ArgumentsThatChangeAreReadOnce) {
  constexpr u64 kBegins[] = {0, 8}, kLengths[] = {4, 2}, kPages = 16;
  at_each_moment(
      [&](SpaceId space, auto&) { EXPECT_TRUE(map(space, kBegins[0], kLengths[0])); },
      [&](SpaceId) { EXPECT_EQ(guest_.store(100, 1), kNoRegion); },
      [&](SpaceId, abi::RegionQueue& queue) {
        slot(queue, queue.tail - 1).arguments = {at(kBegins[1], 1).begin.value(), kLengths[1], 3, 0, 0};
      },
      [&](SpaceId space) {
        const auto promised = [](u64 begin, u64 length) { return ((u64{1} << length) - 1) << begin; };
        const auto& words = guest_.queue(space).words;
        u64 said = 0;
        for (const u64 begin : kBegins) {
          for (const u64 length : kLengths) {
            const VaRange range = at(begin, length);
            if (words[abi::word_index(range.begin)] == abi::untouched_word(range))
              said |= promised(begin, length);
          }
        }
        u64 seen = 0;
        for (u64 page = 0; page < kPages; ++page) seen |= u64{guest_.store(page, 1) == kNone} << page;
        EXPECT_EQ(seen, said);
        bool right = false;
        for (const u64 begin : kBegins) {
          for (const u64 length : kLengths) right = right || seen == promised(begin, length);
        }
        EXPECT_TRUE(right) << std::hex << seen;
        expect_at_rest(space);
      });
}

// Nonsense hurts that space alone.
TEST_F(OtherSideTest, NonsenseComesWhileAQueueIsTaken) {
  const SpaceId other = guest_.make_space();
  const std::function<void(abi::RegionQueue&)> kScribbles[] = {
      [](abi::RegionQueue& queue) { queue.tail += 3; },
      [](abi::RegionQueue& queue) { queue.tail += 1000; },
      [](abi::RegionQueue& queue) { --queue.tail; },
      [](abi::RegionQueue& queue) { queue.head = queue.limit = queue.cost = ~u32{0}; },
      [](abi::RegionQueue& queue) {
        for (abi::QueuedCall& call : queue.calls) call.arguments.fill(~u64{0});
      },
      [](abi::RegionQueue& queue) {
        for (abi::QueuedCall& call : queue.calls) call.state = static_cast<u64>(abi::Call::region_unmap);
      },
      [](abi::RegionQueue& queue) {
        for (abi::QueuedCall& call : queue.calls) call.state = abi::kQueuedFilling;
      },
      [](abi::RegionQueue& queue) { queue.words.fill(~u64{0}); },
      [](abi::RegionQueue& queue) { queue.words.fill(abi::dying_word(abi::untouched_word(at(0, 2)))); },
  };
  for (const auto& scribble : kScribbles) {
    at_each_moment(
        [&](SpaceId space, auto&) {
          for (u64 page = 0; page < 12; page += 4) EXPECT_TRUE(map(space, page, 2));
        },
        [&](SpaceId) { static_cast<void>(guest_.store(4, 1)); },
        [&](SpaceId, abi::RegionQueue& queue) { scribble(queue); },
        [&](SpaceId space) {
          u64 word = 0;
          for (u64 page = 0; page < 12; ++page) static_cast<void>(guest_.load(page, word));
          EXPECT_TRUE(unmap(space, 0, 12));
          guest_.ops().space_activate(other);
          EXPECT_TRUE(map(other, 0));
          EXPECT_EQ(guest_.store(0, 7), kNone);
          EXPECT_EQ(guest_.load(0, word), kNone);
          EXPECT_EQ(word, 7u);
          EXPECT_TRUE(unmap(other, 0));
          expect_at_rest(other);
        });
  }
}

// --- the guest puts and cancels ---------------------------------------------------------------------------

TEST_F(OtherSideTest, ACancelledCallIsTakenWhileItsPlaceIsUsed) {
  at_each_moment(
      [&](SpaceId space, auto&) { EXPECT_TRUE(map(space, 0) && map(space, 2) && unmap(space, 2)); },
      [&](SpaceId space) { EXPECT_TRUE(map(space, 4)); }, [&](SpaceId space, auto&) { heard(space); },
      [&](SpaceId space) {
        EXPECT_EQ(guest_.store(0, 1), kNone);
        EXPECT_EQ(guest_.store(2, 1), kNoRegion);
        EXPECT_EQ(guest_.store(4, 1), kNone);
        expect_at_rest(space);
      });
}

TEST_F(OtherSideTest, AMapIsTakenWhileItIsCancelled) {
  at_each_moment(
      [&](SpaceId space, auto&) {
        for (u64 page = 0; page < 8; page += 2) EXPECT_TRUE(map(space, page));
      },
      [&](SpaceId space) { EXPECT_TRUE(unmap(space, 2)); }, [&](SpaceId space, auto&) { heard(space); },
      [&](SpaceId space) {
        for (u64 page = 0; page < 8; page += 2) {
          EXPECT_EQ(guest_.store(page, 1), page == 2 ? kNoRegion : kNone);
        }
        expect_at_rest(space);
      });
}

}  // namespace
}  // namespace nopte::test
