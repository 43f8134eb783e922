#include "api/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::api {
namespace {

using testing::HasSubstr;

ReplicaStatus example() {
  ReplicaStatus status;
  status.vm = "redis";
  status.node = "b";
  status.role = Role::kPrimary;
  status.state = ReplicaState::kWaitingForArbiter;
  status.reason = "the arbiter does not answer";
  status.pid = 4711;
  status.epoch = 3;
  status.step = 0xfedcba9876543210;
  status.guest_time_s = 12.5;
  status.peer_connected = true;
  status.heartbeat_age_ms = 4.25;
  status.lag_ms = 1.5;
  status.unacknowledged_bytes = 65536;
  status.channel_sent_bytes = 1234567;
  status.channel_received_bytes = 7654;
  status.hold_time_p50_us = 80;
  status.hold_time_p99_us = 950.5;
  status.throttle_permille = 20;
  status.log = {{"packet", {10, 12000, 96000.5}}, {"time", {200, 900, 1000}}};
  status.failovers = {{"2026-05-04T12:00:00Z", 72.5, "end of the channel"}};
  status.engine = {.name = "jit",
                   .steps_per_second = 2.5e8,
                   .walks = 1,
                   .superblocks = 2,
                   .instructions = 3,
                   .code_bytes = 4,
                   .invalidated = 5,
                   .evicted = 6,
                   .interpreted_steps = 7,
                   .data_misses = 8,
                   .fetch_misses = 9,
                   .cold_exits = 10,
                   .budget_exits = 11,
                   .step_exits = 12,
                   .leave_exits = 13,
                   .single_steps = uint64_t{1} << 63};
  status.divergence = "hart 0, register a0";
  return status;
}

TEST(ReplicaStatus, RoundTrip) {
  const ReplicaStatus status = example();
  const Result<ReplicaStatus> read = parse_replica_status(to_json(status), "x");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, status);
  const Result<ReplicaStatus> empty = parse_replica_status(to_json(ReplicaStatus{}), "x");
  ASSERT_TRUE(empty) << empty.error().text();
  EXPECT_EQ(*empty, ReplicaStatus{});
}

TEST(ReplicaStatus, EveryStateAndRoleHasItsName) {
  for (int i = 0; i <= static_cast<int>(ReplicaState::kGone); ++i) {
    ReplicaStatus status;
    status.state = static_cast<ReplicaState>(i);
    EXPECT_EQ(parse_replica_state(to_string(status.state)), status.state);
    EXPECT_EQ(parse_replica_status(to_json(status), "x")->state, status.state);
  }
  for (int i = 0; i <= static_cast<int>(Role::kNone); ++i) {
    ReplicaStatus status;
    status.role = static_cast<Role>(i);
    EXPECT_EQ(parse_replica_status(to_json(status), "x")->role, status.role);
  }
  EXPECT_EQ(parse_replica_state("waiting"), std::nullopt);
}

