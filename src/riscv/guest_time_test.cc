#include "riscv/guest_time.h"

#include <gtest/gtest.h>
#include <random>

#include "riscv/hart.h"

namespace lockstep::riscv {
namespace {

constexpr uint64_t kOneTickPerStep = uint64_t{1} << 32;
constexpr Step kNever{~uint64_t{0}};

TEST(GuestTime, IsAnchorPlusStepsTimesRate) {
  GuestTime time;
  time.set_anchor(Step(100), GuestTicks(1'000), kOneTickPerStep / 4);
  EXPECT_EQ(time.at(Step(100)), GuestTicks(1'000));
  EXPECT_EQ(time.at(Step(103)), GuestTicks(1'000));
  EXPECT_EQ(time.at(Step(104)), GuestTicks(1'001));
  EXPECT_EQ(time.at(Step(100 + 4'000)), GuestTicks(2'000));
}

TEST(GuestTime, TheProductOfStepsAndRateDoesNotOverflow) {
  GuestTime time;
  time.set_anchor(Step(0), GuestTicks(0), kMaxRateQ32);
  EXPECT_EQ(time.at(Step(uint64_t{1} << 50)), GuestTicks(uint64_t{1} << 56));
}

// The definition of first_step_at, over anchors and rates of every size.
TEST(GuestTime, FirstStepAtIsTheFirst) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20'000; ++i) {
    GuestTime time;
    const Step anchor(random() >> (24 + random() % 40));
    const GuestTicks ticks = time.at(anchor) + (random() >> (24 + random() % 40));
    const uint64_t rate = std::max(kMinRateQ32, random() % kMaxRateQ32 >> random() % 38);
    time.set_anchor(anchor, ticks, rate);
    const GuestTicks wanted = ticks + (random() >> (30 + random() % 34));
    const Step first = time.first_step_at(wanted);
    if (first == kNever) continue;
    ASSERT_GE(time.at(first), wanted);
    if (first > anchor) {
      ASSERT_LT(time.at(first - 1), wanted);
    }
  }
}

TEST(GuestTime, TicksBeforeTheAnchorAreReachedThere) {
  GuestTime time;
  time.set_anchor(Step(10), GuestTicks(500), kOneTickPerStep);
  EXPECT_EQ(time.first_step_at(GuestTicks(0)), Step(10));
  EXPECT_EQ(time.first_step_at(GuestTicks(500)), Step(10));
  EXPECT_EQ(time.first_step_at(GuestTicks(501)), Step(11));
}

TEST(GuestTime, StepsBeyondTheEndSaturate) {
  GuestTime time;
  time.set_anchor(Step(5), GuestTicks(0), kMinRateQ32);
  EXPECT_EQ(time.first_step_at(GuestTicks(~uint64_t{0})), kNever);
}

TEST(GuestTime, KeepsGoingAcrossANewAnchorAtTheSameTime) {
  GuestTime time;
  time.set_anchor(Step(0), GuestTicks(0), kOneTickPerStep);
  time.set_anchor(Step(50), time.at(Step(50)), kOneTickPerStep * 2);
  EXPECT_EQ(time.at(Step(50)), GuestTicks(50));
  EXPECT_EQ(time.at(Step(60)), GuestTicks(70));
}

TEST(GuestTimeDeathTest, AnAnchorThatTakesTimeBackIsABug) {
  GuestTime time;
  time.set_anchor(Step(10), GuestTicks(100), kOneTickPerStep);
  EXPECT_DEATH(time.set_anchor(Step(20), GuestTicks(109), kOneTickPerStep), "");
  EXPECT_DEATH(time.set_anchor(Step(9), GuestTicks(200), kOneTickPerStep), "");
  EXPECT_DEATH(time.set_anchor(Step(20), GuestTicks(200), 0), "");
  EXPECT_DEATH(time.set_anchor(Step(20), GuestTicks(200), kMaxRateQ32 + 1), "");
}

TEST(TimerInterrupt, IsPendingFromTheFirstStepAtWhichTimeReachesStimecmp) {
  Hart hart;
  hart.time.set_anchor(Step(0), GuestTicks(0), kOneTickPerStep / 3);
  hart.stimecmp = GuestTicks(7);
  const Step deadline = hart.time.first_step_at(hart.stimecmp);
  hart.step = deadline - 1;
  EXPECT_FALSE(hart.timer_interrupt());
  hart.step = deadline;
  EXPECT_TRUE(hart.timer_interrupt());
  EXPECT_EQ(hart.pending(), kTimerInterrupt);
}

}  // namespace
}  // namespace lockstep::riscv
