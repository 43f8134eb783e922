#include "replication/lag_controller.h"

#include <gtest/gtest.h>

namespace lockstep::replication {
namespace {

constexpr uint64_t kTarget = 1'000;

// The throttle after `periods` periods at one lag.
uint32_t run(LagController& controller, HostTime& now, uint64_t lag, int periods) {
  for (int period = 0; period < periods; ++period) {
    controller.update(now, lag);
    now += LagController::kPeriodMs * 1'000'000;
  }
  return controller.throttle_permille();
}

TEST(LagController, SlowsStepByStepUpToItsBound) {
  LagController controller(kTarget);
  HostTime now(1);
  EXPECT_EQ(run(controller, now, kTarget + 1, 1), LagController::kStepPermille);
  EXPECT_EQ(run(controller, now, kTarget + 1, 100), LagController::kMaxPermille);
}

TEST(LagController, MovesOncePerPeriod) {
  LagController controller(kTarget);
  EXPECT_TRUE(controller.update(HostTime(1), kTarget + 1));
  EXPECT_FALSE(controller.update(HostTime(2), kTarget + 1));
  EXPECT_EQ(controller.throttle_permille(), LagController::kStepPermille);
}

TEST(LagController, StaysBetweenHalfAndTheTargetAndLetsGoBelow) {
  LagController controller(kTarget);
  HostTime now(1);
  run(controller, now, kTarget + 1, 3);
  EXPECT_EQ(run(controller, now, kTarget / 2, 10), 3 * LagController::kStepPermille);
  EXPECT_EQ(run(controller, now, kTarget / 2 - 1, 2), LagController::kStepPermille);
  EXPECT_EQ(run(controller, now, 0, 5), 0u);
}

TEST(LagController, ResetSaysWhetherThereWasAnything) {
  LagController controller(kTarget);
  EXPECT_FALSE(controller.reset());
  controller.update(HostTime(1), kTarget + 1);
  EXPECT_TRUE(controller.reset());
  EXPECT_EQ(controller.throttle_permille(), 0u);
}

}  // namespace
}  // namespace lockstep::replication
