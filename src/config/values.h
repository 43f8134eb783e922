// The values of the configuration file that have a syntax of their own, each with its one parser
// and its one writer. A parser's error is a phrase that goes on from "must be".
//
// Owner: none (pure functions).
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "config/vm_config.h"

namespace lockstep::config {

template <typename T>
using Parsed = std::expected<T, std::string>;

// "512M": a number with K, M, G or T (powers of 1024), or a plain number of bytes.
Parsed<uint64_t> parse_size(std::string_view text);
// The shortest form that parse_size takes back to the same number.
std::string format_size(uint64_t bytes);

// "tcp:127.0.0.1:6379:6379": protocol, address and port on the host, port in the guest.
Parsed<PortForward> parse_forward(std::string_view text);
std::string format_forward(const PortForward& forward);

// "52:54:00:12:34:56": a unicast address.
Parsed<MacAddress> parse_mac(std::string_view text);
std::string format_mac(const MacAddress& mac);

// "dir:PATH" or "etcd:URL".
Parsed<ArbiterAddress> parse_arbiter(std::string_view text);
std::string format_arbiter(const ArbiterAddress& arbiter);

bool is_nbd_address(std::string_view path);

}  // namespace lockstep::config
