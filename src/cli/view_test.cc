#include "cli/view.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

api::VmStatus protected_pair() {
  api::VmStatus vm;
  vm.name = "redis";
  for (const char* node : {"a", "b"}) {
    api::ReplicaView view;
    view.alive = true;
    view.status.vm = "redis";
    view.status.node = node;
    view.status.role = node[0] == 'a' ? api::Role::kPrimary : api::Role::kBackup;
    view.status.state = api::ReplicaState::kProtected;
    view.status.reason = "the backup follows";
    view.status.pid = 100 + node[0] - 'a';
    view.status.epoch = 1;
    view.status.step = 123456;
    view.status.guest_time_s = 1.5;
    view.status.peer_connected = true;
    view.status.lag_ms = 2.25;
    view.status.unacknowledged_bytes = 512;
    view.status.heartbeat_age_ms = 3;
    view.status.throttle_permille = 15;
    view.status.hold_time_p50_us = 90;
    view.status.hold_time_p99_us = 400;
    view.status.log = {{"packet", {3, 900, 1'500'000}}};
    view.status.engine.name = node[0] == 'a' ? "jit" : "interpreter";
    view.status.engine.steps_per_second = node[0] == 'a' ? 453'000'000 : 45'300'000;
    vm.replicas.push_back(view);
  }
  vm.gateway = {true, 102, "", R"({"nics":[{"nic":0,"forward":["tcp:127.0.0.1:6379:6379"]}]})"};
  return vm;
}

TEST(RenderStatus, ProtectedPair) {
  EXPECT_EQ(
      render_status(protected_pair()),
      "redis: protected (the backup follows)\n"
      "  replica a  primary, protected: the backup follows\n"
      "             pid 100, epoch 1, step 123456, guest time 1.500 s, jit at 453.0 "
      "Msteps/s\n"
      "             lag 2.2 ms, unacknowledged 512 bytes, last heartbeat 3.0 ms ago, throttle "
      "1.5 %\n"
      "             log 1.5 Mbit/s, output held 90 us (p50), 400 us (p99)\n"
      "  replica b  backup, protected: the backup follows\n"
      "             pid 101, epoch 1, step 123456, guest time 1.500 s, interpreter at 45.3 "
      "Msteps/s\n"
      "             lag 2.2 ms, unacknowledged 512 bytes, last heartbeat 3.0 ms ago, throttle "
      "1.5 %\n"
      "  gateway    pid 102, forwards tcp:127.0.0.1:6379:6379\n");
}

TEST(RenderStatus, AfterAFailover) {
  api::VmStatus vm = protected_pair();
  api::ReplicaView& gone = vm.replicas[0];
  gone.alive = false;
  gone.status = {};
  gone.status.node = "a";
  gone.status.state = api::ReplicaState::kGone;
  gone.status.reason = "process 100 is gone";
  api::ReplicaView& live = vm.replicas[1];
  live.status.role = api::Role::kPrimary;
  live.status.state = api::ReplicaState::kSolo;
  live.status.reason = "the primary's channel ended";
  live.status.peer_connected = false;
  live.status.log.clear();
  live.status.failovers = {{"2026-05-04T12:00:00Z", 61.5, "end of the channel"}};
  live.status.divergence = "register a0";
  vm.gateway = {false, 0, "process 102 is gone", "{}"};
  EXPECT_EQ(
      render_status(vm),
      "redis: solo (the primary's channel ended)\n"
      "  replica a  gone: process 100 is gone\n"
      "  replica b  primary, solo: the primary's channel ended\n"
      "             pid 101, epoch 1, step 123456, guest time 1.500 s, interpreter at 45.3 "
      "Msteps/s\n"
      "             failover 2026-05-04T12:00:00Z: 61.5 ms without a live replica, end of the "
      "channel\n"
      "             divergence: register a0\n"
      "  gateway    process 102 is gone\n");
}

TEST(RenderStatus, NeverStarted) {
  api::VmStatus vm;
  vm.name = "redis";
  EXPECT_EQ(render_status(vm), "redis: off (not started)\n");
}

TEST(RenderList, AlignsNames) {
  api::VmStatus other;
  other.name = "a-long-name";
  EXPECT_EQ(render_list({other, protected_pair()}),
            "NAME         STATE               REASON\n"
            "a-long-name  off                 not started\n"
            "redis        protected           the backup follows\n");
}

TEST(KnownVms, AreThoseWithASnapshot) {
  std::string name = testing::TempDir() + "view-XXXXXX";
  const std::string state = ::mkdtemp(name.data());
  EXPECT_EQ(find_vm(state, "web").error().text(), "no VM is called web: there is none in " + state);
  for (const char* vm : {"web", "db", "leftover"}) fs::create_directories(state + "/" + vm);
  for (const char* vm : {"web", "db"}) std::ofstream(state + "/" + vm + "/config.toml") << "";
  EXPECT_THAT(known_vms(state), testing::ElementsAre("db", "web"));
  EXPECT_EQ(find_vm(state, "web")->directory(), state + "/web");
  const auto absent = find_vm(state, "wbe");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(absent.error().text(), "no VM is called wbe: there are: db, web");
  fs::remove_all(state);
  EXPECT_THAT(known_vms(state), testing::IsEmpty());
}

}  // namespace
}  // namespace lockstep::cli
