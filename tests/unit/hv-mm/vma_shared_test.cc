// Calls that take from many regions, over tables that a clone shares: they go in pieces, and no piece but the
// first finds that memory is short.
#include <array>
#include <vector>

#include "tests/unit/hv-mm/vma_fixture.h"

namespace nopte::hv {
namespace {

// One-page regions, `apart` pages from each other, of which every `touched`-th has its page; those before
// `first` have none, and can be read alone.
struct Layout {
  const char* what;
  u64 regions;
  u64 apart;
  u64 touched;
  u64 first;
};
constexpr Layout kLayouts[] = {
    {"leaf tables are shared", 1700, 2, 1, 0},
    // More of them than a clone copies at once.
    {"tables above them are shared", 1500, 34, 5, 0},
    {"the first piece has nothing", 1700, 2, 1, 600},
};

class VmaShared : public VmaAgainTest {
 protected:
  VmaShared() : VmaAgainTest(8000) {}

  static Gva at(const Layout& layout, u64 region) { return kA + pages_to_bytes(3 + region * layout.apart); }
  void make(const Layout& layout) {
    space_ = active_space();
    object_ = call(Call::object_create, {1}).value;
    for (u64 i = 0; i < layout.regions; ++i) {
      if (i < layout.first) {
        ASSERT_EQ(map(space_, at(layout, i), 1, 1, object_), Status::kOk);
      } else {
        ASSERT_EQ(map(space_, at(layout, i), 1), Status::kOk);
        ASSERT_TRUE(i % layout.touched != 0 || touch(at(layout, i)));
      }
    }
    pages_ = installed(space_);
    const CallResult made = call(Call::space_clone, {space_});
    ASSERT_EQ(made.status, Status::kOk);
    clone_ = made.value;
  }
  // So that there is no hole; not continuing each other, nor what they lie between.
  void fill_gaps(const Layout& layout) {
    for (u64 i = 0; i + 1 < layout.regions; ++i) {
      ASSERT_EQ(map(space_, at(layout, i) + kPageBytes, layout.apart - 1, 1, object_, 2), Status::kOk);
    }
  }
  void take_all_but(u64 frames) {
    while (frames_.free_frames() > frames) taken_.push_back(*frames_.alloc(pt::FrameKind::kKernel));
  }
  void end() {
    expect_promised(space_);
    expect_promised(clone_);
    EXPECT_EQ(installed(clone_), pages_);
    for (const pt::Frame frame : taken_) frames_.free(frame);
    taken_.clear();
    stop_.requested = false;
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    for (const u64 gone : {space_, clone_}) ASSERT_EQ(call(Call::space_destroy, {gone}).status, Status::kOk);
    ASSERT_EQ(call(Call::object_destroy, {object_}).status, Status::kOk);
  }
  [[nodiscard]] const RegionTree& tree() { return **memory_.declared(SpaceId(static_cast<u32>(space_))); }

