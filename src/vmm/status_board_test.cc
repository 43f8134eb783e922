#include "vmm/status_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include "io/posix/process.h"
#include "riscv/guest_time.h"

namespace lockstep::vmm {
namespace {

constexpr uint64_t kMs = 1'000'000;  // in nanoseconds
constexpr HostTime kStart(7'000 * kMs);

log::LogStatistics::Kind& kind_of(VcpuFigures& vcpu, log::EntryKind kind) {
  return vcpu.log.kinds[static_cast<size_t>(kind)];
}

TEST(StatusBoard, BeginsWithWhoItIs) {
  const StatusBoard board("redis", "b");
  const api::ReplicaStatus status = board.status();
  EXPECT_EQ(status.vm, "redis");
  EXPECT_EQ(status.node, "b");
  EXPECT_EQ(status.pid, posix::own_process_id());
  EXPECT_EQ(status.state, api::ReplicaState::kStarting);
  EXPECT_EQ(status.reason, "starting");
  EXPECT_TRUE(board.events().empty());
}

TEST(StatusBoard, ShowsTheCoreInTheUnitsOfTheApi) {
  StatusBoard board("redis", "a");
  replication::View view;
  view.role = replication::Role::kBackup;
  view.state = replication::VmState::kProtected;
  view.reason = "the backup follows";
  view.epoch = Epoch(3);
  view.peer_node = "b";
  view.heartbeat_age_ns = 2'500'000;
  view.lag_ms = 17;
  view.unacknowledged_bytes = 4096;
  view.hold_p50_ns = 80'500;
  view.hold_p99_ns = 950'000;
  view.throttle_permille = 15;
  VcpuFigures vcpu;
  vcpu.steps = 123;
  vcpu.guest_ticks = riscv::kTicksPerSecond * 3 / 2;
  board.update(view, vcpu, kStart);
  api::ReplicaStatus status = board.status();
  EXPECT_EQ(status.role, api::Role::kBackup);
  EXPECT_EQ(status.state, api::ReplicaState::kProtected);
  EXPECT_EQ(status.reason, "the backup follows");
  EXPECT_EQ(status.epoch, 3U);
  EXPECT_EQ(status.step, 123U);
  EXPECT_EQ(status.guest_time_s, 1.5);
  EXPECT_TRUE(status.peer_connected);
  EXPECT_EQ(status.heartbeat_age_ms, 2.5);
  EXPECT_EQ(status.lag_ms, 17);
  EXPECT_EQ(status.unacknowledged_bytes, 4096U);
  EXPECT_EQ(status.hold_time_p50_us, 80.5);
  EXPECT_EQ(status.hold_time_p99_us, 950);
  EXPECT_EQ(status.throttle_permille, 15U);

  // Without a peer there is no heartbeat to be old, and a reason stays until there is another.
  view.peer_node.clear();
  view.reason.clear();
  board.update(view, vcpu, kStart + kMs);
  status = board.status();
  EXPECT_FALSE(status.peer_connected);
  EXPECT_EQ(status.heartbeat_age_ms, 0);
  EXPECT_EQ(status.reason, "the backup follows");
}

TEST(StatusBoard, EveryStateOfTheCoreHasItsOwnInTheApi) {
  using replication::VmState;
  StatusBoard board("redis", "a");
  for (const VmState state :
       {VmState::kStarting, VmState::kSolo, VmState::kProtected, VmState::kFailingOver,
        VmState::kWaitingForArbiter, VmState::kHalted, VmState::kDiverged, VmState::kOff}) {
    replication::View view;
    view.state = state;
    board.update(view, {}, kStart);
    EXPECT_EQ(api::to_string(board.status().state), replication::to_string(state));
  }
}

TEST(StatusBoard, ShowsTheEngineAtEachUpdate) {
  StatusBoard board("redis", "a");
  VcpuFigures vcpu;
  vcpu.engine.kind = machine::EngineKind::kInterpreter;
  vcpu.engine.statistics.mmu.walks = 5;
  board.update({}, vcpu, kStart);
  EXPECT_EQ(board.status().engine.name, "interpreter");
  EXPECT_EQ(board.status().engine.walks, 5U);
  vcpu.engine.kind = machine::EngineKind::kTranslator;
  vcpu.engine.statistics.code_bytes = 4096;
  board.update({}, vcpu, kStart + kMs);
  EXPECT_EQ(board.status().engine.name, "jit");
  EXPECT_EQ(board.status().engine.code_bytes, 4096U);
}

TEST(StatusBoard, SpeedIsOfTheTimeThatTheMachineRan) {
  StatusBoard board("redis", "a");
  VcpuFigures vcpu;
  board.update({}, vcpu, kStart);
  EXPECT_EQ(board.status().engine.steps_per_second, 0);
  // Half of the time the guest waits.
  vcpu.steps = 10'000'000;
  vcpu.run_ns = 100 * kMs;
  board.update({}, vcpu, kStart + 200 * kMs);
  EXPECT_EQ(board.status().engine.steps_per_second, 1e8);
  // It stays between two samples, and is 0 of a guest that has not run for more than a second.
  board.update({}, vcpu, kStart + 201 * kMs);
  EXPECT_EQ(board.status().engine.steps_per_second, 1e8);
  for (uint64_t ms = 300; ms <= 1'500; ms += 100) board.update({}, vcpu, kStart + ms * kMs);
  EXPECT_EQ(board.status().engine.steps_per_second, 0);
}

TEST(StatusBoard, TheLogsRatesAreOfTheLastSecond) {
  StatusBoard board("redis", "a");
  VcpuFigures vcpu;
  board.update({}, vcpu, kStart);
  for (uint64_t second = 1; second <= 5; ++second) {
    log::LogStatistics::Kind& frames = kind_of(vcpu, log::EntryKind::kFrameIn);
    frames.entries += 10;
    frames.bytes += second * 1'000;
    board.update({}, vcpu, kStart + second * 1'000 * kMs);
  }
  const api::ReplicaStatus status = board.status();
  ASSERT_EQ(status.log.size(), 1U);
  const api::EntryTraffic& traffic = status.log.at(log::to_string(log::EntryKind::kFrameIn));
  EXPECT_EQ(traffic.entries, 50U);
  EXPECT_EQ(traffic.bytes, 15'000U);
  EXPECT_EQ(traffic.bits_per_second, 8 * 5'000);
}

TEST(StatusBoard, KeepsTheNewestEventsUpToABound) {
  StatusBoard board("redis", "a");
  for (size_t i = 0; i < StatusBoard::kMaxEvents + 2; ++i) {
    board.add_event("state", std::to_string(i));
  }
  const std::vector<api::EventRecord> events = board.events();
  ASSERT_EQ(events.size(), StatusBoard::kMaxEvents);
  EXPECT_EQ(events.front().text, "2");
  EXPECT_EQ(events.back().text, std::to_string(StatusBoard::kMaxEvents + 1));
  EXPECT_EQ(events.back().kind, "state");
  EXPECT_THAT(events.back().when,
              testing::MatchesRegex("....-..-..T..:..:..[.]...Z"));  // RFC 3339
}

TEST(StatusBoard, KeepsFailoversDivergenceAndTraffic) {
  StatusBoard board("redis", "a");
  board.add_failover(12.5, "end of the channel");
  board.set_divergence("hart 0, register a0");
  board.set_channel_traffic({.sent_bytes = 3, .received_bytes = 4});
  board.update({}, {}, kStart);
  const api::ReplicaStatus status = board.status();
  ASSERT_EQ(status.failovers.size(), 1U);
  EXPECT_EQ(status.failovers[0].blackout_ms, 12.5);
  EXPECT_EQ(status.failovers[0].reason, "end of the channel");
  EXPECT_EQ(status.divergence, "hart 0, register a0");
  EXPECT_EQ(status.channel_sent_bytes, 3U);
  EXPECT_EQ(status.channel_received_bytes, 4U);
}

}  // namespace
}  // namespace lockstep::vmm
