// The ahead policy alone: how steps grow, what they cost a space, and what it gets back.
#include "native-fallback/engine/ahead.h"

#include <gtest/gtest.h>

#include <vector>

namespace nopte::pt {
namespace {

TEST(AheadPolicy, StepsDoubleBehindARun) {
  const auto all = [](unsigned) { return true; };
  std::vector<unsigned> steps;
  for (unsigned at = 0; at < 512; at += steps.back()) steps.push_back(AheadPolicy::step_at(at, all).pages);
  EXPECT_EQ(steps, (std::vector<unsigned>{1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64}));
}

// Each step knows what the one before took ahead; what the last one took is known from where the run ends.
TEST(AheadPolicy, WhatAStepTookAheadIsPaidBackOnce) {
  const auto all = [](unsigned) { return true; };
  for (unsigned end = 1; end <= 512; ++end) {
    unsigned taken = 0, back = 0;
    for (unsigned at = 0; at < end;) {
      const auto step = AheadPolicy::step_at(at, all);
      back += step.paid;
      const unsigned pages = std::min(step.pages, end - at);
      taken += pages - 1;
      at += pages;
    }
    EXPECT_EQ(back + AheadPolicy::last_step(end), taken) << end;
  }
  EXPECT_EQ(AheadPolicy::last_step(0), 0u);
}

TEST(AheadPolicy, AHoleEndsARun) {
  EXPECT_EQ(AheadPolicy::step_at(9, [](unsigned at) { return at != 5; }).pages, 4u);
  EXPECT_EQ(AheadPolicy::step_at(9, [](unsigned at) { return at != 8; }).pages, 1u);
  EXPECT_EQ(AheadPolicy::step_at(9, [](unsigned at) { return at != 8; }).paid, 0u);
}

TEST(AheadAccount, PaysUntilItIsEmptyAndGrowsByUse) {
  AheadAccount account;
  EXPECT_EQ(account.pages(), AheadAccount::kFirst);
  account.pay(AheadAccount::kFirst);
  EXPECT_EQ(account.pages(), 0u);
  account.earn(0, AheadAccount::kUsesPerPage);
  EXPECT_EQ(account.pages(), 1u);
  account.earn(AheadAccount::kUsesPerPage, 0);
  EXPECT_EQ(account.pages(), 1 + AheadAccount::kUsesPerPage + 1);
  EXPECT_FALSE(account.full());
  account.earn(AheadAccount::kMost, 0);
  account.earn(AheadAccount::kMost, 0);
  EXPECT_TRUE(account.full());
  EXPECT_EQ(account.pages(), AheadAccount::kMost);
}

}  // namespace
}  // namespace nopte::pt