TEST(ReplicaStatus, SumsTheLog) {
  EXPECT_DOUBLE_EQ(example().log_bits_per_second(), 97000.5);
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string problem(const std::string& json) {
  const Result<ReplicaStatus> read = parse_replica_status(json, "api.sock");
  if (read) return "none";
  EXPECT_EQ(read.error().code, ErrorCode::kIncompatible);
  return read.error().text();
}

TEST(ReplicaStatus, ReadingIsStrict) {
  const std::string good = to_json(example());
  EXPECT_EQ(problem(good), "none");
  EXPECT_EQ(problem("{"),
            "cannot understand the answer from api.sock: document: is not JSON; are "
            "both programs of one version?");
  EXPECT_THAT(problem("[]"), HasSubstr("document: must be an object"));
  EXPECT_THAT(problem(replaced(good, "\"epoch\"", "\"Epoch\"")), HasSubstr("epoch: is missing"));
  EXPECT_THAT(problem(replaced(good, "{\"vm\"", "{\"new\":1,\"vm\"")),
              HasSubstr("document: unknown member \"new\""));
  EXPECT_THAT(problem(replaced(good, "\"waiting-for-arbiter\"", "\"waiting\"")),
              HasSubstr("state: unknown value \"waiting\""));
  EXPECT_THAT(problem(replaced(good, "4711", "\"4711\"")), HasSubstr("pid: must be an integer"));
  EXPECT_THAT(problem(replaced(good, "4711", "4294967296")), HasSubstr("pid: is out of range"));
  EXPECT_THAT(problem(replaced(good, "\"epoch\":3", "\"epoch\":-3")),
              HasSubstr("epoch: is out of range"));
  EXPECT_THAT(problem(replaced(good, "\"lag_ms\":1.5", "\"lag_ms\":true")),
              HasSubstr("lag_ms: must be a number"));
  EXPECT_THAT(problem(replaced(good, "12000", "null")),
              HasSubstr("log.packet.bytes: must be an integer"));
  EXPECT_THAT(problem(replaced(good, "72.5", "\"long\"")),
              HasSubstr("failovers[0].blackout_ms: must be a number"));
}

TEST(ReplicaStatus, BytesThatAreNotUtf8AreReplaced) {
  ReplicaStatus status = example();
  status.reason = "console said \xff";
  EXPECT_EQ(parse_replica_status(to_json(status), "x")->reason, "console said \xef\xbf\xbd");
}

TEST(Events, RoundTrip) {
  const std::vector<EventRecord> events{{"2026-05-04T12:00:00Z", "state", "solo -> protected"}};
  EXPECT_EQ(parse_events(to_json(events), "x").value(), events);
  EXPECT_EQ(parse_events("[]", "x").value(), std::vector<EventRecord>{});
  EXPECT_FALSE(parse_events("{}", "x"));
}

TEST(Errors, RoundTrip) {
  const Error error{ErrorCode::kNoSpace, "cannot write", "disk0.img", "make room"};
  const Result<Error> read = parse_error(to_json(error), "x");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->code, error.code);
  EXPECT_EQ(read->text(), error.text());
  EXPECT_FALSE(
      parse_error("{\"code\":\"bad\",\"what\":\"\",\"object\":\"\",\"advice\":\"\"}", "x"));
}

ReplicaView view(bool alive, Role role, ReplicaState state) {
  ReplicaView replica;
  replica.alive = alive;
  replica.status.role = role;
  replica.status.state = state;
  replica.status.reason = std::string(to_string(state));
  return replica;
}

TEST(VmStatus, TheLivePrimaryDecidesTheState) {
  VmStatus vm;
  EXPECT_EQ(vm.state(), ReplicaState::kOff);
  EXPECT_EQ(vm.reason(), "not started");
  vm.replicas = {view(false, Role::kNone, ReplicaState::kGone),
                 view(true, Role::kBackup, ReplicaState::kStarting)};
  EXPECT_EQ(vm.state(), ReplicaState::kStarting);
  vm.replicas[0] = view(true, Role::kPrimary, ReplicaState::kProtected);
  EXPECT_EQ(vm.state(), ReplicaState::kProtected);
  EXPECT_EQ(vm.reason(), "protected");
  std::swap(vm.replicas[0], vm.replicas[1]);
  EXPECT_EQ(vm.state(), ReplicaState::kProtected);
}

TEST(VmStatus, OfTwoPrimariesTheNewerEpochDecides) {
  VmStatus vm;
  vm.replicas = {view(true, Role::kPrimary, ReplicaState::kHalted),
                 view(true, Role::kPrimary, ReplicaState::kSolo)};
  vm.replicas[0].status.epoch = 1;
  vm.replicas[1].status.epoch = 2;
  EXPECT_EQ(vm.state(), ReplicaState::kSolo);
}

TEST(VmStatus, RoundTrip) {
  VmStatus vm;
  vm.name = "redis";
  vm.replicas = {{true, example()}, view(false, Role::kNone, ReplicaState::kGone)};
  vm.gateway = {true, 4712, "", R"({"frames_in":3,"forwards":["tcp:127.0.0.1:6379:6379"]})"};
  const Result<VmStatus> read = parse_vm_status(to_json(vm), "x");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, vm);
  EXPECT_THAT(to_json(vm), HasSubstr("\"state\": \"waiting-for-arbiter\""));
  EXPECT_FALSE(parse_vm_status("[]", "x"));
  EXPECT_FALSE(parse_vm_status("{\"gateway\":{}}", "x"));
}

}  // namespace
}  // namespace lockstep::api
