// Ports of this host: whether one can be had, and which one a socket got.
//
// Owner: none (functions). Errors: kInUse when another socket has the port.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace lockstep::posix {

enum class Transport : uint8_t { kTcp, kUdp };

// True for an IPv4 address in dotted form.
bool is_ipv4_address(const std::string& text);

// `host` is an IPv4 address. Takes the port and gives it back; port 0 asks for a free one. The
// answer is the port, which another process may take before the caller does.
Result<uint16_t> probe_host_port(Transport transport, const std::string& host, uint16_t port);

}  // namespace lockstep::posix
