#include "config/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace lockstep::config {
namespace {

struct SizeUnit {
  char letter;
  unsigned shift;
};
constexpr std::array kSizeUnits{SizeUnit{'T', 40}, SizeUnit{'G', 30}, SizeUnit{'M', 20},
                                SizeUnit{'K', 10}};

constexpr std::string_view kSizeForm = "a size such as \"512M\" (K, M, G or T, powers of 1024)";
constexpr std::string_view kForwardForm =
    "PROTOCOL:HOST-ADDRESS:HOST-PORT:GUEST-PORT, as in \"tcp:127.0.0.1:6379:6379\"";
constexpr std::string_view kMacForm = "six hexadecimal bytes, as in \"52:54:00:12:34:56\"";
constexpr std::string_view kArbiterForm = "\"dir:PATH\" or \"etcd:URL\"";

// The whole text as a number, or nothing.
template <typename T>
std::optional<T> whole_number(std::string_view text, int base = 10) {
  T value{};
  const char* end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, value, base);
  if (failed != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  for (size_t end = text.find(separator); end != std::string_view::npos;
       end = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.push_back(text.substr(begin));
  return parts;
}

std::unexpected<std::string> must_be(std::string_view form, std::string_view problem) {
  return std::unexpected(fmt::format("{}; {}", form, problem));
}

bool is_ipv4_address(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '.');
  return parts.size() == 4 && std::ranges::all_of(parts, [](std::string_view part) {
           return whole_number<uint8_t>(part).has_value();
         });
}

}  // namespace

Parsed<uint64_t> parse_size(std::string_view text) {
  const std::string_view whole = text;
  unsigned shift = 0;
  if (!text.empty()) {
    const auto unit = std::ranges::find(kSizeUnits, text.back(), &SizeUnit::letter);
    if (unit != kSizeUnits.end()) {
      shift = unit->shift;
      text.remove_suffix(1);
    }
  }
  const std::optional<uint64_t> count = whole_number<uint64_t>(text);
  if (!count) return must_be(kSizeForm, fmt::format("\"{}\" is not", whole));
  if (*count > (std::numeric_limits<uint64_t>::max() >> shift)) {
    return must_be(kSizeForm, fmt::format("\"{}\" is more than 64 bits hold", whole));
  }
  return *count << shift;
}

std::string format_size(uint64_t bytes) {
  for (const SizeUnit unit : kSizeUnits) {
    const uint64_t count = bytes >> unit.shift;
    if (count != 0 && (count << unit.shift) == bytes)
      return fmt::format("{}{}", count, unit.letter);
  }
  return fmt::format("{}", bytes);
}

Parsed<PortForward> parse_forward(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() != 4) {
    return must_be(kForwardForm, fmt::format("\"{}\" has {} of the 4 parts", text, parts.size()));
  }
  PortForward forward;
  if (parts[0] == "udp") {
    forward.protocol = Protocol::kUdp;
  } else if (parts[0] != "tcp") {
    return must_be(kForwardForm, fmt::format("\"{}\" is neither tcp nor udp", parts[0]));
  }
  if (!is_ipv4_address(parts[1])) {
    return must_be(kForwardForm, fmt::format("\"{}\" is not an IPv4 address", parts[1]));
  }
  forward.host_address = parts[1];
  const std::optional<uint16_t> host_port = whole_number<uint16_t>(parts[2]);
  if (!host_port) {
    return must_be(kForwardForm, fmt::format("host port \"{}\" is not 0 to 65535", parts[2]));
  }
  forward.host_port = *host_port;
  const std::optional<uint16_t> guest_port = whole_number<uint16_t>(parts[3]);
  if (!guest_port || *guest_port == 0) {
    return must_be(kForwardForm, fmt::format("guest port \"{}\" is not 1 to 65535", parts[3]));
  }
  forward.guest_port = *guest_port;
  return forward;
}

std::string format_forward(const PortForward& forward) {
  return fmt::format("{}:{}:{}:{}", forward.protocol == Protocol::kTcp ? "tcp" : "udp",
                     forward.host_address, forward.host_port, forward.guest_port);
}

Parsed<MacAddress> parse_mac(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  MacAddress mac;
  if (parts.size() != mac.bytes.size()) {
    return must_be(kMacForm, fmt::format("\"{}\" has {} parts", text, parts.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::optional<uint8_t> byte = whole_number<uint8_t>(parts[i], 16);
    if (!byte) return must_be(kMacForm, fmt::format("\"{}\" is not a byte", parts[i]));
    mac.bytes[i] = *byte;
  }
  if ((mac.bytes[0] & 1U) != 0) {
    return must_be(kMacForm, fmt::format("\"{}\" is a multicast address", text));
  }
  if (mac == MacAddress{}) return must_be(kMacForm, "all zero is no address");
  return mac;
}

std::string format_mac(const MacAddress& mac) {
  return fmt::format("{:02x}", fmt::join(mac.bytes, ":"));
}

Parsed<ArbiterAddress> parse_arbiter(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  if (colon == std::string_view::npos || colon + 1 == text.size() ||
      (kind != "dir" && kind != "etcd")) {
    return must_be(kArbiterForm, fmt::format("\"{}\" is neither", text));
  }
  return ArbiterAddress{kind == "dir" ? ArbiterKind::kDirectory : ArbiterKind::kEtcd,
                        std::string(text.substr(colon + 1))};
}

std::string format_arbiter(const ArbiterAddress& arbiter) {
  return (arbiter.kind == ArbiterKind::kDirectory ? "dir:" : "etcd:") + arbiter.location;
}

bool is_nbd_address(std::string_view path) {
  return path.starts_with("nbd://") || path.starts_with("nbd+unix://");
}

}  // namespace lockstep::config
