// madvise(2), hosted: what of it reaches whoever installs pages, and what is refused.
#include "tests/unit/guest-mm/kernel_fixture.h"

namespace nopte::guest {
namespace {

constexpr u64 kReadWrite = 3, kPrivateAnonymous = 0x22, kSharedAnonymous = 0x21;
constexpr u64 kRandom = 1, kWillNeed = 3, kDontNeed = 4, kFree = 8, kHugePage = 14, kNoHugePage = 15,
              kDontDump = 16, kCold = 20, kPageOut = 21, kPopulateRead = 22, kPopulateWrite = 23;

u64 map(u64 pages, u64 flags = kPrivateAnonymous) {
  const i64 at = call(sys_mmap, 0, pages_to_bytes(pages), kReadWrite, flags, ~u64{0});
  EXPECT_GT(at, 0);
  return static_cast<u64>(at);
}
i64 advise(u64 at, u64 pages, u64 advice) { return call(sys_madvise, at, pages_to_bytes(pages), advice); }
i64 unmap(u64 at, u64 pages) { return call(sys_munmap, at, pages_to_bytes(pages)); }
Usage usage_at(u64 at) { return current().space->find(Gva{at})->usage; }

void what_is_done_at_once_reaches_the_backend() {
  struct Row {
    u64 advice;
    Advice told;
  };
  constexpr Row kRows[] = {{kWillNeed, Advice::kWillNeed},
                           {kDontNeed, Advice::kDontNeed},
                           {kFree, Advice::kDontNeed},
                           {kPopulateRead, Advice::kPopulate},
                           {kPopulateWrite, Advice::kPopulate}};
  const u64 at = map(8);
  for (const Row& row : kRows) {
    const auto& told = kernel().mm.advised();
    const std::size_t before = told.size();
    EXPECT_EQ(advise(at + kPageBytes, 3, row.advice), 0) << row.advice;
    ASSERT_EQ(told.size(), before + 1) << row.advice;
    EXPECT_EQ(told.back().space, current().space->id());
    EXPECT_EQ(told.back().range, VaRange::of_pages(Gva{at} + kPageBytes, 3)) << row.advice;
    EXPECT_EQ(told.back().advice, row.told) << row.advice;
  }
  EXPECT_EQ(unmap(at, 8), 0);
}

void hints_are_taken_and_do_nothing() {
  const u64 at = map(4);
  const u64 before = kernel().mm.calls();
  for (const u64 advice : {kDontDump, kDontDump + 1, kCold, kPageOut}) {
    EXPECT_EQ(advise(at, 4, advice), 0) << advice;
    EXPECT_EQ(advise(at, 5, advice), -kENOMEM) << advice;
  }
  EXPECT_EQ(kernel().mm.calls(), before);
  EXPECT_EQ(unmap(at, 4), 0);
}

void what_makes_no_sense_is_refused() {
  const u64 at = map(4);
  const u64 before = kernel().mm.calls();
  for (const u64 advice : {kRandom, kDontNeed, kPopulateWrite, kCold}) {
    EXPECT_EQ(call(sys_madvise, at + 1, kPageBytes, advice), -kEINVAL) << advice;
    EXPECT_EQ(call(sys_madvise, at, ~u64{0}, advice), -kEINVAL) << advice;
    EXPECT_EQ(call(sys_madvise, at, ~kPageMask - at + kPageBytes, advice), -kEINVAL) << advice;
    EXPECT_EQ(call(sys_madvise, at, 0, advice), 0) << advice;
  }
  for (const u64 advice : {5, 6, 7, 26, 100, 1000}) EXPECT_EQ(advise(at, 4, advice), -kEINVAL) << advice;
  EXPECT_EQ(kernel().mm.calls(), before);
  EXPECT_EQ(unmap(at, 4), 0);
}

// Linux frees anonymous memory alone.
void an_objects_pages_are_not_freed() {
  const u64 at = map(4, kSharedAnonymous);
  const std::size_t before = kernel().mm.advised().size();
  EXPECT_EQ(advise(at, 4, kFree), -kEINVAL);
  EXPECT_EQ(kernel().mm.advised().size(), before);
  EXPECT_EQ(advise(at, 4, kDontNeed), 0);
  EXPECT_EQ(unmap(at, 4), 0);
}

void populating_says_when_memory_ends() {
  const u64 at = map(4);
  kernel().mm.fail_at(1);
  EXPECT_EQ(advise(at, 4, kPopulateWrite), -kENOMEM);
  EXPECT_EQ(advise(at, 4, kPopulateWrite), 0);
  EXPECT_EQ(unmap(at, 4), 0);
}

// Memory of the kernel's: the program's is not missing, and all is as it was.
void a_note_that_the_kernel_has_no_room_for_can_be_tried_again() {
  const u64 at = map(4);
  std::vector<u64> others;
  while (current().space->regions() < kMostRegionsByDefault) {
    const i64 other = call(sys_mmap, 0, kPageBytes, others.size() % 2, kPrivateAnonymous, ~u64{0});
    ASSERT_GT(other, 0);
    others.push_back(static_cast<u64>(other));
  }
  for (const u64 advice : {kRandom, kHugePage, kNoHugePage}) {
    EXPECT_EQ(advise(at + kPageBytes, 1, advice), -kEAGAIN) << advice;
    EXPECT_EQ(usage_at(at + kPageBytes), Usage()) << advice;
  }
  EXPECT_EQ(advise(at, 5, kHugePage), -kENOMEM) << "a hole is told of when there is room";
  for (const u64 other : others) EXPECT_EQ(unmap(other, 1), 0);
  EXPECT_EQ(advise(at + kPageBytes, 1, kRandom), 0);
  EXPECT_EQ(usage_at(at + kPageBytes), Usage(AccessPattern::kRandom, usage_at(at).large_asked()));
  EXPECT_EQ(unmap(at, 4), 0);
}

constexpr Scenario kMadviseScenarios[] = {
    {"what_is_done_at_once_reaches_the_backend", what_is_done_at_once_reaches_the_backend},
    {"hints_are_taken_and_do_nothing", hints_are_taken_and_do_nothing},
    {"what_makes_no_sense_is_refused", what_makes_no_sense_is_refused},
    {"an_objects_pages_are_not_freed", an_objects_pages_are_not_freed},
    {"populating_says_when_memory_ends", populating_says_when_memory_ends},
    {"a_note_that_the_kernel_has_no_room_for_can_be_tried_again",
     a_note_that_the_kernel_has_no_room_for_can_be_tried_again},
};

}  // namespace

std::span<const Scenario> madvise_scenarios() { return kMadviseScenarios; }

}  // namespace nopte::guest
