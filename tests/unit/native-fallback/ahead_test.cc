// The ahead policy alone: how steps grow, what they cost a space, and what it gets back.
#include "native-fallback/engine/ahead.h"

#include <gtest/gtest.h>

#include <vector>

namespace nopte::pt {
namespace {

constexpr Gva at(u64 page) { return Gva(pages_to_bytes(page)); }

TEST(AheadPolicy, StepsDoubleBehindARun) {
  const auto all = [](unsigned) { return true; };
  std::vector<unsigned> steps;
  for (unsigned index = 0; index < 512; index += steps.back())
    steps.push_back(AheadPolicy::step_at(index, all));
  EXPECT_EQ(steps, (std::vector<unsigned>{1, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64}));
}

TEST(AheadPolicy, AHoleEndsARun) {
  EXPECT_EQ(AheadPolicy::step_at(9, [](unsigned index) { return index != 5; }), 2u);
  EXPECT_EQ(AheadPolicy::step_at(9, [](unsigned index) { return index != 8; }), 1u);
}

TEST(AheadAccount, PaysUntilItIsEmptyAndGrowsByUse) {
  AheadAccount account;
  EXPECT_EQ(account.pages(), AheadAccount::kFirst);
  EXPECT_FALSE(account.paid());
  account.pay(at(100), AheadAccount::kFirst);
  EXPECT_TRUE(account.paid());
  EXPECT_EQ(account.pages(), 0u);
  for (unsigned n = 0; n < AheadAccount::kUsesPerPage; ++n) account.fault_at(at(200), 1);
  EXPECT_EQ(account.pages(), 1u);
  account.fault_at(at(100), 1);
  EXPECT_EQ(account.pages(), AheadAccount::kFirst + 1);
  EXPECT_FALSE(account.paid());
  // Once.
  account.fault_at(at(100), 1);
  EXPECT_EQ(account.pages(), AheadAccount::kFirst + 1);
}

TEST(AheadAccount, NeverHoldsMoreThanTheMost) {
  AheadAccount account;
  for (unsigned n = 0; n < 1000; ++n) {
    const unsigned pages = std::min(account.pages(), AheadPolicy::kMost - 1);
    account.pay(at(n), pages);
    account.fault_at(at(n), 1);
  }
  EXPECT_EQ(account.pages(), AheadAccount::kMost);
}

// Where a step ended at a page that was there, the next fault is behind that.
TEST(AheadAccount, AStepEndedInTheRunBehindAFault) {
  AheadAccount account;
  account.pay(at(100), 4);
  account.fault_at(at(99), 8);
  account.fault_at(at(108), 8);
  EXPECT_EQ(account.pages(), 0u);
  account.fault_at(at(107), 8);
  EXPECT_EQ(account.pages(), 4u);
}

TEST(AheadAccount, FourRunsGoOnAtOnce) {
  AheadAccount account;
  for (u64 run = 1; run <= 4; ++run) account.pay(at(100 * run), 1);
  EXPECT_EQ(account.pages(), 0u);
  for (u64 run = 1; run <= 4; ++run) account.fault_at(at(100 * run), 1);
  EXPECT_EQ(account.pages(), 4u);
}

TEST(AheadAccount, KnowsOfStepsToTheEndOfALeafTable) {
  AheadAccount account;
  account.pay(at(511), 1);
  EXPECT_FALSE(account.paid_to_edge());
  account.pay(at(1024), 1);
  EXPECT_TRUE(account.paid_to_edge());
  account.fault_at(at(1024), 1);
  EXPECT_FALSE(account.paid_to_edge());
  account.pay(at(512), 1);
  account.gone({at(500), at(600)}, 1);
  EXPECT_FALSE(account.paid_to_edge());
  // Others take its place.
  account.pay(at(512), 1);
  for (u64 run = 1; run <= 4; ++run) {
    EXPECT_TRUE(account.paid_to_edge());
    account.pay(at(100 * run), 1);
  }
  EXPECT_FALSE(account.paid_to_edge());
}

TEST(AheadAccount, WhatIsGoneIsPaidBackAsFarAsItWasUsed) {
  AheadAccount account;
  account.pay(at(100), 3);
  account.gone({at(0), at(99)}, 0);  // not its end
  EXPECT_EQ(account.pages(), 1u);
  account.gone({at(0), at(100)}, 2);
  EXPECT_EQ(account.pages(), 2u);
  EXPECT_FALSE(account.paid());
  account.pay(at(100), 2);
  account.gone({at(0), at(200)}, 7);
  EXPECT_EQ(account.pages(), 0u);
}

// What was not used is taken off the steps that are gone once.
TEST(AheadAccount, OfTwoStepsThatAreGoneOneWasUsed) {
  AheadAccount account;
  account.pay(at(100), 2);
  account.pay(at(200), 2);
  account.gone({at(0), at(300)}, 2);
  EXPECT_EQ(account.pages(), 2u);
}

TEST(AheadAccount, ACloneInheritsNoMoreThanItMay) {
  AheadAccount account;
  for (unsigned n = 0; n < 1000; ++n) {
    account.pay(at(n), std::min(account.pages(), AheadPolicy::kMost - 1));
    account.fault_at(at(n), 1);
  }
  EXPECT_EQ(account.inherited().pages(), AheadAccount::kInherited);
}

TEST(AheadAccount, ACloneInheritsWhatIsLeft) {
  AheadAccount account;
  account.pay(at(100), 3);
  AheadAccount clone = account.inherited();
  EXPECT_EQ(clone.pages(), 1u);
  EXPECT_FALSE(clone.paid());
  clone.fault_at(at(100), 1);
  EXPECT_EQ(clone.pages(), 1u);
}

}  // namespace
}  // namespace nopte::pt
