// Calls that stop and go on: progress under an interrupt at every check, by a stub that goes on from where
// the answer says and by one that issues the whole call again; and no shortage after the first stop.
#include <vector>

#include "tests/unit/hv-mm/vma_fixture.h"

namespace nopte::hv {
namespace {

TEST_F(VmaAgainTest, PopulateEndsWhateverTheInterruptsAre) {
  for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
    for (const u64 every : {1, 4, 16}) {
      const u64 space = active_space();
      ASSERT_EQ(map(space, kA, 2048), Status::kOk);
      stop_.every = every;
      EXPECT_EQ(until_done(stub, Call::region_advise, {space, kA.value(), 2048, 2}).status, Status::kOk);
      EXPECT_EQ(installed(space), 2048u);
      ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
      EXPECT_EQ(until_done(stub, Call::space_destroy, {space}).status, Status::kOk);
    }
  }
}

TEST_F(VmaAgainTest, WillNeedEndsWhateverTheInterruptsAre) {
  const u64 object = call(Call::object_create, {2048}).value;
  const u64 first = active_space();
  ASSERT_EQ(map(first, kA, 2048, 3 | abi::kRegionShared, object), Status::kOk);
  ASSERT_EQ(call(Call::region_advise, {first, kA.value(), 2048, 2}).status, Status::kOk);
  stop_.requested = true;
  for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
    const u64 space = active_space();
    ASSERT_EQ(map(space, kA, 2048, 1, object), Status::kOk);
    EXPECT_EQ(until_done(stub, Call::region_advise, {space, kA.value(), 2048, 1}).status, Status::kOk);
    EXPECT_EQ(installed(space), 2048u);
  }
}

// A call that stopped is forgotten when something happens that it would have to see.
TEST_F(VmaAgainTest, ThePagesOfAStoppedCallAreInstalledAgainWhenTheyWereDropped) {
  const u64 space = active_space();
  ASSERT_EQ(map(space, kA, 600), Status::kOk);
  stop_.requested = true;
  const Registers populate{space, kA.value(), 600, 2};
  const CallResult stopped = call(Call::region_advise, populate);
  ASSERT_EQ(stopped.status, Status::kAgain);
  EXPECT_GT(stopped.value, 0u);
  EXPECT_EQ(call(Call::region_advise, {space, kA.value(), 1, 0}).status, Status::kOk);
  stop_.requested = false;
  EXPECT_EQ(call(Call::region_advise, populate).status, Status::kOk);
  EXPECT_EQ(installed(space), 600u);
}

// Its name comes again, and so does the number of its changes: nothing of it has been done there.
TEST_F(VmaAgainTest, ACallThatStoppedInASpaceIsNotGoneOnWithInTheNext) {
  constexpr u64 kPages = 3 * 512;
  const u64 space = active_space();
  const auto version = [&] { return (*memory_.declared(SpaceId(static_cast<u32>(space))))->version(); };
  const Registers unmap{space, kA.value(), kPages};
  ASSERT_EQ(map(space, kA, kPages), Status::kOk);
  for (u64 page = 0; page < kPages; page += 100) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
  stop_.requested = true;
  ASSERT_EQ(call(Call::region_unmap, unmap).status, Status::kAgain);
  stop_.requested = false;
  const u64 then = version();
  ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
  ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);

  ASSERT_EQ(active_space(), space);
  ASSERT_EQ(map(space, kA, kPages), Status::kOk);
  ASSERT_TRUE(touch(kA));
  for (Gva other = kA + (1 << 30); version() < then; other += 2 * kPageBytes)
    ASSERT_EQ(map(space, other, 1), Status::kOk);
  ASSERT_EQ(version(), then);
  EXPECT_EQ(call(Call::region_unmap, unmap).status, Status::kOk);
  EXPECT_FALSE(touch(kA));
  expect_promised(space);
}

TEST_F(VmaAgainTest, UnmappingWholeRegionsNeedsNoMemory) {
  for (u64 extra = 0; extra < 70; ++extra) {
    const u64 space = active_space();
    const Gva across = kA + ((u64{2} << 20) - kPageBytes);
    ASSERT_EQ(map(space, across, 2), Status::kOk);
    ASSERT_TRUE(touch(across));
    ASSERT_TRUE(touch(across + kPageBytes));
    for (u64 i = 0; i < extra; ++i)
      ASSERT_EQ(map(space, kA + (1 << 30) + i * 2 * kPageBytes, 1), Status::kOk);
    std::vector<pt::Frame> taken;
    while (const auto frame = frames_.alloc(pt::FrameKind::kKernel)) taken.push_back(*frame);
    EXPECT_EQ(call(Call::region_unmap, {space, across.value(), 2}).status, Status::kOk) << extra;
    for (const pt::Frame frame : taken) frames_.free(frame);
    ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
    ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
  }
}

