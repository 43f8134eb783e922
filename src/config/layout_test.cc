#include "config/layout.h"

#include <gtest/gtest.h>
#include <map>

namespace lockstep::config {
namespace {

TEST(VmLayout, Names) {
  const VmLayout layout("/state/", "redis");
  EXPECT_EQ(layout.directory(), "/state/redis");
  EXPECT_EQ(layout.config_file(), "/state/redis/config.toml");
  EXPECT_EQ(layout.lock_file(), "/state/redis/lock");
  EXPECT_EQ(layout.channel_socket(), "/state/redis/channel.sock");
  EXPECT_EQ(layout.api_socket(Node::kA), "/state/redis/replica-a/api.sock");
  EXPECT_EQ(layout.replica_log(Node::kB), "/state/redis/replica-b/log.txt");
  EXPECT_EQ(layout.replica_pid_file(Node::kB), "/state/redis/replica-b/pid");
  EXPECT_EQ(layout.gateway_socket(), "/state/redis/gateway/gateway.sock");
  EXPECT_EQ(layout.console_socket(), "/state/redis/gateway/console.sock");
  EXPECT_EQ(layout.console_log(), "/state/redis/gateway/console.log");
  EXPECT_EQ(layout.gateway_status_socket(), "/state/redis/gateway/status.sock");
}

TEST(VmLayout, SameFromTheVmsOwnDirectory) {
  const VmLayout layout = VmLayout::of_vm_directory("/state/redis/");
  EXPECT_EQ(layout.vm_name(), "redis");
  EXPECT_EQ(layout.directory(), VmLayout("/state", "redis").directory());
}

TEST(VmLayout, DisksOfEachReplica) {
  VmConfig config;
  config.disks = {{"/images/root.img", false, false}, {"/images/cd.iso", false, true}};
  const VmLayout layout("/state", "vm");
  EXPECT_EQ(layout.disk_image(config, Node::kA, 0), "/images/root.img");
  EXPECT_EQ(layout.disk_image(config, Node::kB, 0), "/state/vm/replica-b/disk0.img");
  EXPECT_EQ(layout.disk_image(config, Node::kA, 1), "/images/cd.iso");
  EXPECT_EQ(layout.disk_image(config, Node::kB, 1), "/images/cd.iso");
}

TEST(VmLayout, RelativeArbiterBelongsToTheVm) {
  VmConfig config;
  config.protection.arbiter = {ArbiterKind::kDirectory, "arbiter"};
  const VmLayout layout("/state", "vm");
  EXPECT_EQ(layout.arbiter_directory(config), "/state/vm/arbiter");
  config.protection.arbiter.location = "/nfs/arbiter";
  EXPECT_EQ(layout.arbiter_directory(config), "/nfs/arbiter");
}

TEST(VmLayout, Nodes) {
  EXPECT_EQ(parse_node("a"), Node::kA);
  EXPECT_EQ(parse_node("b"), Node::kB);
  EXPECT_EQ(parse_node("c"), std::nullopt);
  EXPECT_EQ(other_node(Node::kA), Node::kB);
  EXPECT_EQ(other_node(Node::kB), Node::kA);
}

Result<std::string> state_directory(std::map<std::string, std::string> environment) {
  return default_state_directory([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(StateDirectory, FirstThatIsSet) {
  std::map<std::string, std::string> all{
      {"LOCKSTEP_STATE_DIR", "/l"}, {"XDG_STATE_HOME", "/x"}, {"HOME", "/home/u"}};
  EXPECT_EQ(state_directory(all).value(), "/l");
  all["LOCKSTEP_STATE_DIR"] = "";
  EXPECT_EQ(state_directory(all).value(), "/x/lockstep");
  all["XDG_STATE_HOME"] = "relative/is/ignored";
  EXPECT_EQ(state_directory(all).value(), "/home/u/.local/state/lockstep");
  all.erase("HOME");
  EXPECT_EQ(state_directory(all).error().text(),
            "cannot find the state directory: none of LOCKSTEP_STATE_DIR, XDG_STATE_HOME and HOME "
            "is set; give --state-dir");
}

}  // namespace
}  // namespace lockstep::config
