#include <gtest/gtest.h>

#include "riscv/guest_time.h"
#include "riscv/hart.h"

namespace lockstep::riscv {
namespace {

constexpr Step kAnchor{1000};
constexpr GuestTicks kAnchorTicks{5000};
constexpr Step kNever{~uint64_t{0}};

GuestTime time_at_rate(uint64_t rate_q32) {
  GuestTime time;
  time.set_anchor(kAnchor, kAnchorTicks, rate_q32);
  return time;
}

// first_step_at and has_reached are two inversions of at(): each is checked against it.
TEST(GuestTimeInversion, InversionsAgreeWithAt) {
  for (const uint64_t rate :
       {kMinRateQ32, uint64_t{3}, (uint64_t{1} << 32) / 20, (uint64_t{1} << 32) + 1, kMaxRateQ32}) {
    const GuestTime time = time_at_rate(rate);
    for (const uint64_t ahead : {0u, 1u, 2u, 63u, 64u, 65u, 1000u}) {
      const GuestTicks ticks = kAnchorTicks + ahead;
      const Step first = time.first_step_at(ticks);
      EXPECT_GE(time.at(first), ticks) << rate << ' ' << ahead;
      EXPECT_TRUE(time.has_reached(ticks, first)) << rate << ' ' << ahead;
      if (first == kAnchor) continue;
      EXPECT_LT(time.at(first - 1), ticks) << rate << ' ' << ahead;
      EXPECT_FALSE(time.has_reached(ticks, first - 1)) << rate << ' ' << ahead;
    }
  }
}

TEST(GuestTimeInversion, HasReachedHoldsWhereTimeWouldNotFit) {
  const GuestTime time = time_at_rate(kMaxRateQ32);
  EXPECT_TRUE(time.has_reached(GuestTicks(~uint64_t{0}), kNever));
  EXPECT_FALSE(time.has_reached(GuestTicks(~uint64_t{0}), kAnchor + 1000));
}

TEST(Hart, RunsToTheTimerAndNoFurther) {
  Hart hart;
  hart.step = kAnchor;
  hart.time = time_at_rate(uint64_t{1} << 31);  // a tick every two steps
  EXPECT_EQ(hart.timer_limit(kAnchor + 50), kAnchor + 50) << "the timer is off";
  hart.stimecmp = kAnchorTicks + 10;
  EXPECT_EQ(hart.timer_limit(kAnchor + 50), kAnchor + 20);
  EXPECT_EQ(hart.timer_limit(kAnchor + 20), kAnchor + 20);
  EXPECT_EQ(hart.timer_limit(kAnchor + 19), kAnchor + 19);
  EXPECT_EQ(hart.timer_limit(kNever), kAnchor + 20);
  hart.step = kAnchor + 20;
  EXPECT_TRUE(hart.timer_interrupt());
  EXPECT_EQ(hart.timer_limit(kAnchor + 50), kAnchor + 50) << "it has fired; nothing more comes";
}

}  // namespace
}  // namespace lockstep::riscv