// What a call has begun it can end, though every frame is taken between two issues.
TEST_F(VmaAgainTest, NoShortageAfterTheFirstStop) {
  struct Row {
    const char* what;
    Call number;
    u64 from, past;  // pages
    u64 flags;
  };
  const Row rows[] = {
      {"a hole", Call::region_unmap, 16, 2032, 0},
      {"an end", Call::region_unmap, 16, 2048, 0},
      {"the beginning", Call::region_unmap, 0, 2032, 0},
      {"the middle protected", Call::region_protect, 16, 2032, 1},
      {"all but an end protected", Call::region_protect, 0, 2032, 1},
      {"two regions protected", Call::region_protect, 16, 2600, 1},
      {"two regions to their end protected", Call::region_protect, 512, 2600, 1},
      {"another between protected", Call::region_protect, 16, 4600, 1},
      {"replaced", Call::region_map, 16, 2032, 3 | abi::kRegionReplace},
      {"an end replaced", Call::region_map, 16, 2048, 3 | abi::kRegionReplace},
  };
  for (const Row& row : rows) {
    u64 stopped = 0, refused = 0;
    for (const Stub stub : {Stub::kGoesOn, Stub::kIssuesAgain}) {
      for (u64 extra = 0; extra < 70; ++extra) {
        const u64 space = active_space();
        const u64 object = call(Call::object_create, {8192}).value;
        ASSERT_EQ(map(space, kA, 2048, 3 | abi::kRegionShared, object), Status::kOk);
        ASSERT_EQ(map(space, kA + pages_to_bytes(2048), 2048, 3 | abi::kRegionShared, object, 6),
                  Status::kOk);
        ASSERT_EQ(map(space, kA + pages_to_bytes(4096), 1024, 3), Status::kOk);
        for (u64 page = 0; page < 5120; page += 128) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
        for (u64 i = 0; i < extra; ++i) {
          ASSERT_EQ(map(space, kA + (u64{1} << 32) + i * 2 * kPageBytes, 1), Status::kOk);
        }
        std::vector<pt::Frame> taken;
        const auto take = [&] {
          while (const auto frame = frames_.alloc(pt::FrameKind::kKernel)) taken.push_back(*frame);
        };
        take();
        stop_.requested = true;
        Registers registers{space, (kA + pages_to_bytes(row.from)).value(), row.past - row.from, row.flags};
        const auto tree = memory_.declared(SpaceId(static_cast<u32>(space)));
        const u64 version = (*tree)->version();
        // What a fault brings in is not what the call would have to see.
        const auto between = [&] {
          if (!taken.empty()) frames_.free(taken.back());
          if (!taken.empty()) taken.pop_back();
          (void)touch(kA + pages_to_bytes(4095), Access::kRead);
          (void)touch(kA + pages_to_bytes(5119 - 3 * issues_));
          take();
        };
        const CallResult result = until_done(stub, row.number, registers, between);
        stop_.requested = false;
        EXPECT_TRUE(result.status == Status::kOk || (result.status == Status::kNoMemory && issues_ == 1))
            << row.what << ' ' << extra << ' ' << status_name(result.status) << " at issue " << issues_;
        if (result.status != Status::kOk) {
          EXPECT_EQ((*tree)->version(), version);
        }
        stopped += issues_ > 1;
        refused += result.status != Status::kOk;
        expect_promised(space);
        for (const pt::Frame frame : taken) frames_.free(frame);
        ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
        ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
        ASSERT_EQ(call(Call::object_destroy, {object}).status, Status::kOk);
      }
    }
    EXPECT_GT(stopped, 0u) << row.what;
  }
}

TEST_F(VmaAgainTest, AnInterruptedDestroyIsIssuedAgain) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  // Tables in many places, so that a check point comes before the end.
  for (u64 i = 0; i < 300; ++i) {
    const Gva va = kA + i * (u64{2} << 20);
    ASSERT_EQ(map(space, va, 1), Status::kOk);
    ASSERT_TRUE(touch(va));
  }
  EXPECT_EQ(call(Call::space_destroy, {space}).status, Status::kBusy);
  ASSERT_EQ(call(Call::space_activate, {0}).status, Status::kOk);
  stop_.requested = true;
  ASSERT_EQ(call(Call::space_destroy, {space}).status, Status::kAgain);
  // Half gone: nothing else may be done to it.
  EXPECT_EQ(call(Call::space_activate, {space}).status, Status::kInvalid);
  EXPECT_EQ(map(space, kA + kPageBytes, 1), Status::kInvalid);
  EXPECT_EQ(call(Call::space_clone, {space}).status, Status::kInvalid);
  stop_.requested = false;
  EXPECT_EQ(call(Call::space_destroy, {space}).status, Status::kOk);
  EXPECT_EQ(call(Call::space_destroy, {space}).status, Status::kInvalid);
}

