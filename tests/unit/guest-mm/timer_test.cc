// The timer queue: order, stopping, re-arming while firing.
#include "guest-mm/kernel/time/timer.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/fake_platform.h"

namespace nopte::guest {
namespace {

std::vector<int> g_fired;

struct Numbered : Timer {
  explicit Numbered(int which)
      : Timer([](Timer& timer) { g_fired.push_back(static_cast<Numbered&>(timer).number); }), number(which) {}
  ~Numbered() { timer_stop(*this); }
  int number;
};

class TimerTest : public testing::Test {
 protected:
  TimerTest() { g_fired.clear(); }
  test::FakePlatform platform;
};

TEST_F(TimerTest, FiresInTheOrderOfDeadlinesAndThenOfArming) {
  Numbered a(1), b(2), c(3), d(4);
  timer_start(a, 30);
  timer_start(b, 10);
  timer_start(c, 20);
  timer_start(d, 10);
  EXPECT_EQ(fire_timers(9), 10u);
  EXPECT_TRUE(g_fired.empty());
  EXPECT_EQ(fire_timers(10), 20u);
  EXPECT_EQ(g_fired, (std::vector{2, 4}));
  EXPECT_FALSE(b.armed());
  EXPECT_EQ(fire_timers(100), kNoDeadline);
  EXPECT_EQ(g_fired, (std::vector{2, 4, 3, 1}));
}

TEST_F(TimerTest, AStoppedTimerDoesNotFire) {
  Numbered a(1), b(2), c(3);
  timer_start(a, 1);
  timer_start(b, 2);
  timer_start(c, 3);
  timer_stop(b);
  timer_stop(b);
  EXPECT_EQ(fire_timers(2), 3u);
  timer_stop(c);
  EXPECT_EQ(fire_timers(10), kNoDeadline);
  EXPECT_EQ(g_fired, (std::vector{1}));
}

TEST_F(TimerTest, ArmingAgainMoves) {
  Numbered a(1), b(2);
  timer_start(a, 5);
  timer_start(b, 6);
  timer_start(a, 7);
  EXPECT_EQ(fire_timers(6), 7u);
  EXPECT_EQ(g_fired, (std::vector{2}));
}

TEST_F(TimerTest, FiringMayArmAgain) {
  static int rounds;
  rounds = 0;
  Timer timer([](Timer& self) {
    ++rounds;
    timer_start(self, self.deadline_ns + 10);
  });
  timer_start(timer, 10);
  EXPECT_EQ(fire_timers(35), 40u);
  EXPECT_EQ(rounds, 3);
  timer_stop(timer);
}

}  // namespace
}  // namespace nopte::guest
