// What the random operations on address spaces (address_space_random_run.h) must all have met.
#include <gtest/gtest.h>

#include "tests/support/seeds.h"
#include "tests/unit/guest-mm/address_space_random_run.h"

namespace nopte::guest {
namespace {

constexpr u64 kOperations = 1'040'000;  // over all seeds

TEST(AddressSpaceModel, RandomOperationsAgree) {
  test::Histogram histogram;
  const auto seeds = test::seeds();
  for (const u64 seed : seeds) {
    SCOPED_TRACE(testing::Message() << "NOPTE_SEED=" << seed);
    RandomRun run(seed, histogram);
    run.operations(kOperations / seeds.size());
    if (HasFailure()) break;
  }
  histogram.print();
  constexpr u64 kLeast = 1000;
  using enum Status;
  for (Status s : {kOk, kInvalid, kOverlap, kPermission, kNoMemory})
    histogram.expect_at_least("map", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoMemory}) histogram.expect_at_least("unmap", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion, kPermission, kNoMemory}) {
    histogram.expect_at_least("protect", s, kLeast);
  }
  for (Status s : {kOk, kInvalid, kBadAddress, kNoMemory}) histogram.expect_at_least("remap", s, kLeast);
  for (const char* what : {"mark", "lock"}) {
    for (Status s : {kOk, kInvalid, kNoRegion}) histogram.expect_at_least(what, s, kLeast / 10);
  }
  for (const char* how : {"kept", "again", "moved"}) histogram.expect_at_least("remap", how, kLeast / 10);
  for (Status s : {kOk, kInvalid, kNoRegion, kNoMemory}) histogram.expect_at_least("advise", s, kLeast);
  for (Status s : {kOk, kInvalid, kNoRegion}) histogram.expect_at_least("use", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("brk", s, kLeast);
  for (Status s : {kOk, kNoRegion}) histogram.expect_at_least("stack", s, kLeast);
  for (Status s : {kOk, kNoRegion}) histogram.expect_at_least("find", s, kLeast);
  for (Status s : {kOk, kNoMemory}) histogram.expect_at_least("clone", s, kLeast);
  histogram.expect_at_least("destroy", kOk, kLeast);
}

}  // namespace
}  // namespace nopte::guest