// A call that stops has done a prefix, promise and pages alike: what is installed is promised at every exit.
TEST_F(VmaAgainTest, AnInterruptedChangeOfRightsKeepsItsPromises) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  const u64 pages = 4 * 512;
  ASSERT_EQ(map(space, kA, pages, 1), Status::kOk);
  for (u64 page = 0; page < pages; page += 100) ASSERT_TRUE(touch(kA + pages_to_bytes(page), Access::kRead));
  stop_.requested = true;
  u64 issued = 0;
  // The second and the last page before the end: both ends of the range are inside the region.
  const Registers protect{space, (kA + kPageBytes).value(), pages - 2, 3};
  for (Status status = Status::kAgain; status == Status::kAgain; ++issued) {
    ASSERT_LT(issued, 10u);
    status = call(Call::region_protect, protect).status;
    ASSERT_TRUE(status == Status::kOk || status == Status::kAgain) << status_name(status);
    expect_promised(space);
    if (status == Status::kAgain) {
      EXPECT_TRUE(touch(kA + kPageBytes)) << "nothing was done";
      EXPECT_FALSE(touch(kA + pages_to_bytes(pages - 2))) << "all was done";
    }
  }
  EXPECT_EQ(issued, 4u) << "each issue does one leaf table";
  EXPECT_FALSE(touch(kA));
  EXPECT_FALSE(touch(kA + pages_to_bytes(pages - 1)));
  EXPECT_EQ((*memory_.declared(SpaceId(static_cast<u32>(space))))->regions(), 3u);
}

TEST_F(VmaAgainTest, AnInterruptedUnmapHasWithdrawnAPrefix) {
  const u64 space = make_space();
  ASSERT_EQ(call(Call::space_activate, {space}).status, Status::kOk);
  const u64 pages = 3 * 512;
  ASSERT_EQ(map(space, kA, pages), Status::kOk);
  for (u64 page = 0; page < pages; page += 100) ASSERT_TRUE(touch(kA + pages_to_bytes(page)));
  stop_.requested = true;
  const Registers unmap{space, (kA + kPageBytes).value(), pages - 2};
  ASSERT_EQ(call(Call::region_unmap, unmap).status, Status::kAgain);
  EXPECT_TRUE(touch(kA));
  EXPECT_FALSE(touch(kA + kPageBytes)) << "withdrawn already";
  EXPECT_TRUE(touch(kA + pages_to_bytes(600)));
  stop_.requested = false;
  EXPECT_EQ(call(Call::region_unmap, unmap).status, Status::kOk);
  expect_promised(space);
  EXPECT_EQ((*memory_.declared(SpaceId(static_cast<u32>(space))))->pages(), 2u);
}

TEST_F(VmaAgainTest, KernelMemoryIsGrantedAndTakenBackInPieces) {
  ASSERT_EQ(call(Call::kmem_alloc, {1}).status, Status::kOk);  // so that the bitmaps exist
  const u64 before = frames_.free_frames();
  constexpr u64 kPages = 1500;
  const auto issues = [&](Call number, Registers registers) {
    u64 issued = 1;
    CallResult result = call(number, registers);
    for (; result.status == Status::kAgain && issued < 20; ++issued) result = call(number, registers);
    EXPECT_EQ(result.status, Status::kOk);
    return std::pair(issued, result.value);
  };
  stop_.requested = true;
  const auto [alloc_issues, begin] = issues(Call::kmem_alloc, {kPages});
  EXPECT_EQ(alloc_issues, 3u);
  EXPECT_TRUE(engine_.kernel_pointer(Gva(begin) + pages_to_bytes(kPages - 1)));
  const auto [free_issues, none] = issues(Call::kmem_free, {begin, kPages});
  EXPECT_GE(free_issues, 3u);
  EXPECT_EQ(none, 0u);
  EXPECT_EQ(frames_.free_frames(), before);

  // Half of one is nobody's yet, and gives way to a grant of another length.
  ASSERT_EQ(call(Call::kmem_alloc, {kPages}).status, Status::kAgain);
  EXPECT_EQ(call(Call::kmem_free, {begin, kPages}).status, Status::kInvalid);
  const auto other = issues(Call::kmem_alloc, {16});
  EXPECT_EQ(frames_.free_frames(), before - 16);
  issues(Call::kmem_free, {other.second, 16});

  // What cannot be ended is taken back in pieces too.
  frames_.fail_allocation(1200);
  CallResult result = call(Call::kmem_alloc, {kPages});
  while (result.status == Status::kAgain) result = call(Call::kmem_alloc, {kPages});
  EXPECT_EQ(result.status, Status::kNoMemory);
  EXPECT_EQ(frames_.free_frames(), before);
}

// A half grant that is being taken back is not gone on with: its first pages may have gone already.
TEST_F(VmaAgainTest, AHalfGrantThatGivesWayIsNotGrantedAsItIs) {
  constexpr u64 kPages = 2048;
  stop_.requested = true;
  for (int i = 0; i < 3; ++i) ASSERT_EQ(call(Call::kmem_alloc, {kPages}).status, Status::kAgain);
  ASSERT_EQ(call(Call::kmem_alloc, {16}).status, Status::kAgain);
  stop_.requested = false;
  const CallResult granted = call(Call::kmem_alloc, {kPages});
  ASSERT_EQ(granted.status, Status::kOk);
  for (u64 page = 0; page < kPages; ++page) {
    ASSERT_TRUE(engine_.kernel_pointer(Gva(granted.value) + pages_to_bytes(page))) << page;
  }
}

}  // namespace
}  // namespace nopte::hv
