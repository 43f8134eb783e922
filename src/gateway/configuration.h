// What a gateway is told: a JSON file, written by whoever starts it.
//
//   {
//     "vm": "redis",
//     "socket": "unix:/run/redis/gateway.sock",       replicas connect here
//     "status_socket": "/run/redis/status.sock",
//     "consoles": [{"port": 0, "socket": "/run/redis/console.sock", "log":
//     "/run/redis/console.log"}], "nics": [{"nic": 0, "forward": ["tcp:127.0.0.1:6379:6379"],
//     "restrict": false,
//               "host_loopback": true}]
//   }
//
// "log", "forward", "restrict", "host_loopback", "consoles" and "nics" may be absent. An unknown
// key is an error. Owner: none (values). Errors: kInvalid, naming the key; kNotFound.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"
#include "gateway/console_server.h"
#include "gateway/user_network.h"
#include "io/posix/stream_socket.h"

namespace lockstep::gateway {

struct ConsoleConfiguration {
  DeviceIndex port;
  ConsoleSettings settings;
};

struct Configuration {
  std::string vm;
  posix::SocketAddress socket;  // a Unix socket: its peers are known by their user
  std::string status_socket_path;
  std::vector<ConsoleConfiguration> consoles;
  std::vector<UserNetworkSettings> nics;
};

// `name` is the text's, for errors.
Result<Configuration> parse_configuration(std::string_view json, const std::string& name);
Result<Configuration> load_configuration(const std::string& path);

}  // namespace lockstep::gateway
