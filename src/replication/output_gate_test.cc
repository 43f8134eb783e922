#include "replication/output_gate.h"

#include <gtest/gtest.h>
#include <vector>

namespace lockstep::replication {
namespace {

constexpr uint64_t kRoom = 10'000;

Output frame_at(uint64_t step, uint64_t offset, size_t size = 4) {
  return {Step(step), OutputKind::kFrame, DeviceIndex{0}, offset, Bytes(size)};
}

std::vector<uint64_t> offsets(const std::vector<Output>& outputs) {
  std::vector<uint64_t> result;
  for (const Output& output : outputs) result.push_back(output.offset);
  return result;
}

using Offsets = std::vector<uint64_t>;

TEST(OutputGate, ReleasesOnlyWhatTheAcknowledgedHorizonPasses) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  gate.hold(frame_at(5, 0), HostTime(0));
  gate.append(LogPosition(1), Step(6), 100);
  gate.hold(frame_at(6, 1), HostTime(0));
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), Offsets{});
  gate.acknowledge(LogPosition(1));
  // Horizon 6 says that nothing before step 6 is missing: the cause of step 6 itself is not held.
  EXPECT_EQ(offsets(gate.take_released(HostTime(2))), (Offsets{0}));
  EXPECT_EQ(gate.released_before(), Step(6));
  gate.append(LogPosition(2), Step(7), 50);
  EXPECT_EQ(gate.unacknowledged_bytes(), 50u);
  gate.acknowledge(LogPosition(2));
  EXPECT_EQ(offsets(gate.take_released(HostTime(3))), (Offsets{1}));
  EXPECT_EQ(gate.unacknowledged_bytes(), 0u);
  EXPECT_EQ(gate.held_bytes(), 0u);
  EXPECT_EQ(gate.released(), LogPosition(2));
}

TEST(OutputGate, KeepsTheOrderAcrossDevicesOfOneStep) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  for (uint64_t offset = 0; offset < 5; ++offset) gate.hold(frame_at(3, offset), HostTime(0));
  gate.append(LogPosition(1), Step(4), 1);
  gate.acknowledge(LogPosition(1));
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), (Offsets{0, 1, 2, 3, 4}));
}

TEST(OutputGate, OpenLetsEverythingPassAndForgetsWhatWasUnacknowledged) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  gate.hold(frame_at(1, 0), HostTime(0));
  gate.append(LogPosition(1), Step(2), 100);
  gate.hold(frame_at(2, 1), HostTime(0));
  gate.open();
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), (Offsets{0, 1}));
  EXPECT_EQ(gate.unacknowledged_bytes(), 0u);
  gate.append(LogPosition(2), Step(3), 100);
  EXPECT_EQ(gate.unacknowledged_bytes(), 0u);
  gate.hold(frame_at(3, 2), HostTime(1));
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), (Offsets{2}));
}

TEST(OutputGate, SuspendedIgnoresAcknowledgementsUntilResumed) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  gate.hold(frame_at(1, 0), HostTime(0));
  gate.append(LogPosition(1), Step(2), 1);
  gate.suspend();
  gate.acknowledge(LogPosition(1));
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), Offsets{});
  EXPECT_EQ(gate.released_before(), Step(0)) << "must not be reported as released";
  gate.resume();
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), (Offsets{0}));
}

TEST(OutputGate, ABackupForgetsWhatThePrimaryReleasedBeforeOrAfterItsOwnReplay) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  gate.hold(frame_at(4, 0), HostTime(0));
  gate.hold(frame_at(5, 1), HostTime(0));
  gate.released_elsewhere(Step(5));
  gate.released_elsewhere(Step(8));
  gate.hold(frame_at(7, 2), HostTime(0));
  gate.hold(frame_at(8, 3), HostTime(0));
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), Offsets{});
  gate.continue_log_after(LogPosition(9), Step(9));
  gate.open();
  EXPECT_EQ(offsets(gate.take_released(HostTime(1))), (Offsets{3}));
  EXPECT_EQ(gate.appended(), LogPosition(9));
}

TEST(OutputGate, CountsEmptyOutputsTowardsItsBound) {
  OutputGate gate(2 * OutputGate::kOutputOverheadBytes, PlantedBug::kNone);
  gate.hold(frame_at(1, 0, 0), HostTime(0));
  EXPECT_TRUE(gate.below_half());
  gate.hold(frame_at(1, 1, 0), HostTime(0));
  EXPECT_FALSE(gate.full());
  EXPECT_FALSE(gate.below_half());
  gate.hold(frame_at(1, 2, 0), HostTime(0));
  EXPECT_TRUE(gate.full());
  gate.drop_held();
  EXPECT_EQ(gate.held_bytes(), 0u);
}

TEST(OutputGate, MeasuresHowLongOutputsWaited) {
  OutputGate gate(1 << 20, PlantedBug::kNone);
  for (uint64_t offset = 0; offset < 100; ++offset) {
    gate.hold(frame_at(1, offset), HostTime(offset < 99 ? 1'000'000 : 0));
  }
  gate.open();
  gate.take_released(HostTime(1'100'000));
  const uint64_t p50 = gate.hold_times().quantile_ns(500);
  EXPECT_GE(p50, 100'000u);
  EXPECT_LE(p50, 112'500u);
  EXPECT_LE(gate.hold_times().quantile_ns(990), 112'500u);
  EXPECT_GE(gate.hold_times().quantile_ns(1000), 1'100'000u);
}

TEST(OutputGateDeathTest, PromisesOfTheCallerAreChecked) {
  OutputGate gate(kRoom, PlantedBug::kNone);
  gate.append(LogPosition(1), Step(5), 1);
  EXPECT_DEATH(gate.hold(frame_at(4, 0), HostTime(0)), "output.step");
  EXPECT_DEATH(gate.append(LogPosition(3), Step(6), 1), "position");
  EXPECT_DEATH(gate.append(LogPosition(2), Step(4), 1), "horizon");
  EXPECT_DEATH(gate.acknowledge(LogPosition(2)), "position");
}

TEST(HoldTimes, BucketsAreExactToAnEighthOverTheWholeRange) {
  for (uint64_t value : {uint64_t{0}, uint64_t{7}, uint64_t{8}, uint64_t{1'000}, uint64_t{123'456},
                         uint64_t{1} << 40, ~uint64_t{0}}) {
    HoldTimes times;
    times.add(value);
    const uint64_t read = times.quantile_ns(500);
    EXPECT_GE(read, value);
    EXPECT_LE(read - value, value / 8) << value;
  }
}

TEST(HoldTimes, OldTimesFade) {
  HoldTimes times;
  for (int count = 0; count < 65'536; ++count) times.add(1'000'000);
  for (int count = 0; count < 10 * 65'536; ++count) times.add(1'000);
  EXPECT_LT(times.quantile_ns(990), 2'000u);
}

}  // namespace
}  // namespace lockstep::replication