  u64 space_ = 0;
  u64 clone_ = 0;
  u64 object_ = 0;
  u64 pages_ = 0;
  std::vector<pt::Frame> taken_;
};

struct Row {
  const char* what;
  Call number;
  u64 argument;
};
constexpr Row kRows[] = {
    {"unmap", Call::region_unmap, 0},
    {"protect", Call::region_protect, 1},
    {"protect from all", Call::region_protect, 0},
    {"replace", Call::region_map, 1 | abi::kRegionReplace},
};

// However much memory there is: the call is refused at once, with nothing changed, or it comes to its end.
TEST_F(VmaShared, NoShortageAfterTheFirstPiece) {
  for (const Layout& layout : kLayouts) {
    for (const Row& row : kRows) {
      u64 refused = 0, done = 0, stopped = 0;
      for (const bool interrupted : {false, true}) {
        for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
          if (!interrupted && stub == Stub::kIssuesAgain) continue;
          for (u64 frames = 0; frames < 10; ++frames) {
            SCOPED_TRACE(testing::Message() << layout.what << ", " << row.what << ", " << interrupted << ", "
                                            << unsigned(stub) << ", " << frames << " frames");
            make(layout);
            if (row.number == Call::region_protect) fill_gaps(layout);
            take_all_but(frames);
            stop_.requested = interrupted;
            const u64 version = tree().version();
            // Both ends lie amidst shared tables.
            const Gva begin = at(layout, 1);
            const Gva last = at(layout, layout.regions - 2);
            const Registers registers{space_, begin.value(), VaRange{begin, last}.pages() + 1, row.argument};
            const CallResult result = until_done(stub, row.number, registers, [&] { take_all_but(0); });
            if (result.status == Status::kOk) {
              ++done;
              EXPECT_FALSE(touch(at(layout, 1)));
              EXPECT_FALSE(touch(last));
            } else {
              ++refused;
              EXPECT_EQ(result.status, Status::kNoMemory);
              EXPECT_EQ(issues_, 1u);
              EXPECT_EQ(tree().version(), version);
              EXPECT_EQ(installed(space_), pages_);
            }
            stopped += issues_ > 1;
            end();
            ASSERT_FALSE(HasFailure());
          }
        }
      }
      EXPECT_GT(refused, 0u);
      EXPECT_GT(done, 0u);
      EXPECT_GT(stopped, 0u);
    }
  }
}

// What stopped in a space that is gone says nothing of the next one with its name.
TEST_F(VmaShared, AnotherSpaceOfTheSameNameBeginsAnew) {
  constexpr u64 kPages = 2000;
  const u64 arguments = kPages;
  u64 version = 0;
  for (const bool again : {false, true}) {
    space_ = active_space();
    ASSERT_EQ(map(space_, kA, kPages), Status::kOk);
    for (u64 i = 0; i < kPages; i += 100) ASSERT_TRUE(touch(kA + pages_to_bytes(i)));
    if (!again) {
      stop_.requested = true;
      ASSERT_EQ(call(Call::region_unmap, {space_, kA.value(), arguments}).status, Status::kAgain);
      stop_.requested = false;
      version = tree().version();
    } else {
      // To the same number of changes.
      for (u64 n = 0; tree().version() < version; ++n) {
        ASSERT_EQ(map(space_, kA + pages_to_bytes(2 * kPages + 2 * n), 1), Status::kOk);
      }
      ASSERT_EQ(tree().version(), version);
      ASSERT_EQ(call(Call::region_unmap, {space_, kA.value(), arguments}).status, Status::kOk);
      expect_promised(space_);
      EXPECT_EQ(installed(space_), 0u);
      EXPECT_FALSE(tree().find(kA));
    }
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    ASSERT_EQ(call(Call::space_destroy, {space_}).status, Status::kOk);
  }
}

// A table with what came into the range since the call stopped does not go whole.
TEST_F(VmaShared, WhatIsPromisedBetweenTwoIssuesStays) {
  const Layout& layout = kLayouts[0];
  make(layout);
  // Where the regions end that are dealt with at once, amidst a leaf table.
  stop_.checks = 0;
  stop_.every = 3;
  const Gva begin = at(layout, 1);
  const u64 pages = VaRange{begin, at(layout, layout.regions - 2)}.pages() + 1;
  const CallResult stopped = call(Call::region_unmap, {space_, begin.value(), pages});
  stop_.every = 0;
  ASSERT_EQ(stopped.status, Status::kAgain);
  const Gva next = begin + pages_to_bytes(stopped.value);
  ASSERT_EQ(next, at(layout, 1 + work::kMostAtOnce));
  const Gva fresh = next - 2 * kPageBytes;
  ASSERT_EQ(fresh.value() >> 21, next.value() >> 21);
  ASSERT_EQ(map(space_, fresh, 1), Status::kOk);
  ASSERT_TRUE(touch(fresh));
  // Enough for a clone to share the table.
  for (u64 i = 0; i < 100; ++i) ASSERT_TRUE(touch(at(layout, 1 + work::kMostAtOnce + i)));
  const u64 other = call(Call::space_clone, {space_}).value;
  EXPECT_EQ(call(Call::region_unmap, {space_, next.value(), pages - stopped.value}).status, Status::kOk);
  EXPECT_TRUE(engine_.peek(SpaceId(static_cast<u32>(space_)), fresh));
  EXPECT_FALSE(engine_.peek(SpaceId(static_cast<u32>(space_)), next));
  EXPECT_EQ(call(Call::space_destroy, {other}).status, Status::kOk);
  end();
}

}  // namespace
}  // namespace nopte::hv
