#include "cli/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/configuration.h"

namespace lockstep::cli {
namespace {

// What this room writes is what the gateway reads.
TEST(GatewayConfiguration, IsUnderstoodByTheGateway) {
  config::VmConfig vm;
  vm.name = "redis";
  vm.nets = {{config::NetMode::kUser,
              {},
              {{config::Protocol::kTcp, "127.0.0.1", 6379, 6379},
               {config::Protocol::kUdp, "0.0.0.0", 0, 53}}},
             {}};
  const config::VmLayout layout("/state", "redis");
  const auto read = gateway::parse_configuration(gateway_configuration(vm, layout), "config.json");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->vm, "redis");
  EXPECT_EQ(read->status_socket_path, layout.gateway_status_socket());
  ASSERT_EQ(read->consoles.size(), 1U);
  EXPECT_EQ(read->consoles[0].settings.socket_path, layout.console_socket());
  EXPECT_EQ(read->consoles[0].settings.log_path, layout.console_log());
  ASSERT_EQ(read->nics.size(), 2U);
  ASSERT_EQ(read->nics[0].forwards.size(), 2U);
  EXPECT_EQ(read->nics[0].forwards[0].text(), "tcp:127.0.0.1:6379:6379");
  EXPECT_EQ(read->nics[0].forwards[1].text(), "udp:0.0.0.0:0:53");
  EXPECT_TRUE(read->nics[1].forwards.empty());
}

TEST(GatewayConfiguration, WithoutNetwork) {
  config::VmConfig vm;
  vm.name = "vm";
  const auto read = gateway::parse_configuration(
      gateway_configuration(vm, config::VmLayout("/state", "vm")), "config.json");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_TRUE(read->nics.empty());
}

}  // namespace
}  // namespace lockstep::cli
